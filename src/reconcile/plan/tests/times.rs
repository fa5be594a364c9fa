//! The times that a changed row carries; checked on every change of every test.

use chrono::{DateTime, Utc};

use super::model::Platform;
use crate::reconcile::world::{GroupRow, State, UserRow};

impl Platform {
    pub(super) fn assert_user_times(&self, before: Option<&UserRow>, after: &UserRow) {
        let client = |row: &UserRow| (row.email.clone(), row.name.clone(), row.role);
        let same = before.is_some_and(|row| client(row) == client(after));
        self.assert_row_times(
            before.map(|row| (row.created_at, row.updated_at)),
            (after.created_at, after.updated_at),
            same,
        );
        let since = |row: &UserRow| row.identity.as_ref().and_then(|own| own.removed_at);
        self.assert_removed_at(before.and_then(since), since(after), after.state());
    }

    pub(super) fn assert_group_times(&self, before: Option<&GroupRow>, after: &GroupRow) {
        let same = before.is_some_and(|row| row.display_name == after.display_name);
        self.assert_row_times(
            before.map(|row| (row.created_at, row.updated_at)),
            (after.created_at, after.updated_at),
            same,
        );
        let state = after.state.expect("a decided group has a state");
        self.assert_removed_at(before.and_then(|row| row.removed_at), after.removed_at, state);
    }

    /// `updated_at` is the last sync that changed the client's columns, not ours.
    fn assert_row_times(&self, before: Option<Times>, after: Times, same: bool) {
        let now = self.policy.now;
        let (created, updated) = before.unwrap_or((now, now));
        assert_eq!(after, (created, if same { updated } else { now }));
    }

    /// Removed since the first run that said so, and not a run longer.
    fn assert_removed_at(&self, before: Option<Time>, after: Option<Time>, state: State) {
        let since = before.unwrap_or(self.policy.now);
        assert_eq!(after, (state == State::Removed).then_some(since));
    }
}

type Time = DateTime<Utc>;
/// Made, and last changed.
type Times = (Time, Time);
