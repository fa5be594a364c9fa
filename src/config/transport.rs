//! How well the way to a PostgreSQL server is protected, as far as its URL tells.
//!
//! Owns the words of the warning. Must not connect, and must not show the URL: it
//! holds a password. libpq reads the URL itself; here it is only looked at.

use std::net::IpAddr;

/// What libpq makes of a URL that does not say.
const DEFAULT_MODE: &str = "prefer";

/// What is wrong with the way to the server, if anything. `mode` is `PGSSLMODE` of the
/// environment, which libpq takes where the URL says nothing.
pub(super) fn warning(url: &str, mode: Option<&str>) -> Option<String> {
    let url = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
    let (rest, query) = url.split_once('?').unwrap_or((url, ""));
    let parameter = |name| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let hosts = parameter("hostaddr").or_else(|| parameter("host")).unwrap_or(hosts);
    if hosts.split(',').all(is_of_this_machine) {
        return None;
    }
    let mode = parameter("sslmode").or(mode).unwrap_or(DEFAULT_MODE);
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

/// Whether nobody else's cable lies between: a socket, or a loopback address.
fn is_of_this_machine(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or(host),
        None => host,
    };
    let folder = bare.starts_with('/') || bare.to_ascii_lowercase().starts_with("%2f");
    bare.is_empty()
        || folder
        || bare == "localhost"
        || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{has_password, warning};

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
            let told = warning(url, mode);
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
