//! How well the way to a PostgreSQL server is protected, as far as its URL tells.
//!
//! Owns the words of the warning. Must not connect, and must not show the URL: it
//! holds a password. libpq reads the URL itself; here it is only looked at.

use std::net::IpAddr;

use super::layers::Sources;

/// What libpq makes of a URL that does not say.
const DEFAULT_MODE: &str = "prefer";

/// What libpq takes from the environment where the URL says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Environment<'e> {
    /// `PGSSLMODE`.
    mode: Option<&'e str>,
    /// `PGHOST`.
    host: Option<&'e str>,
    /// `PGHOSTADDR`.
    addr: Option<&'e str>,
}

impl<'e> Environment<'e> {
    pub(super) fn of(sources: &'e Sources) -> Self {
        Self {
            mode: sources.variable("PGSSLMODE"),
            host: sources.variable("PGHOST"),
            addr: sources.variable("PGHOSTADDR"),
        }
    }
}

/// What is wrong with the way to the server, if anything.
pub(super) fn warning(url: &str, environment: &Environment<'_>) -> Option<String> {
    let url = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
    let (rest, query) = url.split_once('?').unwrap_or((url, ""));
    let parameter = |name| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    // Without a name the URL's host may still have a port.
    let named = Some(hosts).filter(|hosts| !hosts.is_empty() && !hosts.starts_with(':'));
    let hosts = parameter("host").or(named).or(environment.host).unwrap_or_default();
    let addresses = parameter("hostaddr").or(environment.addr).unwrap_or_default();
    if is_all_of_this_machine(hosts, addresses) {
        return None;
    }
    let mode = parameter("sslmode").or(environment.mode).unwrap_or(DEFAULT_MODE);
    let what = match mode {
        "disable" | "allow" | "prefer" => {
            "lets the password and everybody's data travel in plain text"
        }
        "require" => "encrypts, but to whoever answers: the server need not prove who it is",
        "verify-ca" => "takes any server that the authority vouches for, whatever its name",
        _ => return None,
    };
    Some(format!(
        "database.url: sslmode={mode} {what}; set sslmode=verify-full and sslrootcert=FILE with the certificate of the server's authority"
    ))
}

/// Whether a PostgreSQL URL carries a password.
pub(super) fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || rest.contains("?password=") || rest.contains("&password=")
}

/// Two lists of the same servers: where one has an address, its name is not looked up.
fn is_all_of_this_machine(hosts: &str, addresses: &str) -> bool {
    let mut hosts = hosts.split(',');
    let mut addresses = addresses.split(',');
    loop {
        match (addresses.next(), hosts.next()) {
            (None, None) => return true,
            (Some(address), _) if !is_of_this_machine(address) => return false,
            (None | Some(""), Some(host)) if !is_of_this_machine(host) => return false,
            _ => {}
        }
    }
}

/// Whether nobody else's cable lies between: a socket, or a loopback address.
fn is_of_this_machine(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or(host),
        None => host,
    };
    let folder = bare.starts_with(['/', '@']) || bare.to_ascii_lowercase().starts_with("%2f");
    bare.is_empty()
        || folder
        || bare == "localhost"
        || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Environment, has_password, warning};

    #[test]
    fn a_password_is_noticed_wherever_it_stands() {
        for (url, expected) in [
            ("postgres://me:pw@db.example/nexus", true),
            ("postgres://me@db.example:5432/nexus", false),
            ("postgres://db.example/nexus?user=me&password=pw", true),
            ("postgres:///nexus?password=pw", true),
            ("postgres://%2Frun/nexus", false),
            ("sqlite:///a:b@c", false),
        ] {
            assert_eq!(has_password(url), expected, "{url}");
        }
    }

    #[test]
    fn where_the_environment_sends_it_counts() {
        let unset = (None, None);
        for (url, (host, addr), warned) in [
            ("postgres:///nexus", unset, false),
            ("postgres:///nexus", (Some("db.example"), None), true),
            ("postgres://:5432/nexus", (Some("db.example"), None), true),
            ("postgres:///nexus", (Some("localhost,db.example"), None), true),
            ("postgres:///nexus", (Some("/run/postgresql"), None), false),
            ("postgres:///nexus", (Some("@postgresql"), None), false),
            ("postgres:///nexus", (Some("::1"), None), false),
            ("postgres:///nexus", (None, Some("192.0.2.1")), true),
            ("postgres:///nexus", (Some("db.example"), Some("127.0.0.1")), false),
            ("postgres://localhost/nexus", (Some("db.example"), None), false),
            ("postgres://localhost/nexus", (None, Some("192.0.2.1")), true),
            ("postgres:///nexus?host=/run", (Some("db.example"), None), false),
            ("postgres:///nexus?host=/run", (None, Some("192.0.2.1")), true),
            ("postgres:///nexus?hostaddr=127.0.0.1", (None, Some("192.0.2.1")), false),
            ("postgres://db.example/nexus", (None, Some("127.0.0.1")), false),
            ("postgres://a,db.example/nexus", (None, Some("127.0.0.1,")), true),
            ("postgres://a,localhost/nexus", (None, Some("127.0.0.1,")), false),
            ("postgres:///nexus?sslmode=verify-full", (Some("db.example"), None), false),
            ("sqlite://here.db", (Some("db.example"), None), false),
        ] {
            let environment = Environment { mode: None, host, addr };
            assert_eq!(warning(url, &environment).is_some(), warned, "{url} {host:?} {addr:?}");
        }
    }

    #[test]
    fn only_verify_full_or_this_machine_is_silent() {
        for (url, mode, expected) in [
            ("postgres://me:pw@db.example/nexus", None, Some("sslmode=prefer lets")),
            ("postgresql://db.example:5432", None, Some("sslmode=prefer lets")),
            ("postgres://me@db.example/nexus?sslmode=disable", None, Some("sslmode=disable lets")),
            ("postgres://db.example/?sslmode=require", None, Some("need not prove")),
            ("postgres://db.example/?sslmode=verify-ca", None, Some("whatever its name")),
            ("postgres://db.example/?a=b&sslmode=verify-full&sslrootcert=/ca", None, None),
            ("postgres://db.example/", Some("verify-full"), None),
            ("postgres://db.example/?sslmode=disable", Some("verify-full"), Some("disable")),
            ("postgres://me:p@w@localhost:5432/nexus", None, None),
            ("postgres://127.0.0.1/", None, None),
            ("postgres://[::1]:5432/", None, None),
            ("postgres://[fd00::1]:5432/", None, Some("prefer")),
            ("postgres://%2Frun%2Fpostgresql/nexus", None, None),
            ("postgres:///nexus?host=/run/postgresql", None, None),
            ("postgres:///nexus?host=db.example", None, Some("prefer")),
            ("postgres://localhost,db.example/nexus", None, Some("prefer")),
            ("postgres:///nexus", None, None),
            ("sqlite://here.db", None, None),
        ] {
            let told = warning(url, &Environment { mode, ..Environment::default() });
            match expected {
                None => assert_eq!(told, None, "{url}"),
                Some(part) => {
                    let told = told.unwrap_or_else(|| panic!("{url} is silent"));
                    assert!(told.contains(part) && !told.contains("pw"), "{url}: {told}");
                }
            }
        }
    }
}
