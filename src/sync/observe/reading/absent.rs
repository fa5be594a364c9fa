//! Stored objects that no list shows, and the notes that reading leaves behind.
//!
//! Absence is a question: whoever is missing is asked for by id, and a list that shows
//! implausibly little is not believed at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::{DateTime, Utc};

use super::{Reader, Stream, is_present};
use crate::directory::{ObjectId, Seen, Tombstone};
use crate::graph::{Counted, Verdict};
use crate::reconcile::fold::Part;
use crate::reconcile::report::FindingKind;
use crate::reconcile::world::Presence;
use crate::sync::Error;

/// How many ids a finding names.
const NAMED: usize = 5;

impl Reader<'_> {
    /// Whether a whole list may say that somebody is missing. Where it shows less than half of
    /// what is stored, `$count` must agree with it; that one lags (2.2 of the facts), so it can
    /// only speak against the list, never for a removal.
    pub(super) async fn judge_list(
        &mut self,
        stream: Stream,
        listed: Option<usize>,
    ) -> Result<(), Error> {
        let Some(listed) = listed else { return Ok(()) };
        let stored = match stream {
            Stream::Users => self.stored_users.values().filter(|p| p.is_present()).count(),
            Stream::Groups => {
                self.stored_groups.values().filter(|group| group.presence.is_present()).count()
            }
        };
        if listed * 2 >= stored {
            self.note_permission(stream.label(), None);
            return Ok(());
        }
        let counted = match stream {
            Stream::Users => Counted::Users,
            Stream::Groups => Counted::Groups,
        };
        let counted = self.sync.directory.count(counted).await.ok();
        let agrees = counted.is_some_and(|counted| covers(listed, counted));
        // A tenant without a single user has nobody who could have let us in.
        if agrees && (listed > 0 || stream == Stream::Groups) {
            self.note_permission(stream.label(), None);
            return Ok(());
        }
        self.disbelieved.insert(stream);
        let counted = counted.map_or_else(|| "nothing".to_owned(), |counted| counted.to_string());
        let told = format!(
            "the list shows {listed} where {stored} are stored and Graph counts {counted}, which is what a lost permission looks like; grant {} to the application (App registrations, API permissions) and consent as an administrator. Nobody is removed for being missing meanwhile",
            stream.permission()
        );
        self.note_permission(stream.label(), Some(told));
        Ok(())
    }

    /// Stored objects that no list showed are asked for by id: absence proves nothing.
    pub(super) async fn find_missing(&mut self) -> Result<(), Error> {
        let missing = |stream,
                       stored: &mut dyn Iterator<Item = (ObjectId, Presence)>,
                       met: &BTreeMap<ObjectId, bool>| {
            stored
                .filter(|_| !self.disbelieved.contains(&stream))
                .filter(|(id, presence)| {
                    !met.contains_key(id) && !matches!(presence, Presence::Gone(Tombstone::Hard, _))
                })
                .map(|(id, _)| id)
                .collect::<Vec<_>>()
        };
        let users = missing(
            Stream::Users,
            &mut self.stored_users.iter().map(|(id, p)| (*id, *p)),
            &self.met_users,
        );
        let groups = missing(
            Stream::Groups,
            &mut self.stored_groups.iter().map(|(id, g)| (*id, g.presence)),
            &self.met_groups,
        );
        let most = self.sync.settings.confirmations_max;
        let directory = &self.sync.directory;
        let (users, groups) = tokio::try_join!(
            directory.confirm_users(&users, most),
            directory.confirm_groups(&groups, most)
        )?;
        let users = self.settle(Stream::Users, users);
        let groups = self.settle(Stream::Groups, groups);
        let back = groups.iter().filter(|(_, seen)| is_present(seen)).map(|(id, _)| *id).collect();
        self.take(Part { users, groups, ..Part::default() });
        self.read_groups(back).await
    }

    /// What came of asking: who is gone, who is here after all, and who stays as it was.
    fn settle<T>(
        &mut self,
        stream: Stream,
        verdicts: BTreeMap<ObjectId, Verdict<T>>,
    ) -> BTreeMap<ObjectId, Seen<T>> {
        // In a narrow scope lists show members only: who is on none of them is not missing.
        let whole = match stream {
            Stream::Users => self.sync.settings.all_users,
            Stream::Groups => self.sync.settings.all_groups,
        };
        let (mut refuted, mut unknown, mut why) = (Vec::new(), Vec::new(), None);
        let mut all = BTreeMap::new();
        for (id, verdict) in verdicts {
            match verdict {
                Verdict::Here(facts) => {
                    if whole && self.was_present(stream, id) {
                        refuted.push(id);
                    }
                    all.insert(id, Seen::Present(facts));
                }
                Verdict::Gone(grave) => {
                    all.insert(id, Seen::Gone(grave));
                }
                Verdict::Unknown(error) => {
                    unknown.push(id);
                    why = Some(error);
                }
            }
        }
        self.refuted += refuted.len() as u64;
        let told = (!refuted.is_empty()).then(|| {
            format!(
                "the list left out {}, which exist after all; nothing was removed. If it stays, report it to Microsoft",
                named(&refuted)
            )
        });
        self.note(FindingKind::ReadRefuted, stream.label(), told);
        let told = why.map(|error| {
            format!(
                "the list left out {}, and Graph could not be asked about them: {error}. Nothing was removed",
                named(&unknown)
            )
        });
        self.note(FindingKind::RemovalUnconfirmed, stream.label(), told);
        all
    }

    fn was_present(&self, stream: Stream, id: ObjectId) -> bool {
        match stream {
            Stream::Users => self.stored_users.get(&id).is_some_and(|p| p.is_present()),
            Stream::Groups => {
                self.stored_groups.get(&id).is_some_and(|group| group.presence.is_present())
            }
        }
    }

    pub(super) fn note(&mut self, kind: FindingKind, subject: &str, told: Option<String>) {
        self.notes.insert((kind, subject.to_owned()), told);
    }

    /// A permission that seems to be missing, or does not; one sign of it is enough.
    pub(super) fn note_permission(&mut self, subject: &str, told: Option<String>) {
        let note =
            self.notes.entry((FindingKind::PermissionMissing, subject.to_owned())).or_default();
        if told.is_some() {
            *note = told;
        }
    }

    /// The members of a group are known.
    pub(super) fn note_read(&mut self, group: ObjectId) {
        let subject = group.to_string();
        self.note(FindingKind::GroupStale, &subject, None);
        self.note(FindingKind::PermissionMissing, &subject, None);
    }

    /// The members of a group are what they were.
    pub(super) fn note_stale(&mut self, group: ObjectId, why: &str) {
        let subject = group.to_string();
        let since = self.since(FindingKind::GroupStale, &subject);
        let told = format!("stale since {since}: {why}. Nobody loses anything by it meanwhile");
        self.note(FindingKind::GroupStale, &subject, Some(told));
    }

    /// A group that is gone is stale no more, since an earlier run or since a list of this one.
    pub(super) fn settle_buried(&mut self) {
        let now = self.notes.iter().filter(|(_, told)| told.is_some()).map(|(key, _)| key);
        let stale = self.start.troubled_since.keys().chain(now);
        let gone: BTreeSet<ObjectId> = stale
            .filter(|(kind, _)| *kind == FindingKind::GroupStale)
            .filter_map(|(_, subject)| subject.parse().ok())
            .filter(|id| self.met_groups.get(id) == Some(&false))
            .collect();
        for group in gone {
            self.note_read(group);
        }
    }

    /// The members of a group are hidden from us, and what we know of them is what it was.
    pub(super) fn note_hidden(&mut self, group: ObjectId) {
        let subject = group.to_string();
        let since = self.since(FindingKind::PermissionMissing, &subject);
        let told = format!(
            "its membership is hidden and looks empty to us, stale since {since}; grant Member.Read.Hidden to the application (App registrations, API permissions) and consent as an administrator. Nobody loses anything by it meanwhile"
        );
        self.note(FindingKind::PermissionMissing, &subject, Some(told));
    }

    /// Since when a finding is open: from this run on, unless it was before.
    fn since(&self, kind: FindingKind, subject: &str) -> String {
        let since = self.start.troubled_since.get(&(kind, subject.to_owned()));
        time(since.copied().unwrap_or(self.started_at))
    }
}

/// Whether a list may be all that Graph counts. The count lags (2.2 of the facts), so a few
/// more or less mean nothing.
pub(super) const fn covers(listed: usize, counted: u64) -> bool {
    counted <= (listed + listed / 10 + 1) as u64
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// How many, and the first of them by id.
pub(super) fn named(ids: &[ObjectId]) -> String {
    let mut text = format!("{} (", ids.len());
    for (at, id) in ids.iter().take(NAMED).enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{id}");
    }
    text.push_str(if ids.len() > NAMED { ", …)" } else { ")" });
    text
}
