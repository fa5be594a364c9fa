//! What the configuration says about bad input: everything, at once, and no secret.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use nexus_dirsync::config::{Config, Credential, Secret, Sources};
use secrecy::ExposeSecret;
use tempfile::TempDir;

const ID: &str = "11111111-2222-3333-4444-555555555555";

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, OsString> {
    let base = [("IDENTITY__KIND", "azure_cli"), ("IDENTITY__TENANT_ID", ID)];
    let name = |name: &str| {
        if name.starts_with("AZURE_") { name.to_owned() } else { format!("DIRSYNC__{name}") }
    };
    base.iter().chain(pairs).map(|(key, value)| (name(key), OsString::from(value))).collect()
}

fn load(pairs: &[(&str, &str)]) -> Result<Config, String> {
    let sources = Sources { file: None, environment: environment(pairs) };
    Config::load(&sources).map_err(|problems| problems.to_string())
}

fn load_file(folder: &TempDir, text: &str) -> (PathBuf, Result<Config, String>) {
    let path = folder.path().join("dirsync.toml");
    fs::write(&path, text).expect("a file");
    let sources = Sources { file: Some(path.clone()), environment: environment(&[]) };
    (path, Config::load(&sources).map_err(|problems| problems.to_string()))
}

#[test]
fn one_bad_value_one_clear_sentence() {
    for (name, value, expected) in [
        ("GRAPH__PAGE_SIZE", "many", "is not a whole number; use 1 to 999"),
        ("GRAPH__PAGE_SIZE", "1000", "1000 is out of range; use 1 to 999"),
        ("GRAPH__ENDPOINT", "http://graph.example", "would send access tokens in plain text"),
        ("GRAPH__ENDPOINT", "graph.example", "is not a URL"),
        ("GRAPH__ENDPOINT", "ftp://graph.example", "is not a web address"),
        ("GRAPH__ENDPOINT", "https://me@graph.example", "carries more than a host"),
        ("GRAPH__BACKOFF_BASE", "50s", ""),
        (
            "GRAPH__BACKOFF_MAX",
            "10ms",
            "graph.backoff_base (default): is longer than graph.backoff_max",
        ),
        ("LEADER__LEASE", "4s", "is not longer than leader.ask_every and leader.patience together"),
        ("LEADER__INSTANCE", "a\u{7}b", "is no name; use up to 200 printable characters"),
        ("GRAPH__REQUEST_TIMEOUT", "60", "\"60\" is not a duration; use a number with its unit"),
        ("GRAPH__PAGESIZE", "5", "there is no such key; [graph] has backoff_base"),
        ("GRAF__PAGE_SIZE", "5", "there is no such key; did you mean graph.page_size?"),
        ("GRAF__SIZE", "5", "there is no such key; the sections are audit, database"),
        ("GRAPH", "5", "graph (DIRSYNC__GRAPH): is a section, not a value"),
        ("SCHEDULE__DELTA", "* * *", "is not a cron expression"),
        ("SCHEDULE__DELTA", "0 0 31 2 *", "names a date that never comes"),
        ("SCHEDULE__DELTA", "", "is empty"),
        ("SCHEDULE__DELTA", "0 */5 * * * *", ""),
        ("SCHEDULE__FULL", "0 0 3 * * * 2020", "it has 7 fields; use five fields such as"),
        ("SCHEDULE__FULL", "0 0 3 * * * *", "it has 7 fields"),
        (
            "SCHEDULE__TIME_ZONE",
            "CEST",
            "\"CEST\" is not a time zone; use an IANA name such as UTC",
        ),
        ("SCHEDULE__STARTUP", "yes", "is neither true nor false"),
        ("SCHEDULE__STOP_GRACE", "30s", "is not longer than database.statement_timeout"),
        ("SCOPE__GROUPS", "some", "\"some\" is not one of its words; use linked, all"),
        ("ROLES__ADMIN_GROUPS", "Admins", "\"Admins\" is not an object id"),
        ("GUARD__USERS_PERCENT", "0", "is not a share in percent"),
        ("GUARD__USERS_PERCENT", "NaN", "is not a share in percent"),
        ("HTTP__LISTEN", "8080", "is not an address with a port"),
        ("HTTP__REQUEST_TIMEOUT", "5s", "is not longer than the 5 s that /metrics waits"),
        ("HTTP__REQUEST_TIMEOUT", "5001ms", ""),
        ("IDENTITY__TENANT_ID", "contoso.example", "is not a GUID"),
        ("IDENTITY__TENANT_ID", "", "is not set, but the daemon serves one tenant"),
        ("IDENTITY__KIND", "managed_identity", ""),
        ("DATABASE__URL", "mysql://root:hunter2@db/x", "names no database that is supported"),
        ("DATABASE__URL", "sqlite://", "names no database that is supported"),
        ("DATABASE__URL_FILE", "/nowhere/hunter2", "cannot be read: entity not found"),
        ("REGISTRY__FILE", "/nowhere", "/nowhere is not a file"),
        ("AUDIT__VERIFY_EVERY", "off", ""),
        ("AUDIT__VERIFY_EVERY", "0s", "is out of range; use a number with its unit"),
        ("AUDIT__VERIFY_EVERY", "never", "such as 30s, 5m or 30d, from 1s to 2months 29days"),
    ] {
        match load(&[(name, value)]) {
            Ok(_) => assert_eq!(expected, "", "{name}={value} was accepted"),
            Err(text) => {
                assert!(!expected.is_empty() && text.contains(expected), "{name}={value}: {text}");
                assert!(text.starts_with("the configuration has 1 problem\n"), "{text}");
                assert!(text.contains("DIRSYNC__") || text.contains("(default)"), "{text}");
                assert!(!text.contains("hunter2"), "{text}");
            }
        }
    }
}

/// libpq quotes what it does not understand, so it must never be asked.
#[test]
fn a_database_url_that_libpq_would_quote_is_refused_without_a_piece_of_it() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("url");
    for (url, expected) in [
        ("postgres://u:hunter2%zz@127.0.0.1:1/db", "holds a %"),
        ("postgres://u:hunter2%@127.0.0.1:1/db", "holds a %"),
        ("postgres://u:hunter2%00@127.0.0.1:1/db", "holds a %"),
        ("postgres://u:hunter@ter2@127.0.0.1:1/db", "more than one @"),
        ("postgres://u:hunter/2@127.0.0.1:1/db", "port"),
        ("postgres://u:2/hunter@127.0.0.1:1/db", "in the database's name"),
        ("postgres://u:hunter?2@127.0.0.1:1/db", "port"),
        ("postgres://u:2?hunter=2@127.0.0.1:1/db", "that libpq does not know"),
        ("postgres://u:hunter 2@127.0.0.1:1/db", "white space"),
        ("postgres://u:hunter\t2@127.0.0.1:1/db", "white space"),
        ("postgres://u:hunter2@[::1/db", "does not enclose"),
        ("postgres://u:hunter2@[]:1/db", "does not enclose"),
        ("postgres://u:hunter2@[::1]hunter/db", "does not enclose"),
        ("postgres://u@127.0.0.1:0/db?password=hunter2", "port"),
        ("postgres://u:hunter2@127.0.0.1:65536/db", "port"),
        ("postgres://u:hunter2@127.0.0.1:+1/db", "port"),
        ("postgres://u@127.0.0.1:1/db?passwordhunter2", "of the form name=value"),
        ("postgres://u@127.0.0.1:1/db?password=hunter=2", "of the form name=value"),
        ("postgres://u@127.0.0.1:1/db?a=hunter2", "that libpq does not know"),
        ("postgres://u@127.0.0.1:1/db?port=hunter2", "port"),
        ("postgres://u:hunter2@127.0.0.1:1/db?sslmode=hunter2", "has an sslmode"),
        ("postgres://u:hunter2@127.0.0.1:1/db?ssl=hunter2", "has an ssl"),
        ("postgres://u:hunter2@127.0.0.1:1/db?connect_timeout=hunter2", "not a whole number"),
    ] {
        fs::write(&file, url).expect("a file");
        let by_file = file.to_str().expect("UTF-8");
        for (name, key, value) in
            [("DATABASE__URL", "url", url), ("DATABASE__URL_FILE", "url_file", by_file)]
        {
            // It is told among all others.
            let environment = environment(&[(name, value), ("GRAPH__PAGE_SIZE", "0")]);
            let sources = Sources { file: None, environment };
            let problems = Config::load(&sources).expect_err(url);
            let text = format!("{problems} {problems:?}");
            let source = format!("database.{key} (DIRSYNC__{name}): ");
            assert!(text.contains(&source) && text.contains(expected), "{url}: {text}");
            assert!(text.contains("%2F") && text.contains("graph.page_size"), "{text}");
            assert!(!text.contains("hunter") && !text.contains("ter2"), "{text}");
            let alone = Config::load_database(&sources).expect_err(url).to_string();
            assert!(alone.contains(&source) && !alone.contains("hunter"), "{alone}");
        }
    }
}

#[test]
fn a_database_in_memory_is_refused_with_the_reason() {
    for url in ["sqlite://:memory:", "sqlite://file::memory:", "sqlite://file:a?mode=memory"] {
        let text = load(&[("DATABASE__URL", url)]).expect_err(url);
        assert!(text.contains("a database in memory") && text.contains("name a file"), "{text}");
    }
}

#[test]
fn each_kind_of_credential_names_what_it_lacks() {
    for (kind, missing) in [
        ("client_secret", &["identity.client_id", "identity.client_secret_file"][..]),
        (
            "certificate",
            &["identity.certificate_file", "identity.client_id", "identity.private_key_file"],
        ),
        ("workload_identity", &["identity.client_id", "identity.federated_token_file"]),
        ("managed_identity", &[]),
        ("azure_cli", &[]),
    ] {
        let sources = Sources { file: None, environment: environment(&[("IDENTITY__KIND", kind)]) };
        let problems = Config::load(&sources).map_or_else(|problems| problems.0, |_| Vec::new());
        let keys: Vec<_> = problems.into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, missing, "{kind}");
    }
}

#[test]
fn all_problems_show_at_once_with_their_source() {
    let folder = TempDir::new().expect("a folder");
    let (path, result) = load_file(
        &folder,
        "[graph]\npage_size = 0\nspeed = 9\n[identity]\nkind = \"client_secret\"\nclient_secret = 12345\n[http]\nlisten = 80\n",
    );
    // The environment of `load_file` sets the kind, so the file's kind never counts.
    let path = path.display();
    let expected = format!(
        "the configuration has 4 problems\n  \
         graph.page_size ({path}): 0 is out of range; use 1 to 999\n  \
         graph.speed ({path}): there is no such key; [graph] has "
    );
    let text = result.expect_err("four problems");
    assert!(text.starts_with(&expected), "{text}");
    assert!(
        text.contains(&format!("http.listen ({path}): is not text; write it in quotes")),
        "{text}"
    );
    assert!(text.contains(&format!("identity.client_secret ({path}): is not text")), "{text}");
    assert!(!text.contains("12345"), "{text}");
}

#[test]
fn a_file_that_is_not_toml_or_not_there_is_named_without_quoting_it() {
    let folder = TempDir::new().expect("a folder");
    let (path, result) = load_file(&folder, "[identity]\n\nclient_secret = hunter2\n");
    let text = result.expect_err("not TOML");
    assert!(text.contains(&format!("{}: line 3 is not TOML", path.display())), "{text}");
    assert!(!text.contains("hunter2"), "{text}");

    let sources = Sources { file: Some("/nowhere.toml".into()), environment: environment(&[]) };
    let text = Config::load(&sources).expect_err("no file").to_string();
    assert!(text.contains("/nowhere.toml: cannot be read"), "{text}");
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("dirsync.toml");
    fs::write(&path, "[graph]\npage_size = 7\nbatch_size = 8\n").expect("a file");
    let environment =
        environment(&[("GRAPH__BATCH_SIZE", "9"), ("ROLES__ADMIN_GROUPS", &format!("{ID}, {ID}"))]);
    let config = Config::load(&Sources { file: Some(path), environment }).expect("good");
    assert_eq!(
        (config.graph.page_size, config.graph.batch_size, config.graph.retries_max),
        (7, 9, 6)
    );
    assert_eq!(config.roles.admin_groups.len(), 2);
}

#[test]
fn secrets_are_verbatim_read_late_and_never_shown() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("secret");
    fs::write(&path, "0123\n").expect("a file");
    let pairs = [("IDENTITY__KIND", "client_secret"), ("IDENTITY__CLIENT_ID", ID)];
    let secret_of = |extra| {
        let config = load(&[pairs.as_slice(), &[extra]].concat()).expect("good");
        let shown = format!("{config:?}");
        assert!(!shown.contains("0123") && !shown.contains("1e5"), "{shown}");
        match config.identity.credential {
            Credential::ClientSecret { secret, .. } => secret,
            other => panic!("{other:?}"),
        }
    };
    let read = |secret: &Secret| secret.read().expect("a secret").expose_secret().to_owned();

    // Numbers in disguise stay what they were.
    assert_eq!(read(&secret_of(("IDENTITY__CLIENT_SECRET", "1e5"))), "1e5");
    let secret = secret_of(("IDENTITY__CLIENT_SECRET_FILE", path.to_str().expect("UTF-8")));
    assert_eq!(read(&secret), "0123");
    fs::write(&path, "rotated\n").expect("a file");
    assert_eq!(read(&secret), "rotated");

    let both = [
        ("IDENTITY__CLIENT_SECRET", "a"),
        ("IDENTITY__CLIENT_SECRET_FILE", path.to_str().expect("UTF-8")),
    ];
    let text = load(&[pairs.as_slice(), &both].concat()).expect_err("two secrets");
    assert!(
        text.contains("identity.client_secret_file") && text.contains("set one of the two"),
        "{text}"
    );
}

#[cfg(unix)]
#[test]
fn a_public_secret_file_is_a_warning_an_empty_one_a_problem() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("url");
    let load = || load(&[("DATABASE__URL_FILE", path.to_str().expect("UTF-8"))]);

    fs::write(&path, "postgres://u:hunter2@db/x?sslmode=verify-full").expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    assert_eq!(load().expect("good").warnings.len(), 1);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
    assert!(load().expect("good").warnings.is_empty());
    fs::write(&path, "\n").expect("a file");
    assert!(load().expect_err("empty").contains("is empty or not text"));
}

#[cfg(unix)]
#[test]
fn secrets_in_a_public_configuration_file_are_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().expect("a folder");
    let text = "[database]\nurl = \"postgres://u:hunter2@localhost/x\"\n[identity]\nclient_secret = \"s3cr3t\"\n";
    let (path, config) = load_file(&folder, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    drop(config);
    let load = || {
        let sources = Sources { file: Some(path.clone()), environment: environment(&[]) };
        Config::load(&sources).expect("good").warnings
    };
    let warnings = load();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for key in ["database.url is a secret", "identity.client_secret is a secret"] {
        assert!(warnings.iter().any(|warning| warning.starts_with(key)), "{warnings:?}");
    }
    assert!(!warnings.concat().contains("hunter2") && !warnings.concat().contains("s3cr3t"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    assert_eq!(load(), [""; 0]);
}

/// A mistyped prefix must not leave a default in force without a word.
#[test]
fn a_variable_that_is_not_read_is_warned_about_without_its_value() {
    for (name, expected) in [
        ("DIRSYNC_DATABASE_URL", Some("DIRSYNC__DATABASE__URL")),
        ("DIRSYNC_DATABASE__URL", Some("DIRSYNC__DATABASE__URL")),
        ("DIRSYNC_IDENTITY_CLIENT_SECRET", Some("DIRSYNC__IDENTITY__CLIENT_SECRET")),
        ("DIRSYNC_SEED", Some("DIRSYNC__SECTION__KEY")),
        ("DIRSYNC_CONFIG", None),
        ("DIRSYNC__GRAPH__PAGE_SIZE", None),
        ("DIRSYNC_SERVICE_HOST", None),
        ("DIRSYNC_HTTP_PORT_8080_TCP_ADDR", None),
        ("DIRSYNC_PORT", None),
        ("PGSSLMODE", None),
    ] {
        let mut environment = environment(&[]);
        environment.insert(name.to_owned(), OsString::from("5"));
        let sources = Sources { file: None, environment };
        let warnings = Config::load(&sources).expect("good").warnings;
        assert_eq!(warnings, sources.unread(), "{name}");
        let told = expected
            .map(|meant| format!("{name} is not read, so it sets nothing; did you mean {meant}?"));
        assert_eq!(warnings, told.into_iter().collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn workload_identity_takes_what_kubernetes_injects() {
    let folder = TempDir::new().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "t").expect("a file");
    let config = load(&[
        ("IDENTITY__KIND", "workload_identity"),
        ("IDENTITY__TENANT_ID", ""),
        ("AZURE_TENANT_ID", "99999999-2222-3333-4444-555555555555"),
        ("AZURE_CLIENT_ID", ID),
        ("AZURE_FEDERATED_TOKEN_FILE", token.to_str().expect("UTF-8")),
        ("AZURE_AUTHORITY_HOST", "https://login.example/"),
    ])
    .expect("good");
    assert_eq!(config.identity.tenant_id.to_string(), "99999999-2222-3333-4444-555555555555");
    assert_eq!(config.identity.authority.as_str(), "https://login.example/");
    assert!(matches!(config.identity.credential, Credential::WorkloadIdentity { .. }));
}

#[test]
fn a_reload_names_what_needs_a_restart() {
    let before = load(&[]).expect("good");
    let same = load(&[("GRAPH__PAGE_SIZE", "5"), ("LOG__LEVEL", "debug")]).expect("good");
    assert!(before.restart_needed(&same).is_empty());
    let other = load(&[
        ("DATABASE__URL", "sqlite://x"),
        ("HTTP__LISTEN", "[::]:1"),
        ("LOG__FORMAT", "text"),
    ]);
    assert_eq!(
        before.restart_needed(&other.expect("good")),
        ["database.url", "http", "log.format"]
    );
}

#[test]
fn a_reload_names_a_url_whose_file_says_something_else() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("url");
    let read = |url: &str| {
        fs::write(&file, url).expect("a file");
        load(&[("DATABASE__URL_FILE", file.to_str().expect("UTF-8"))]).expect("good")
    };
    let before = read("postgres://nexus:old@127.0.0.1/nexus");
    let rotated = read("postgres://nexus:new@127.0.0.1/nexus");
    assert_eq!(before.restart_needed(&rotated), ["database.url"]);
    // It stays so until the restart, or until the file says again what is in use.
    let (used, _) = before.succeeded_by(rotated.clone());
    assert_eq!(used.restart_needed(&rotated), ["database.url"]);
    let back = read("postgres://nexus:old@127.0.0.1/nexus\n");
    assert!(used.restart_needed(&back).is_empty());
    assert!(!format!("{used:?}").contains("old@"));
}
