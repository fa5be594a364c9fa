//! What a PostgreSQL URL must look like, so that libpq understands it as it was meant.
//!
//! Owns the form. libpq quotes what it does not understand, and that may be a piece of
//! the password; so whatever it would not understand is refused before, in words that
//! hold nothing of the URL. Must not warn about a URL that works.

use super::problem::Fault;

/// How to write one.
const REMEDY: &str = "use postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full, and encode / : % @ # ? and spaces in the password as %2F %3A %25 %40 %23 %3F %20";

/// What libpq takes as `sslmode`.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Every parameter that libpq takes in a URL, and `ssl`, which it reads as an `sslmode`.
const PARAMETERS: &str = "service servicefile user password passfile channel_binding connect_timeout dbname host hostaddr port client_encoding options application_name fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout ssl sslmode sslnegotiation sslcompression sslcert sslkey sslcertmode sslpassword sslrootcert sslcrl sslcrldir sslsni requirepeer require_auth min_protocol_version max_protocol_version ssl_min_protocol_version ssl_max_protocol_version gssencmode krbsrvname gsslib gssdelegation replication target_session_attrs load_balance_hosts scram_client_key scram_server_key oauth_issuer oauth_client_id oauth_client_secret oauth_scope sslkeylogfile";

/// Parameters that are whole numbers.
const NUMBERS: [&str; 6] = [
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// What keeps libpq from understanding a URL, if it is a PostgreSQL one.
pub(super) fn fault(url: &str) -> Option<Fault> {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
    check(rest).err().map(|what| Fault::new(what, REMEDY))
}

fn check(rest: &str) -> Result<(), &'static str> {
    if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("holds white space or a control character");
    }
    if !is_encoded(rest) {
        return Err("holds a % that is not followed by two hexadecimal digits, or %00");
    }
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, name) = before.split_once('/').unwrap_or((before, ""));
    if authority.matches('@').count() > 1 {
        return Err("holds more than one @ before the database's name");
    }
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    hosts.split(',').try_for_each(check_host)?;
    if name.contains(['@', '/']) {
        return Err("holds an @ or a second / in the database's name");
    }
    query.split_terminator('&').try_for_each(check_parameter)
}

/// Whether each `%` begins an octet, and one that may stand in a text of C.
fn is_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.get(..2).unwrap_or_default();
        digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()) && digits != "00"
    })
}

fn check_host(host: &str) -> Result<(), &'static str> {
    let port = match host.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((address, after)) if !address.is_empty() => {
                after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))
            }
            _ => None,
        }
        .ok_or("holds a [ that does not enclose an IPv6 address")?,
        None => host.split_once(':').map_or("", |(_, port)| port),
    };
    check_port(port)
}

fn check_port(port: &str) -> Result<(), &'static str> {
    let is_port =
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0);
    if port.is_empty() || is_port { Ok(()) } else { Err("has a port that is not 1 to 65535") }
}

fn check_parameter(pair: &str) -> Result<(), &'static str> {
    let Some((name, value)) = pair.split_once('=').filter(|(_, value)| !value.contains('=')) else {
        return Err("has a parameter after ? that is not of the form name=value");
    };
    match name {
        "sslmode" if !SSL_MODES.contains(&value) => Err(
            "has an sslmode that is not disable, allow, prefer, require, verify-ca or verify-full",
        ),
        "ssl" if value != "true" => Err("has an ssl that is not true; sslmode says more"),
        // libpq quotes these even when it has begun to connect.
        _ if NUMBERS.contains(&name) && value.parse::<i32>().is_err() => {
            Err("has a parameter after ? whose value is not a whole number")
        }
        "port" => value.split(',').try_for_each(check_port),
        _ if PARAMETERS.split(' ').any(|known| known == name) => Ok(()),
        _ => Err("has a parameter after ? that libpq does not know"),
    }
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn what_libpq_understands_is_good() {
        for url in [
            "postgres://me:pw@db.example:5432/nexus?sslmode=verify-full&sslrootcert=/ca.pem",
            "postgresql://me:p%40w%2f%25@db.example/nexus",
            "postgres://me:a:b#c@db.example/nexus?",
            "postgres://db.example:/nexus?user=me@server&password=pw&",
            "postgres://[::1]:5432,[fd00::1],db.example:5433/nexus",
            "postgres://%2Frun%2Fpostgresql/nexus?connect_timeout=3&keepalives=1",
            "postgres:///nexus?host=/run/postgresql&port=5432,5433",
            "postgres://",
            "sqlite://a b%zz@@",
        ] {
            assert!(fault(url).is_none(), "{url}");
        }
    }
}
