//! What the simulated company looks like.
//!
//! Owns its size and its oddities. Whom and what the registry names exists, once each;
//! all else is made up, and the same in every demonstration.

use std::collections::BTreeSet;

use graph_simulator::{Shape, Tenant, generate};

use crate::directory::{fold_case, person_key};
use crate::reconcile::world::RegistryEntry;

/// Groups that the registry does not name.
const OTHER_GROUPS: usize = 150;

/// A company in which everything exists that the registry names.
pub(super) fn found(registry: &[RegistryEntry]) -> Tenant {
    generate(&shape(registry))
}

fn shape(registry: &[RegistryEntry]) -> Shape {
    let named_groups = group_names(registry);
    Shape {
        seed: 2026,
        users: 3_000,
        groups: named_groups.len() + OTHER_GROUPS,
        memberships: 9_000,
        nesting: 0.15,
        guests: 0.08,
        disabled: 0.04,
        odd_names: true,
        people: owners(registry),
        named_groups,
        ..Shape::default()
    }
}

/// Each group that the registry names, once.
pub(super) fn group_names(registry: &[RegistryEntry]) -> Vec<String> {
    once_each(registry.iter().flat_map(|entry| &entry.groups), fold_case)
}

/// Each owner once: the registry writes some of them now with accents, now without.
fn owners(registry: &[RegistryEntry]) -> Vec<String> {
    once_each(registry.iter().filter_map(|entry| entry.owner.as_ref()), person_key)
}

fn once_each<'a>(
    names: impl Iterator<Item = &'a String>,
    key: impl Fn(&str) -> String,
) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(key(name))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(group: &str, owner: &str) -> RegistryEntry {
        RegistryEntry {
            product: format!("{group}-product"),
            description: String::new(),
            groups: vec![group.to_owned()],
            owner: Some(owner.to_owned()),
        }
    }

    #[test]
    fn who_is_written_in_two_ways_is_one_person() {
        let registry = [
            entry("GRP-A", "Sébastien Lescure"),
            entry("GRP-B", "Sebastien Lescure"),
            entry("grp-a", "Yannick Gosset"),
        ];
        assert_eq!(owners(&registry), ["Sébastien Lescure", "Yannick Gosset"]);
        assert_eq!(group_names(&registry), ["GRP-A", "GRP-B"]);
    }

    #[test]
    fn everything_that_the_registry_names_exists() {
        let registry = [entry("GRP-A", "Ada Lovelace"), entry("GRP-B", "Alan Turing")];
        let company = found(&registry);
        for name in ["GRP-A", "GRP-B"] {
            assert_eq!(company.groups().filter(|group| group.display_name == name).count(), 1);
        }
        assert_eq!(company.users().count(), 3_000);
        assert!(company.users().any(|user| user.account_enabled == Some(false)));
        assert!(company.users().any(|user| user.user_type.as_deref() == Some("Guest")));
    }
}
