//! What is stored beside the delta links: what they are of, whether they were believed, and
//! what was rehearsed when they were taken.
//!
//! Owns that text. Must not decide what follows from a difference.

use std::fmt;

use sha2::{Digest, Sha256};

use super::Settings;
use crate::reconcile::world::RegistryEntry;

const IN_DOUBT: &str = ";in doubt";
const REGISTRY: &str = ";registry=";
const REHEARSING: &str = ";rehearsing";
const REHEARSING_UNREAD: &str = ";rehearsing unread";

/// One such text, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// What the links depend on: no other links are usable.
    pub(super) links: String,
    /// Links that a run did not believe: the next run reads everything.
    pub(super) in_doubt: bool,
    /// What the registry asked for.
    pub(super) registry: String,
    /// What of the scope nobody has seen yet.
    pub(super) rehearsing: Rehearsing,
}

/// What a rehearsal has left to be rehearsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rehearsing {
    /// Nothing.
    #[default]
    Nothing,
    /// Groups whose members could not be read.
    Unread,
    /// Everything: a read was not believed, or not everybody whom it left out could be asked
    /// for.
    Everything,
}

impl Rehearsing {
    const fn mark(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Unread => REHEARSING_UNREAD,
            Self::Everything => REHEARSING,
        }
    }

    fn strip(text: &str) -> (&str, Self) {
        for left in [Self::Unread, Self::Everything] {
            if let Some(text) = text.strip_suffix(left.mark()) {
                return (text, left);
            }
        }
        (text, Self::Nothing)
    }
}

impl Stamp {
    /// Of links that are taken under these settings.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            links: settings.fingerprint(),
            in_doubt: false,
            registry: registry(settings.registry.as_deref().map(Vec::as_slice)),
            rehearsing: Rehearsing::Nothing,
        }
    }

    /// As it is stored. What no version of this wrote is something else in every part.
    pub(super) fn read(text: &str) -> Self {
        let (text, rehearsing) = Rehearsing::strip(text);
        let (text, registry) = text.rsplit_once(REGISTRY).unwrap_or((text, ""));
        let (text, in_doubt) = text.strip_suffix(IN_DOUBT).map_or((text, false), |it| (it, true));
        Self { links: text.to_owned(), in_doubt, registry: registry.to_owned(), rehearsing }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { links, in_doubt, registry, rehearsing } = self;
        let in_doubt = if *in_doubt { IN_DOUBT } else { "" };
        write!(f, "{links}{in_doubt}{REGISTRY}{registry}{}", rehearsing.mark())
    }
}

/// What decides about access; descriptions do not, nor does the order of entries.
fn registry(entries: Option<&[RegistryEntry]>) -> String {
    let Some(entries) = entries else { return "none".to_owned() };
    let mut asked: Vec<_> = entries
        .iter()
        .map(|RegistryEntry { product, description: _, groups, owner }| {
            let mut groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            groups.sort_unstable();
            (product.as_str(), groups, owner.as_deref())
        })
        .collect();
    asked.sort_unstable();
    let text = serde_json::to_string(&asked).expect("texts are plain data");
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let left = [Rehearsing::Nothing, Rehearsing::Unread, Rehearsing::Everything];
        for (in_doubt, rehearsing) in left.into_iter().flat_map(|it| [(false, it), (true, it)]) {
            let stamp = Stamp {
                links: "query;groups=linked;admins=a,b".to_owned(),
                in_doubt,
                registry: registry(Some(&[])),
                rehearsing,
            };
            assert_eq!(Stamp::read(&stamp.to_string()), stamp);
        }
        assert_eq!(Stamp::read("another query").links, "another query");
    }

    #[test]
    fn what_does_not_decide_about_access_does_not_count() {
        let entry = |product: &str, description: &str, groups: &[&str], owner: Option<&str>| {
            RegistryEntry {
                product: product.to_owned(),
                description: description.to_owned(),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
                owner: owner.map(str::to_owned),
            }
        };
        let one = [entry("a", "x", &["g", "h"], None), entry("b", "", &[], Some("ada"))];
        let same = [entry("b", "y", &[], Some("ada")), entry("a", "", &["h", "g"], None)];
        assert_eq!(registry(Some(&one)), registry(Some(&same)));
        for other in [
            [entry("a", "x", &["g"], None), entry("b", "", &[], Some("ada"))],
            [entry("a", "x", &["g", "h"], None), entry("b", "", &[], Some("bob"))],
            [entry("a", "x", &["g", "h"], None), entry("b", "", &[], None)],
        ] {
            assert_ne!(registry(Some(&one)), registry(Some(&other)));
        }
        assert_ne!(registry(None), registry(Some(&[])));
    }
}
