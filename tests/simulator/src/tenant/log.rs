//! The change log: what happened to which object, in order. It makes the cost of a delta round proportional to
//! what changed. It must not hold values; a round reports the state of an object at the time it is rendered.

use uuid::Uuid;

use super::model::{Fields, ObjectType};

/// A position in the history of a tenant; grows by one with every change.
pub(crate) type Position = u64;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Created,
    Updated(Fields),
    SoftDeleted,
    Restored,
    Purged,
    Joined {
        member: Uuid,
        of_type: ObjectType,
    },
    Left {
        member: Uuid,
        of_type: ObjectType,
        /// The edge went because one of its ends was purged.
        by_purge: bool,
    },
}

/// One entry: the object it is about (for an edge, the group) and what happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) id: Uuid,
    /// `User` or `Group`: the delta stream that shows the change.
    pub(crate) stream: ObjectType,
    pub(crate) what: What,
}

/// An append-only log whose old end can be cut off.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChangeLog {
    first: Position,
    entries: Vec<Change>,
}

impl ChangeLog {
    pub(crate) fn push(&mut self, change: Change) {
        self.entries.push(change);
    }

    /// The position after the newest entry.
    pub(crate) fn end(&self) -> Position {
        self.first + self.entries.len() as Position
    }

    /// Drops all entries and keeps counting, so that older positions are known to be too old.
    pub(crate) fn forget(&mut self) {
        self.first = self.end();
        self.entries = Vec::new();
    }

    /// Every entry the log still holds.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Change> {
        self.entries.iter()
    }

    /// The entries from one position up to another; `None` if the log no longer reaches back that far.
    pub(crate) fn between(&self, from: Position, to: Position) -> Option<&[Change]> {
        let from = usize::try_from(from.checked_sub(self.first)?).ok()?;
        let to = usize::try_from(to.checked_sub(self.first)?).ok()?;
        self.entries.get(from..to)
    }
}
