//! What must have been seen before anything may be taken away.
//!
//! Owns the checks that make a read complete, and the values that only such a read can
//! make: a [`Whole`] list, the [`Changes`] of a round, a [`Grave`], a [`Departure`]. They
//! have no other constructor, so a removal without its proof cannot be written down. Must
//! not read anything: whoever reads tells a [`Trail`] what each page was, and the trail
//! refuses a chain that broke off.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Evidence, Member, ObjectId, Tombstone};

/// Where an answer can be found again: in Graph's own logs, by a support case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Graph's `request-id`, where it sent one.
    pub request_id: Option<Uuid>,
    /// Graph's `Date`, where it sent one.
    pub at: Option<DateTime<Utc>>,
}

/// What a proof rests on, as the audit keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The kind of proof.
    pub evidence: Evidence,
    /// The last answer that it took.
    pub receipt: Receipt,
    /// How many answers it took: pages of the chain, or questions by id.
    pub answers: u32,
}

/// How a chain of pages has to end.
pub trait Ending: sealed::Sealed + Clone + Copy + fmt::Debug + PartialEq + Eq {
    /// What a chain that ended so is evidence of.
    const EVIDENCE: Evidence;
    /// Whether the last page must have a delta link.
    const NEEDS_DELTA_LINK: bool;
}

/// A list ends where there is no next link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEnd {}

/// A delta round ends in its delta link and in nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundEnd {}

impl Ending for ListEnd {
    const EVIDENCE: Evidence = Evidence::CompleteRead;
    const NEEDS_DELTA_LINK: bool = false;
}

impl Ending for RoundEnd {
    const EVIDENCE: Evidence = Evidence::DeltaTombstone;
    const NEEDS_DELTA_LINK: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ListEnd {}
    impl Sealed for super::RoundEnd {}
}

/// What one page was, apart from its objects.
#[derive(Clone, Copy, Debug)]
pub struct PageSeen<'a> {
    /// HTTP status, of the item where it came in a `$batch`.
    pub status: u16,
    /// Whether it had its `value`; a page without is not an empty one.
    pub has_value: bool,
    /// Where it says that the chain goes on.
    pub next: Option<&'a str>,
    /// Its delta link.
    pub delta: Option<&'a str>,
    /// Where the answer can be found again.
    pub receipt: Receipt,
}

/// Why a chain proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// A page was no plain success: 206, say, is a part.
    Status(u16),
    /// A page came without its `value`.
    NoValue,
    /// A link came up twice, after so many pages (trap 4).
    Repeated(u32),
    /// The chain goes on after as many pages as are allowed.
    TooLong(u32),
    /// A round ended without its delta link.
    NoDeltaLink,
}

/// What comes after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<E> {
    /// Its next link is to be followed.
    More,
    /// The chain is complete, and this proves it.
    End(Proof<E>),
}

/// A chain of pages on the way to its end. Checks each page as it comes; after a [`Gap`]
/// there is no way to a [`Proof`] but to begin again.
#[derive(Debug)]
pub struct Trail<E> {
    pages_max: u32,
    pages: u32,
    links: HashSet<String>,
    broken: Option<Gap>,
    ending: PhantomData<E>,
}

impl<E: Ending> Trail<E> {
    /// A chain whose first page is at `link`, of at most so many pages.
    pub fn start(link: impl Into<String>, pages_max: u32) -> Self {
        let links = HashSet::from([link.into()]);
        Self { pages_max, pages: 0, links, broken: None, ending: PhantomData }
    }

    /// Pages taken so far.
    pub const fn pages(&self) -> u32 {
        self.pages
    }

    /// Takes the next page of the chain.
    ///
    /// # Errors
    /// The [`Gap`] that it shows, and that one again for every page after it.
    pub fn page(&mut self, page: &PageSeen<'_>) -> Result<Step<E>, Gap> {
        if self.broken.is_none() {
            self.pages += 1;
            self.broken = self.gap(page);
        }
        match (self.broken, page.next) {
            (Some(gap), _) => Err(gap),
            (None, Some(_)) => Ok(Step::More),
            (None, None) => Ok(Step::End(Proof {
                record: Record {
                    evidence: E::EVIDENCE,
                    receipt: page.receipt,
                    answers: self.pages,
                },
                ending: PhantomData,
            })),
        }
    }

    fn gap(&mut self, page: &PageSeen<'_>) -> Option<Gap> {
        let links_delta = page.delta.is_some_and(|link| !link.is_empty());
        match page.next {
            _ if page.status != 200 => Some(Gap::Status(page.status)),
            _ if !page.has_value => Some(Gap::NoValue),
            // A page with both links has more pages; its delta link would skip them.
            Some(next) if !self.links.insert(next.to_owned()) => Some(Gap::Repeated(self.pages)),
            Some(_) if self.pages >= self.pages_max => Some(Gap::TooLong(self.pages)),
            None if E::NEEDS_DELTA_LINK && !links_delta => Some(Gap::NoDeltaLink),
            _ => None,
        }
    }
}

/// A chain of pages was read from its first to its last, and each page was whole. Only
/// [`Trail::page`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof<E> {
    record: Record,
    ending: PhantomData<E>,
}

impl<E: Ending> Proof<E> {
    /// What it rests on.
    pub const fn record(&self) -> Record {
        self.record
    }
}

impl Proof<ListEnd> {
    /// What the list held, whole.
    pub const fn whole<T>(self, value: T) -> Whole<T> {
        Whole { value, proof: self }
    }
}

impl Proof<RoundEnd> {
    /// What the round said of the members of one group.
    pub const fn changes(self, moves: BTreeMap<Member, bool>) -> Changes {
        Changes { moves, proof: self }
    }
}

/// All that a list held, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole<T> {
    value: T,
    proof: Proof<ListEnd>,
}

impl<T> Whole<T> {
    /// What the list held.
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// What the list held, for whoever needs it no longer as proof.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// That it was read to its end.
    pub const fn proof(&self) -> Proof<ListEnd> {
        self.proof
    }

    /// What it rests on.
    pub const fn record(&self) -> Record {
        self.proof.record
    }
}

/// Who joined (`true`) and left (`false`) one group, from a round that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    moves: BTreeMap<Member, bool>,
    proof: Proof<RoundEnd>,
}

impl Changes {
    /// The members that moved.
    pub const fn get(&self) -> &BTreeMap<Member, bool> {
        &self.moves
    }

    /// What they rest on.
    pub const fn record(&self) -> Record {
        self.proof.record
    }
}

/// One answer to a question about one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status, of the item where it came in a `$batch`.
    pub status: u16,
    /// Where the answer can be found again.
    pub receipt: Receipt,
}

/// An object is gone, and this is how we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grave {
    tombstone: Tombstone,
    record: Record,
}

impl Grave {
    /// A round that ended buried it.
    pub const fn told(tombstone: Tombstone, round: &Proof<RoundEnd>) -> Self {
        Self { tombstone, record: round.record }
    }

    /// The list of the deleted container holds it.
    pub const fn listed(deleted: &Proof<ListEnd>) -> Self {
        let record = Record { evidence: Evidence::ConfirmedById, ..deleted.record };
        Self { tombstone: Tombstone::Soft, record }
    }

    /// Graph does not have it under its own address (404), and either has it in the deleted
    /// container (200) or there neither (404). Any other pair of answers proves nothing.
    pub fn confirmed(living: Answer, deleted: Answer) -> Option<Self> {
        let tombstone = match (living.status, deleted.status) {
            (404, 200) => Tombstone::Soft,
            (404, 404) => Tombstone::Hard,
            _ => return None,
        };
        Some(Self { tombstone, record: by_id(deleted.receipt, 2) })
    }

    /// Graph does not have it under its own address (404), and we may not look into the
    /// deleted container: restorable, as far as anybody can tell, which loses nothing.
    pub fn unseen(living: Answer) -> Option<Self> {
        let record = by_id(living.receipt, 1);
        (living.status == 404).then_some(Self { tombstone: Tombstone::Soft, record })
    }

    /// How it went away.
    pub const fn tombstone(&self) -> Tombstone {
        self.tombstone
    }

    /// What it rests on.
    pub const fn record(&self) -> Record {
        self.record
    }
}

const fn by_id(receipt: Receipt, answers: u32) -> Record {
    Record { evidence: Evidence::ConfirmedById, receipt, answers }
}

/// Somebody is no member any more although no round said so: a complete list lacks the
/// membership, and a second answer agrees. One is not enough, since lists are no snapshots
/// (2.1 of the facts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    record: Record,
}

impl Departure {
    /// The group's list lacks `member`, and then the member's list lacks `group`.
    pub fn of_member(
        (group, members): (ObjectId, &Whole<BTreeSet<Member>>),
        (member, groups): (Member, &Whole<BTreeSet<ObjectId>>),
    ) -> Option<Self> {
        let lacks = !members.value.contains(&member) && !groups.value.contains(&group);
        lacks.then_some(Self { record: both(members.record(), groups.record()) })
    }

    /// The member's own list lacks `group`, and still does when it is read again.
    pub fn of_group(
        group: ObjectId,
        before: &Whole<BTreeSet<ObjectId>>,
        again: &Whole<BTreeSet<ObjectId>>,
    ) -> Option<Self> {
        let lacks = !before.value.contains(&group) && !again.value.contains(&group);
        lacks.then_some(Self { record: both(before.record(), again.record()) })
    }

    /// The group's list lacks `member`, and Graph has no such object any more: whoever is gone
    /// for good is nobody's member. Who may come back still is (1.8 of the facts).
    pub fn of_dead(
        members: &Whole<BTreeSet<Member>>,
        member: Member,
        grave: &Grave,
    ) -> Option<Self> {
        let dead = grave.tombstone == Tombstone::Hard && !members.value.contains(&member);
        dead.then_some(Self { record: both(members.record(), grave.record) })
    }

    /// What it rests on.
    pub const fn record(&self) -> Record {
        self.record
    }
}

const fn both(first: Record, second: Record) -> Record {
    Record { answers: first.answers.saturating_add(second.answers), ..second }
}

#[cfg(test)]
pub(crate) mod tests;
