//! Whose the rows are that people made: whoever has one is in scope, member or not.
//!
//! A full run asks Graph for every address of such a row; a delta run only for those that
//! somebody it met has, so that the same address of a second account is known, too.
//! Whether a row is adopted is planning's to say.

use std::collections::BTreeSet;

use super::{Reader, present};
use crate::directory::{Seen, UserFacts, fold_case};
use crate::reconcile::fold::Part;
use crate::reconcile::world::preferred_address;
use crate::sync::Error;

/// No address of a directory is longer (64 and 255 characters around the `@`).
const ADDRESS_CHARS_MAX: usize = 320;

impl Reader<'_> {
    /// Takes in who may adopt a row made by people. Last of all reads: what a filter
    /// finds may be older than what a round said, so it counts only for people not met yet.
    pub(super) async fn match_rows_made_by_hand(&mut self) -> Result<(), Error> {
        let rows = self.rows_made_by_hand().await?;
        if rows.is_empty() {
            return Ok(());
        }
        let is_match =
            |facts: &UserFacts| address(facts).is_some_and(|address| rows.contains(&address));
        let met = self.parts.iter().flat_map(|part| &part.users);
        let met = met.filter(|(_, seen)| matches!(seen, Seen::Present(facts) if is_match(facts)));
        self.admitted_users.extend(met.map(|(id, _)| *id));
        let mut found = self.sync.directory.users_by_address(&rows).await?;
        found.retain(|id, facts| !self.met_users.contains_key(id) && is_match(facts));
        self.matched.extend(found.keys());
        if self.listed_at.is_none() {
            self.load_stored(found.keys().copied().collect(), BTreeSet::new()).await?;
        }
        found.retain(|id, _| !self.stored_users.contains_key(id));
        self.admitted_users.extend(found.keys());
        self.take(Part { users: present(found), ..Part::default() });
        Ok(())
    }

    /// The addresses to ask for, folded. Where everybody is read there are none.
    async fn rows_made_by_hand(&self) -> Result<BTreeSet<String>, Error> {
        if self.sync.settings.all_users {
            return Ok(BTreeSet::new());
        }
        let among = self.listed_at.is_none().then(|| self.addresses_met());
        if among.as_ref().is_some_and(BTreeSet::is_empty) {
            return Ok(BTreeSet::new());
        }
        let rows = self.sync.store.read(move |tx| tx.hand_made_addresses(among.as_ref())).await?;
        Ok(rows.into_iter().filter(|row| is_askable(row)).collect())
    }

    fn addresses_met(&self) -> BTreeSet<String> {
        let met = self.parts.iter().flat_map(|part| part.users.values());
        met.filter_map(|seen| match seen {
            Seen::Present(facts) => address(facts),
            Seen::Gone(..) => None,
        })
        .collect()
    }
}

/// The address, folded, with which somebody may adopt a row; a guest never does.
fn address(facts: &UserFacts) -> Option<String> {
    preferred_address(facts).filter(|_| !facts.is_guest()).map(fold_case)
}

/// Whether a directory could have this address. People write what they like into a row,
/// and one filter that Graph refuses would fail the run.
fn is_askable(address: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let parts = address
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    parts && !address.contains(odd) && address.chars().count() <= ADDRESS_CHARS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_directory_could_have_is_asked_for() {
        let long = format!("{}@x", "a".repeat(ADDRESS_CHARS_MAX));
        for (text, expected) in [
            ("ada@x", true),
            ("o'neil@contoso.example", true),
            ("guest_x#ext#@t", true),
            ("émile@x", true),
            ("", false),
            ("root", false),
            ("@x", false),
            ("ada@", false),
            ("a@b@x", false),
            ("ada lovelace@x", false),
            ("nul\u{0}@x", false),
            (&long, false),
        ] {
            assert_eq!(is_askable(text), expected, "{text:?}");
        }
    }
}
