//! From observation to commit: fold, plan, guard, apply, in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chrono::{DateTime, SubsecRound, Utc};

use super::observe::{Observation, REHEARSING, in_doubt};
use super::{Done, Error, Mandate, Run, Settings, Sync, report};
use crate::directory::Mode;
use crate::reconcile::fold::{Moved, fold};
use crate::reconcile::guard::{self, Answer, Context, Demand, Held, Trip, Verdict};
use crate::reconcile::plan::{Consent, Item, Plan, plan};
use crate::reconcile::report::{AccessMoves, FindingKind, Outcome, Phase, Report, Totals};
use crate::reconcile::world::{Policy, World};
use crate::store::{self, Applied, Holding, RunInfo, StoredPlan, Tx};

/// See [`Sync::commit`].
pub(super) async fn commit(
    sync: &Sync,
    run: Run,
    observation: Observation,
    dry: bool,
) -> Result<Done, Error> {
    let settings = sync.settings.clone();
    let done = sync
        .store
        .write(move |tx| {
            let done = Committing { run, settings: &settings }.run(tx, observation)?;
            Ok(if dry { store::Verdict::RollBack(done) } else { store::Verdict::Commit(done) })
        })
        .await?;
    Ok(done)
}

struct Committing<'s> {
    run: Run,
    settings: &'s Settings,
}

impl Committing<'_> {
    fn run(&self, tx: &mut Tx<'_>, mut observation: Observation) -> Result<Done, store::Error> {
        let request_id = observation.request_id.take();
        let mandate = std::mem::take(&mut observation.mandate);
        let mut info = self.info(observation.mode, observation.generation, request_id, &mandate);
        if observation.again {
            info.fingerprint = in_doubt(&info.fingerprint);
        }
        tx.claim(&info)?;
        let everything = observation.question.everything;
        if !everything {
            tx.few_rows()?;
        }
        let timer = Instant::now();
        let held = tx.held_items()?;
        let (held_users, held_groups) = guard::held_objects(held.keys());
        observation.question.held_users = held_users;
        observation.question.held_groups = held_groups;
        let (mut world, drift) = self.load(tx, &mut observation)?;
        let Observation {
            mode,
            generation,
            cursor,
            reading,
            refuted,
            seconds,
            notes,
            reset,
            rehearsal,
            server_time,
            ..
        } = observation;
        let mut phases =
            BTreeMap::from([(Phase::Observe, seconds), (Phase::Load, timer.elapsed())]);

        let timer = Instant::now();
        let totals = totals(tx, everything)?;
        let policy = self.policy(server_time, generation, &held);
        let Decided { whole, plan, passing, verdict } =
            self.decide(tx, &world, &policy, (&held, totals, rehearsal.as_ref()))?;
        phases.insert(Phase::Plan, timer.elapsed());

        let timer = Instant::now();
        let part = plan.as_ref().unwrap_or(&whole);
        let held_plan = self.settle_plans(tx, &info, (&held, &verdict), (&whole, part, &world))?;
        let pending = still_pending(&held, &verdict);
        let mut withheld = guard::weigh_held(&whole, part, &world, &pending);
        if !pending.is_empty() {
            withheld.access += passing;
        }
        let mut plan = plan.unwrap_or(whole);
        let open = world.open_findings.clone();
        note_plans(tx, &mut plan, &open, &verdict, everything)?;
        note_reading(&mut plan, &open, notes);
        // Decided upon: what is written and shown asks for rows and names only.
        world.parents.clear();
        let Applied { changes } = tx.apply(&plan, &world, &info, &verdict.approved)?;
        let totals = guard::totals_after(totals, &plan);
        tx.record_taken(&verdict.taken, &info)?;
        if rehearsal.is_some() && tx.has_unread_groups()? {
            info.fingerprint.push_str(REHEARSING);
        }
        tx.move_cursor(&cursor, totals, &info)?;
        self.prune(tx)?;
        if generation == 0 {
            tx.gather_statistics()?;
        }
        let outcome = match (pending.is_empty(), changes.is_empty()) {
            (false, _) => Outcome::Held,
            (true, false) => Outcome::Applied,
            (true, true) => Outcome::Unchanged,
        };
        phases.insert(Phase::Apply, timer.elapsed());
        let report = Report {
            run_id: self.run.id,
            mode,
            trigger: self.run.trigger,
            started_at: self.run.started_at,
            finished_at: Utc::now().trunc_subsecs(6),
            outcome,
            changes,
            drift,
            refuted,
            withheld,
            access: moves(&plan),
            pending: tx.pending_plans()?,
            totals: Some(totals),
            states: if everything { Some(tx.states()?) } else { None },
            reading,
            phases,
            reset,
            linked_groups: tx.count_linked_groups()?,
            findings: tx.count_findings()?,
            failure: None,
        };
        tx.record_run(&report::row(&report))?;
        tx.take_requests(&mandate.requests, self.run.id, self.run.started_at)?;
        let held_plan = held_plan.map(|hash| tx.plan(&hash)).transpose()?.flatten();
        Ok(Done { report, plan, world, verdict, held_plan })
    }

    /// Plans with every consent, asks the guard, and plans again without what is held.
    fn decide(
        &self,
        tx: &mut Tx<'_>,
        world: &World,
        policy: &Policy,
        (held, totals, rehearsal): (&Held, Totals, Option<&Trip>),
    ) -> Result<Decided, store::Error> {
        let limits = &self.settings.limits;
        let decisions = guard::approved_decisions(held);
        let mut whole = plan(world, policy, Consent::removals_and(&decisions));
        let demand = Demand::of(&whole, world, held, limits);
        if demand.is_plain() && whole.access.is_empty() {
            return Ok(Decided { whole, plan: None, passing: 0, verdict: Verdict::default() });
        }
        let before = tx.taken_since(self.window_began())?;
        let access = tx.count_access(demand.access_wanted(limits, &before))?;
        let totals = Totals { access, ..totals };
        let people = tx.people_of(&demand.people_wanted(limits, &before))?;
        let admins = tx.admins_of(&demand.admins_wanted())?;
        let context = Context {
            limits,
            totals,
            before: &before,
            rehearsal,
            people: &people,
            admins: &admins,
        };
        let mut verdict = demand.judge(&whole, world, &context);
        if !verdict.needs_another_plan() {
            return Ok(Decided { whole, plan: None, passing: 0, verdict });
        }
        loop {
            let refused = verdict.refused();
            let consent = Consent::only(&verdict.allowed).refusing(&refused);
            let part = plan(world, policy, consent);
            if !verdict.hold_unreplaced(&whole, &part, world) {
                let passing = whole.leave_out(&part);
                return Ok(Decided { whole, plan: Some(part), passing, verdict });
            }
        }
    }

    /// Stores what is held from now on, and what became of what was held.
    fn settle_plans(
        &self,
        tx: &mut Tx<'_>,
        info: &RunInfo,
        (held, verdict): (&Held, &Verdict),
        (whole, part, world): (&Plan, &Plan, &World),
    ) -> Result<Option<String>, store::Error> {
        tx.settle_items(held, verdict, info.now)?;
        if verdict.held.is_empty() {
            return Ok(None);
        }
        let waiting = tx.pending_plans()?.plans;
        if waiting >= self.settings.limits.plans_max {
            return Err(store::Error::PlansLimit(waiting));
        }
        tx.hold(&Holding { info, verdict, plan: whole, part, world })
    }

    fn window_began(&self) -> DateTime<Utc> {
        self.run.started_at - self.settings.limits.window
    }

    /// Folds what was read into what is stored, and loads what it is to be compared with.
    /// What moved is forgotten with the parts: it is as large as the tenant in a first run.
    fn load(
        &self,
        tx: &mut Tx<'_>,
        observation: &mut Observation,
    ) -> Result<(World, u64), store::Error> {
        let Observation { parts, drift_at, scope, question, generation, .. } = observation;
        let parts = std::mem::take(parts);
        let mut observed =
            if question.everything { tx.observed_all()? } else { tx.observed_for(&parts)? };
        let mut moved = Moved::default();
        let mut drift = 0;
        for (at, part) in parts.into_iter().enumerate() {
            let before = moved.len();
            fold(&mut observed, part, &mut moved, scope);
            // What lists show beyond what the deltas said is what deltas missed.
            if Some(at) == *drift_at {
                drift = moved.len().saturating_sub(before) as u64;
            }
        }
        tx.write_observed(&observed, &moved, *generation == 0, self.run.started_at)?;
        Ok((tx.world(observed, &moved, question)?, drift))
    }

    fn info(
        &self,
        mode: Mode,
        generation: i64,
        request_id: Option<String>,
        mandate: &Mandate,
    ) -> RunInfo {
        RunInfo {
            id: self.run.id,
            mode,
            trigger: self.run.trigger,
            now: self.run.started_at,
            tenant_id: self.settings.tenant_id.clone(),
            endpoint: self.settings.endpoint.clone(),
            fingerprint: self.settings.fingerprint(),
            generation,
            epoch: mandate.epoch,
            request_id,
        }
    }

    /// What decides, apart from limits. What makes products grow is told item by item for
    /// as long as some of it waits, whatever is configured by then: a held item is only
    /// released by a person. A first run gives everything, and holds nothing for that.
    fn policy(&self, server_time: Option<DateTime<Utc>>, generation: i64, held: &Held) -> Policy {
        let waits = || held.keys().any(Item::is_gift);
        let tell_gifts = generation > 0 && (self.settings.limits.hold_gains || waits());
        Policy {
            include_guests: self.settings.include_guests,
            include_disabled: self.settings.include_disabled,
            members_only: !self.settings.all_users,
            tell_gifts,
            admin_groups: self.settings.admin_groups.clone(),
            now: self.run.started_at,
            removed_at: server_time
                .map_or(self.run.started_at, |time| time.max(self.run.started_at)),
        }
    }

    fn prune(&self, tx: &mut Tx<'_>) -> Result<(), store::Error> {
        if self.run.mode == Mode::Full {
            let limit = self.run.started_at - self.settings.findings_retention;
            tx.prune_findings(limit)?;
            tx.prune_runs(limit)?;
            tx.prune_requests(limit)?;
            tx.prune_plans(limit)?;
            tx.prune_removals(limit.min(self.window_began()))?;
        }
        Ok(())
    }
}

/// How much the platform sees: counted by full runs, so that an error cannot live on, and
/// carried from run to run by the others, whose cost must not follow the tenant.
fn totals(tx: &mut Tx<'_>, counted: bool) -> Result<Totals, store::Error> {
    let carried = if counted { None } else { tx.carried_totals()? };
    carried.map_or_else(|| tx.totals(), Ok)
}

/// What was decided, and upon what.
struct Decided {
    /// The plan with consent to every removal; of access, where another one is carried out,
    /// no more than what is held.
    whole: Plan,
    /// The plan that is carried out, where that is another one: something is held.
    plan: Option<Plan>,
    /// Pairs of access that it gives and what is held would take again.
    passing: u64,
    verdict: Verdict,
}

/// What waits for a person after this run.
fn still_pending(held: &Held, verdict: &Verdict) -> BTreeSet<Item> {
    let waits = |item: &&Item| held.get(*item).is_some_and(|known| known.answer == Answer::Pending);
    verdict.standing.iter().filter(waits).chain(verdict.held.keys()).cloned().collect()
}

fn moves(plan: &Plan) -> AccessMoves {
    let mut moves = AccessMoves::default();
    for change in &plan.access {
        moves.gained += change.gained.len() as u64;
        moves.lost += change.lost.len() as u64;
    }
    moves
}

type Findings = BTreeMap<(FindingKind, String), String>;

/// Findings about plans: those that wait, those that were rejected, and growth.
fn note_plans(
    tx: &mut Tx<'_>,
    plan: &mut Plan,
    open: &Findings,
    verdict: &Verdict,
    everything: bool,
) -> Result<(), store::Error> {
    const ABOUT_PLANS: [FindingKind; 2] =
        [FindingKind::RemovalsHeld, FindingKind::RemovalsRejected];
    let mut told = Findings::new();
    if open.keys().any(|(kind, _)| ABOUT_PLANS.contains(kind)) || !verdict.held.is_empty() {
        for stored in tx.plans(false)? {
            let (kind, message) = match stored.status.as_str() {
                "pending" => (FindingKind::RemovalsHeld, held_message(&stored)),
                "rejected" => (FindingKind::RemovalsRejected, rejected_message(&stored)),
                _ => continue,
            };
            told.insert((kind, stored.hash), message);
        }
    }
    for (product, (people, gained)) in &verdict.surges {
        let message = format!(
            "{gained} people gained it in one run, where {people} or more had it; guard.gain_percent calls that much"
        );
        told.insert((FindingKind::AccessSurge, product.clone()), message);
    }
    // Growth is an event: it is told until the next full run.
    let over = |kind: FindingKind| {
        ABOUT_PLANS.contains(&kind) || (everything && kind == FindingKind::AccessSurge)
    };
    let ended = open.keys().filter(|key| over(key.0) && !told.contains_key(*key));
    plan.resolved.extend(ended.cloned());
    plan.raised.extend(told.into_iter().filter(|(key, message)| open.get(key) != Some(message)));
    Ok(())
}

fn held_message(stored: &StoredPlan) -> String {
    format!(
        "{}; see `nexus-dirsync plans show {}`, then approve or reject it",
        stored.header.reasons.join("; "),
        short(&stored.hash)
    )
}

fn rejected_message(stored: &StoredPlan) -> String {
    format!(
        "rejected by {}: {}; the directory still asks for it, so it stays until the directory changes",
        stored.decided_by.as_deref().unwrap_or("somebody"),
        stored.reason.as_deref().unwrap_or("no reason given"),
    )
}

/// As much of a hash as people type.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Findings about reading: open with a message, or over.
fn note_reading(
    plan: &mut Plan,
    open: &Findings,
    notes: BTreeMap<(FindingKind, String), Option<String>>,
) {
    for (key, message) in notes {
        let known = open.get(&key);
        match message {
            Some(message) if known != Some(&message) => {
                plan.raised.insert(key, message);
            }
            None if known.is_some() => {
                plan.resolved.insert(key);
            }
            _ => {}
        }
    }
}
