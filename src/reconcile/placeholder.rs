//! The addresses of rows that have none of their own, because `users.email` must hold one.
//!
//! Their domains are the daemon's: whatever a directory says, nobody claims such an
//! address. Must not know why somebody needs one.

use crate::directory::ObjectId;

/// Why a row has no address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// It gave its own up, to somebody who has more right to it.
    Removed,
    /// Others hold all that it may have.
    Conflict,
}

impl Placeholder {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Removed, Self::Conflict];

    const fn domain(self) -> &'static str {
        match self {
            Self::Removed => "removed.invalid",
            Self::Conflict => "conflict.invalid",
        }
    }

    /// The addresses that `id` may be given, the usual one first; the others are for the
    /// case that people wrote that into another row.
    pub fn addresses(self, id: ObjectId) -> impl Iterator<Item = String> {
        let domain = self.domain();
        let others = (2_u32..).map(move |number| format!("{id}-{number}@{domain}"));
        std::iter::once(format!("{id}@{domain}")).chain(others)
    }
}

/// Whether nobody may claim this address.
pub fn is_placeholder(address: &str) -> bool {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    Placeholder::ALL.iter().any(|kind| domain.eq_ignore_ascii_case(kind.domain()))
}
