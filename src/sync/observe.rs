//! What a run reads, and in which order.
//!
//! Tokens first, then lists, then the rounds since those tokens: so nothing that
//! happens while lists are read is lost. Absence is never taken at its word: an object
//! that lists do not show is asked for by id, and so are the groups of a member that is
//! missing from one. Decides nothing about the platform.

mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};

use super::stamp::{Rehearsing, Stamp};
use super::{Error, Mandate, Run, Sync};
use crate::directory::{Cursor, Mode, Seen, fold_case};
use crate::graph::{self, GoneSince, ObjectKind, Tally};
use crate::reconcile::fold::{Admission, Part, Scope};
use crate::reconcile::guard::{Rehearsal, Trip};
use crate::reconcile::report::{CursorReset, FindingKind, Reading};
use crate::store::{Question, Start, Which};
use reading::{Reader, Rounds};

/// All that one run learnt from Graph.
#[derive(Debug)]
pub struct Observation {
    /// What was read; a lost token makes a delta run full.
    pub(super) mode: Mode,
    /// In the order in which they were read.
    pub(super) parts: Vec<Part>,
    /// Which parts are the lists of a full read that deltas led up to: what they add is drift.
    /// The part after them is a round.
    pub(super) drift_in: Option<Range<usize>>,
    /// What comes in that was not observed before.
    pub(super) scope: Scope,
    /// What is to be decided.
    pub(super) question: Question,
    /// Where the next run starts.
    pub(super) cursor: Cursor,
    /// Whether the next run must read everything, because this one could not be believed.
    pub(super) again: bool,
    /// Removals that lists suggested and a second look refuted.
    pub(super) refuted: u64,
    /// The commit that this run builds upon.
    pub(super) generation: i64,
    /// When the read before this one began, if there was one.
    pub(super) read_before: Option<DateTime<Utc>>,
    /// What reading cost.
    pub(super) reading: Reading,
    /// How long it took.
    pub(super) seconds: Duration,
    /// Findings about reading: open with a message, or over.
    pub(super) notes: BTreeMap<(FindingKind, String), Option<String>>,
    /// Why the stored cursor was of no use, if there was one.
    pub(super) reset: Option<CursorReset>,
    /// Graph's id of the last request.
    pub(super) request_id: Option<String>,
    /// Why this run may take nothing away unasked, if so.
    pub(super) rehearsal: Option<Rehearsal>,
    /// The time as Graph last told it.
    pub(super) server_time: Option<DateTime<Utc>>,
    /// Plans that people had approved before anything was read.
    pub(super) approved_plans: BTreeSet<String>,
    /// On whose behalf it will be committed.
    pub(super) mandate: Mandate,
}

impl Observation {
    /// The same, to be committed on behalf of a leader.
    #[must_use]
    pub fn under(self, mandate: Mandate) -> Self {
        Self { mandate, ..self }
    }
}

/// See [`Sync::observe`].
pub(super) async fn observe(sync: &Sync, run: Run) -> Result<Observation, Error> {
    let timer = Instant::now();
    let before = sync.directory.tally();
    let start = sync.store.read(|tx| tx.start()).await?;
    start.cursor.as_ref().map_or(Ok(()), |row| row.require_tenant(&sync.settings.tenant_id))?;
    let roles = sync.directory.token_roles().await?;
    let mut reader = Reader::new(sync, &start, run.started_at, roles.as_deref());
    reader.note_invalid_links();
    let (stored, reset) = usable(sync, &start);
    reader.note_roles(roles.as_deref());
    let Rounds { mode, cursor, lost } = reader.rounds_and_lists(run.mode, stored.as_ref()).await?;
    reader.complete_scope().await?;
    reader.look_twice().await?;
    let doubt = reader.mend_properties().await?;
    let (cursor, again) = doubt.cursor(cursor, stored);
    let question = question(sync, run, mode, &mut reader).await?;
    sync.directory.require_roles(roles.as_deref()).await?;
    let Reader { parts, followed, admitted_users, admitted_groups, notes, .. } = reader;
    let refuted = reader.refuted;
    let settings = &sync.settings;
    let admission = |all, ids| if all { Admission::All } else { Admission::Only(ids) };
    Ok(Observation {
        mode,
        parts,
        drift_in: followed,
        scope: Scope {
            users: admission(settings.all_users, admitted_users),
            groups: admission(settings.all_groups, admitted_groups),
        },
        question,
        cursor,
        again,
        refuted,
        generation: start.cursor.as_ref().map_or(0, |row| row.generation),
        read_before: start.cursor.as_ref().map(|row| row.read_at),
        reading: cost(&before, &sync.directory.tally()),
        seconds: timer.elapsed(),
        notes,
        reset: reset.or(lost),
        request_id: sync.directory.last_request_id(),
        rehearsal: rehearsal(sync, &start),
        approved_plans: start.approved_plans,
        mandate: Mandate::default(),
        server_time: sync.directory.server_time().map(|time| time.trunc_subsecs(6)),
    })
}

/// Nobody has seen yet what the first run over a database does, or the first one with
/// another scope, other filters, another registry or another endpoint: it takes nothing away
/// unasked. Of groups that could not be read then nobody has when they can.
fn rehearsal(sync: &Sync, start: &Start) -> Option<Rehearsal> {
    let all = |trip| Some(Rehearsal { trip, groups: None });
    let Some(row) = &start.cursor else { return all(Trip::FirstRun) };
    let stored = Stamp::read(&row.fingerprint);
    let same = stored.registry == Stamp::of(&sync.settings).registry;
    let left = match usable(sync, start).1 {
        None | Some(CursorReset::InDoubt) if same => stored.rehearsing,
        _ => Rehearsing::Everything,
    };
    match left {
        Rehearsing::Nothing => None,
        Rehearsing::Unread => {
            let groups = Some(start.unread_groups.clone());
            Some(Rehearsal { trip: Trip::ScopeChanged, groups })
        }
        Rehearsing::Everything => all(Trip::ScopeChanged),
    }
}

/// The stored cursor, if its links are of this endpoint, query and scope; else why not.
fn usable(sync: &Sync, start: &Start) -> (Option<Cursor>, Option<CursorReset>) {
    let Some(row) = &start.cursor else { return (None, None) };
    let (stored, wanted) = (Stamp::read(&row.fingerprint), Stamp::of(&sync.settings));
    let reset = if stored.in_doubt && stored.links == wanted.links {
        CursorReset::InDoubt
    } else if row.endpoint != sync.settings.endpoint {
        CursorReset::EndpointChanged
    } else if !stored.links.starts_with(&format!("{};", graph::QUERY_FINGERPRINT)) {
        CursorReset::QueryChanged
    } else if stored.in_doubt || stored.links != wanted.links {
        CursorReset::ScopeChanged
    } else {
        return (Some(row.cursor.clone()), None);
    };
    (None, Some(reset))
}

/// What was read between two tallies.
pub(super) fn cost(before: &Tally, after: &Tally) -> Reading {
    Reading {
        requests: after.requests - before.requests,
        pages: after.pages - before.pages,
        bytes: after.bytes - before.bytes,
        resource_units: after.resource_units - before.resource_units,
        retries: after.retries - before.retries,
        waited_seconds: after.waited_seconds - before.waited_seconds,
    }
}

async fn question(
    sync: &Sync,
    run: Run,
    mode: Mode,
    reader: &mut Reader<'_>,
) -> Result<Question, Error> {
    let mut question = Question {
        everything: mode == Mode::Full,
        registry: sync.settings.registry.as_deref().cloned(),
        candidates: std::mem::take(&mut reader.candidates),
        namesakes: std::mem::take(&mut reader.namesakes),
        matched: std::mem::take(&mut reader.matched),
        admin_groups: sync.settings.admin_groups.clone(),
        ..Question::default()
    };
    if mode == Mode::Full {
        add_purges(sync, run, reader, &mut question).await?;
    }
    Ok(question)
}

/// Asks Graph, now and by id, whether what is removed for longer than the retention is
/// really gone; and only where all clocks agree.
async fn add_purges(
    sync: &Sync,
    run: Run,
    reader: &mut Reader<'_>,
    question: &mut Question,
) -> Result<(), Error> {
    let limit = run.started_at - sync.settings.retention;
    let (users, groups, database) = sync
        .store
        .read(move |tx| {
            let (users, groups) = tx.purge_candidates(limit)?;
            Ok((users, groups, tx.now()?))
        })
        .await?;
    if users.is_empty() && groups.is_empty() {
        return Ok(());
    }
    let here = Utc::now();
    let apart = [Some(database), sync.directory.server_time()]
        .into_iter()
        .flatten()
        .map(|clock| (clock - here).abs().to_std().unwrap_or(Duration::MAX))
        .max()
        .unwrap_or_default();
    let skewed = apart > sync.settings.clock_skew_max;
    let told = skewed.then(|| {
        format!(
            "the clocks of host, database and Graph are {} s apart; nothing is purged until they agree within removal.clock_skew_max",
            apart.as_secs()
        )
    });
    reader.notes.insert((FindingKind::ClockSkew, "clock".to_owned()), told);
    if skewed {
        return Ok(());
    }
    let gone = |(id, since)| match since {
        GoneSince::Gone(grave) => Some((id, grave)),
        GoneSince::SoftSince(time, grave) => (time < limit).then_some((id, grave)),
        GoneSince::Alive => None,
    };
    let asked = sync.directory.gone_since(&users, ObjectKind::User).await?;
    question.purge_users.extend(asked.into_iter().filter_map(gone));
    match sync.directory.gone_since(&groups, ObjectKind::Group).await {
        Ok(asked) => {
            question.purge_groups.extend(asked.into_iter().filter_map(gone));
        }
        // Without the right to look into the deleted groups nothing is known to be gone.
        Err(graph::Error::Forbidden(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Whether an observed object came back, or was never seen.
fn is_present<T>(seen: &Seen<T>) -> bool {
    matches!(seen, Seen::Present(_))
}

/// Registry names by folded name.
fn registry_names(sync: &Sync) -> BTreeMap<String, String> {
    let entries = sync.settings.registry.as_deref().map_or(&[][..], Vec::as_slice);
    entries
        .iter()
        .flat_map(|entry| &entry.groups)
        .map(|name| (fold_case(name), name.clone()))
        .collect()
}

/// Everything observed so far, for full reads.
const ALL: Which<'static> = Which::All;
