//! Where requests may go.
//!
//! Owns the root of Graph and the check that every link received or stored leads
//! back to it: the access token travels with the request, so a link that leads
//! elsewhere would give it away. Must not look into a link beyond that; links are
//! opaque (traps 10, 13).

use url::{Host, Position, Url};

use super::error::Error;
use super::observe::Endpoint;

/// The version of Graph that is read.
const VERSION: &str = "v1.0";

/// Whether plain http is acceptable: traffic that never leaves the machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Refuses a base URL that would send credentials in the clear or carries what a base must not.
pub(super) fn check_base(key: &'static str, url: &Url) -> Result<(), Error> {
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
        return Err(Error::settings(key, "must use https (plain http only for a loopback host)"));
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(Error::settings(key, "must be scheme, host and port without query or user"));
    }
    Ok(())
}

/// Scheme, host and port, for comparing and for messages.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The root of Graph that this client was configured for.
#[derive(Clone, Debug)]
pub(super) struct Root {
    origin: String,
    base: String,
    /// The path under which everything of this version lies.
    path: String,
}

impl Root {
    pub(super) fn new(endpoint: &Url) -> Result<Self, Error> {
        check_base("graph.endpoint", endpoint)?;
        let base = endpoint.as_str().trim_end_matches('/');
        let base = base.strip_suffix(VERSION).unwrap_or(base).trim_end_matches('/');
        let root = endpoint.path().trim_end_matches('/');
        let root = root.strip_suffix(VERSION).unwrap_or(root).trim_end_matches('/');
        Ok(Self {
            origin: origin(endpoint),
            base: format!("{base}/{VERSION}"),
            path: format!("{root}/{VERSION}/"),
        })
    }

    /// The scope that tokens for this Graph need.
    pub(super) fn scope(&self) -> String {
        format!("{}/.default", self.origin)
    }

    /// The URL of one of our own requests; `path` is relative to the version and already encoded.
    pub(super) fn url(&self, endpoint: Endpoint, path: &str) -> Result<Url, Error> {
        Url::parse(&format!("{}/{path}", self.base)).map_err(|error| Error::Link {
            endpoint,
            reason: format!("it cannot be built ({error})"),
        })
    }

    /// A link as Graph gave it, if it leads back to the same Graph and goes out as it came in.
    ///
    /// `Url` escapes what a request line cannot carry as it is, and `'` besides; the octets
    /// named stay the same. Any other difference (dot segments, a dropped fragment, stripped
    /// white space) would ask for something else than Graph meant, and is refused.
    pub(super) fn follow(&self, endpoint: Endpoint, link: &str) -> Result<Url, Error> {
        let refuse = |reason: String| Err(Error::Link { endpoint, reason });
        let Ok(url) = Url::parse(link) else {
            return refuse("it is not a URL".to_owned());
        };
        let found = origin(&url);
        if found != self.origin {
            return refuse(format!(
                "it leads to {found} instead of {} (graph.endpoint)",
                self.origin
            ));
        }
        // Another version tells other things of the same objects.
        if !url.path().starts_with(&self.path) {
            return refuse(format!("it leads out of {} (graph.endpoint)", self.path));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it carries a user name".to_owned());
        }
        if !same_but_escaped(&url[Position::BeforePath..], target_of(link)) {
            return refuse("it would change when sent".to_owned());
        }
        Ok(url)
    }
}

/// Path, query and fragment of a link, as text.
fn target_of(link: &str) -> &str {
    let authority = link.find("://").map_or(link, |at| &link[at + 3..]);
    authority.find(['/', '?', '#']).map_or("", |at| &authority[at..])
}

/// Whether `sent` is `received` with nothing done to it but octets written as `%XX`, and no fragment lost.
fn same_but_escaped(sent: &str, received: &str) -> bool {
    let mut sent = sent.bytes();
    let same = received.bytes().all(|byte| match sent.next() {
        _ if byte == b'#' => false,
        Some(found) if found == byte => true,
        Some(b'%') => format!("{byte:02X}").bytes().all(|digit| sent.next() == Some(digit)),
        _ => false,
    });
    same && sent.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        Root::new(&Url::parse("https://graph.microsoft.com").expect("a URL"))
            .expect("a good endpoint")
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        let table = [
            ("https://graph.microsoft.com", true),
            ("https://graph.microsoft.us/", true),
            ("http://127.0.0.1:8080", true),
            ("http://127.3.2.1", true),
            ("http://localhost:1", true),
            ("http://[::1]:9", true),
            ("http://graph.microsoft.com", false),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("http://169.254.169.254", false),
            ("ftp://127.0.0.1", false),
            ("https://user@graph.microsoft.com", false),
            ("https://graph.microsoft.com?x=1", false),
        ];
        for (endpoint, good) in table {
            let url = Url::parse(endpoint).expect("a URL");
            assert_eq!(Root::new(&url).is_ok(), good, "{endpoint}");
        }
    }

    #[test]
    fn the_version_is_added_once() {
        for endpoint in ["https://h/", "https://h", "https://h/v1.0", "https://h/v1.0/"] {
            let root = Root::new(&Url::parse(endpoint).expect("a URL")).expect("good");
            assert_eq!(
                root.url(Endpoint::Users, "users").expect("a URL").as_str(),
                "https://h/v1.0/users"
            );
            assert_eq!(root.scope(), "https://h/.default");
        }
    }

    #[test]
    fn only_links_of_the_same_graph_are_followed() {
        let table = [
            ("https://graph.microsoft.com/v1.0/users?$skiptoken=x", true),
            ("https://GRAPH.microsoft.com:443/v1.0/users", true),
            ("https://graph.microsoft.us/v1.0/users", false),
            ("http://graph.microsoft.com/v1.0/users", false),
            ("https://graph.microsoft.com:8443/v1.0/users", false),
            ("https://graph.microsoft.com.evil.example/v1.0/users", false),
            ("https://graph.microsoft.com@evil.example/v1.0/users", false),
            ("https://user:pw@graph.microsoft.com/v1.0/users", false),
            ("//graph.microsoft.com/v1.0/users", false),
            ("https://graph.microsoft.com/beta/users/delta?$deltatoken=x", false),
            ("https://graph.microsoft.com/v1.01/users", false),
            ("https://graph.microsoft.com/v1.0", false),
            ("https://graph.microsoft.com/v1.0/../beta/users", false),
            ("https://graph.microsoft.com/x/v1.0/users", false),
            ("/v1.0/users", false),
            ("", false),
        ];
        for (link, good) in table {
            assert_eq!(root().follow(Endpoint::Users, link).is_ok(), good, "{link}");
        }
    }

    #[test]
    fn a_root_below_a_path_takes_links_below_it() {
        for endpoint in ["https://h/graph", "https://h/graph/v1.0/"] {
            let root = Root::new(&Url::parse(endpoint).expect("a URL")).expect("good");
            for (link, good) in
                [("https://h/graph/v1.0/users", true), ("https://h/v1.0/users", false)]
            {
                assert_eq!(root.follow(Endpoint::Users, link).is_ok(), good, "{endpoint} {link}");
            }
        }
    }

    #[test]
    fn trap_10_a_link_goes_out_as_it_came_in() {
        let base = "https://graph.microsoft.com/v1.0/users/delta";
        let table = [
            ("?$deltatoken=a+b/c==", Some("?$deltatoken=a+b/c==")),
            ("?%24deltatoken=a%2Bb%2fc%3D&x=%27", Some("?%24deltatoken=a%2Bb%2fc%3D&x=%27")),
            ("()?$skiptoken=x_9-1~.!*;:@,|^`{}[]\\", Some("()?$skiptoken=x_9-1~.!*;:@,|^`{}[]\\")),
            ("?$filter=id in ('a')", Some("?$filter=id%20in%20(%27a%27)")),
            ("?$skiptoken=é", Some("?$skiptoken=%C3%A9")),
            ("?$skiptoken=a#b", None),
            ("/../users?$skiptoken=a", None),
            ("?$skiptoken=a\tb", None),
        ];
        for (target, sent) in table {
            let followed = root().follow(Endpoint::UsersDelta, &format!("{base}{target}"));
            let followed = followed.ok().map(|url| url.as_str()[base.len()..].to_owned());
            assert_eq!(followed.as_deref(), sent, "{target}");
        }
    }

    #[test]
    fn trap_13_a_refused_link_is_named_without_its_query() {
        let error = root()
            .follow(Endpoint::UsersDelta, "https://evil.example:1/x?$deltatoken=secret")
            .expect_err("refused");
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("https://evil.example:1")
                && !text.contains("secret")
                && !text.contains("/x"),
            "{text}"
        );
    }

    /// The octets that a text names, `%XX` or not.
    fn octets(text: &str) -> Vec<u8> {
        let mut rest = text.as_bytes();
        let mut named = Vec::new();
        while let [first, tail @ ..] = rest {
            let escaped = match tail {
                [high, low, ..] if *first == b'%' => {
                    let digits = [*high, *low];
                    std::str::from_utf8(&digits)
                        .ok()
                        .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                }
                _ => None,
            };
            named.push(escaped.unwrap_or(*first));
            rest = if escaped.is_some() { &tail[2..] } else { tail };
        }
        named
    }

    proptest::proptest! {
        #[test]
        fn any_link_names_the_same_octets_when_sent_or_is_refused(target in "[/?.%'#+ -~é\t\\\\]{0,40}") {
            let link = format!("https://graph.microsoft.com/v1.0/users/delta?{target}");
            if let Ok(url) = root().follow(Endpoint::UsersDelta, &link) {
                proptest::prop_assert_eq!(octets(url.as_str()), octets(&link));
                proptest::prop_assert!(url.fragment().is_none());
            }
        }
    }
}
