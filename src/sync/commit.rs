//! From observation to commit: fold, plan, guard, apply, in one transaction.

mod drift;
mod findings;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};

use self::drift::Drift;
use self::findings::{is_unconfirmed, note_plans, note_reading};
use super::observe::Observation;
use super::stamp::{Rehearsing, Stamp};
use super::{Done, Error, Mandate, Run, Settings, Sync, report};
use crate::directory::Mode;
use crate::reconcile::fold::{Moved, fold};
use crate::reconcile::guard::{self, Answer, Context, Demand, Held, Rehearsal, Verdict, Whole};
use crate::reconcile::plan::{Consent, Item, Plan, plan};
use crate::reconcile::report::{
    AccessMoves, Action, Entity, Outcome, Phase, Removals, Report, Totals,
};
use crate::reconcile::world::{Policy, World};
use crate::store::{self, Applied, Holding, RunInfo, Tx};

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
        let mandate = std::mem::take(&mut observation.mandate);
        let info = self.claim(tx, &mut observation, &mandate)?;
        let timer = Instant::now();
        let held = tx.held_items(&observation.approved_plans)?;
        let (world, drift) = self.load(tx, &mut observation, &held)?;
        let loaded = timer.elapsed();

        let timer = Instant::now();
        let totals = totals(tx, observation.question.everything)?;
        let decided = self.decide(tx, &world, &held, totals, &observation)?;
        let planned = timer.elapsed();

        let timer = Instant::now();
        let written = self.write(tx, info, (&held, decided), (world, totals), &mut observation)?;
        let phases = BTreeMap::from([
            (Phase::Observe, observation.seconds),
            (Phase::Load, loaded),
            (Phase::Plan, planned),
            (Phase::Apply, timer.elapsed()),
        ]);
        let report = self.report(tx, observation, &written, (drift, phases))?;
        tx.record_run(&report::row(&report))?;
        tx.take_requests(&mandate.requests, self.run.id, self.run.started_at)?;
        let Written { plan, world, verdict, held_plan, .. } = written;
        let held_plan = held_plan.map(|hash| tx.plan(&hash)).transpose()?.flatten();
        Ok(Done { report, plan, world, verdict, held_plan })
    }

    /// Makes sure that nobody has committed since the observation began, and nobody can until
    /// this run has.
    fn claim(
        &self,
        tx: &mut Tx<'_>,
        observation: &mut Observation,
        mandate: &Mandate,
    ) -> Result<RunInfo, store::Error> {
        let request_id = observation.request_id.take();
        let info = self.info(observation.mode, observation.generation, request_id, mandate);
        tx.claim(&info)?;
        if !observation.question.everything {
            tx.few_rows()?;
        }
        Ok(info)
    }

    /// Plans with every consent, asks the guard, and plans again without what is held.
    fn decide(
        &self,
        tx: &mut Tx<'_>,
        world: &World,
        held: &Held,
        totals: Totals,
        observation: &Observation,
    ) -> Result<Decided, store::Error> {
        let limits = &self.settings.limits;
        let policy = self.policy(observation, held);
        let rejected = guard::rejected(held, world);
        let whole = Whole::plan(world, &policy, held, &rejected);
        let demand = Demand::of(&whole, world, held, limits);
        if demand.is_plain() && whole.plan.access.is_empty() {
            let whole = whole.plan;
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
            rehearsal: observation.rehearsal.as_ref(),
            people: &people,
            admins: &admins,
        };
        let mut verdict = demand.judge(&whole, world, &context);
        let mut whole = whole.plan;
        if !verdict.needs_another_plan() {
            return Ok(Decided { whole, plan: None, passing: 0, verdict });
        }
        loop {
            let refused: BTreeSet<Item> = verdict.refused().union(&rejected).cloned().collect();
            let consent =
                |refused| plan(world, &policy, Consent::only(&verdict.allowed).refusing(refused));
            let part = consent(&refused);
            let given = (refused != rejected).then(|| consent(&rejected));
            let plans = (given.as_ref().unwrap_or(&part), &part);
            if verdict.hold_unreplaced(plans, held) || verdict.hold_emptied(&part, &people, limits)
            {
                continue;
            }
            verdict.settle(&whole, &part, world);
            let passing = whole.leave_out(&part);
            return Ok(Decided { whole, plan: Some(part), passing, verdict });
        }
    }

    /// Carries out what was decided, and notes what was held and what was read.
    fn write(
        &self,
        tx: &mut Tx<'_>,
        mut info: RunInfo,
        (held, decided): (&Held, Decided),
        (mut world, totals): (World, Totals),
        observation: &mut Observation,
    ) -> Result<Written, store::Error> {
        let Decided { whole, plan, passing, verdict } = decided;
        let part = plan.as_ref().unwrap_or(&whole);
        let held_plan = self.settle_plans(tx, &info, (held, &verdict), (&whole, part, &world))?;
        let pending = still_pending(held, &verdict);
        let mut withheld = guard::weigh_held(&whole, part, &world, &pending);
        if !pending.is_empty() {
            withheld.access += passing;
        }
        let mut plan = plan.unwrap_or(whole);
        let open = world.open_findings.clone();
        note_plans(tx, &mut plan, &open, &verdict, observation.question.everything)?;
        note_reading(&mut plan, &open, std::mem::take(&mut observation.notes));
        // Decided upon: what is written and shown asks for rows and names only.
        world.parents.clear();
        let Applied { changes } = tx.apply(&plan, &world, &info, &verdict.approved)?;
        let totals = guard::totals_after(totals, &plan);
        tx.record_taken(&verdict.taken, &info)?;
        let rehearsing = match &observation.rehearsal {
            Some(Rehearsal { groups: None, .. })
                if observation.again || is_unconfirmed(&plan, &open) =>
            {
                Rehearsing::Everything
            }
            Some(_) if tx.has_unread_groups()? => Rehearsing::Unread,
            // Every other run is spared the look.
            Some(_) | None => Rehearsing::Nothing,
        };
        let stamp = Stamp { in_doubt: observation.again, rehearsing, ..Stamp::of(self.settings) };
        info.fingerprint = stamp.to_string();
        tx.move_cursor(&observation.cursor, totals, &info)?;
        self.prune(tx)?;
        if observation.generation == 0 {
            tx.gather_statistics()?;
        }
        let outcome = match (pending.is_empty(), changes.is_empty()) {
            (false, _) => Outcome::Held,
            (true, false) => Outcome::Applied,
            (true, true) => Outcome::Unchanged,
        };
        Ok(Written { plan, world, verdict, held_plan, outcome, changes, withheld, totals })
    }

    fn report(
        &self,
        tx: &mut Tx<'_>,
        observation: Observation,
        written: &Written,
        (drift, phases): (u64, BTreeMap<Phase, Duration>),
    ) -> Result<Report, store::Error> {
        let Observation { mode, question, refuted, read_before, reading, reset, .. } = observation;
        let finished_at = Utc::now().trunc_subsecs(6);
        let told = !written.changes.is_empty() && drift == 0;
        let lag_max = read_before.filter(|_| told).and_then(|at| (finished_at - at).to_std().ok());
        Ok(Report {
            run_id: self.run.id,
            mode,
            trigger: self.run.trigger,
            started_at: self.run.started_at,
            finished_at,
            outcome: written.outcome,
            changes: written.changes.clone(),
            drift,
            refuted,
            withheld: written.withheld,
            access: moves(&written.plan),
            pending: tx.pending_plans()?,
            totals: Some(written.totals),
            states: if question.everything { Some(tx.states()?) } else { None },
            reading,
            lag_max,
            phases,
            reset,
            linked_groups: tx.count_linked_groups()?,
            findings: tx.count_findings()?,
            failure: None,
        })
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
        held: &Held,
    ) -> Result<(World, u64), store::Error> {
        let (held_users, held_groups) = guard::held_objects(held.keys());
        observation.question.held_users = held_users;
        observation.question.held_groups = held_groups;
        let Observation { parts, drift_in, scope, question, generation, .. } = observation;
        let parts = std::mem::take(parts);
        let mut observed =
            if question.everything { tx.observed_all()? } else { tx.observed_for(&parts)? };
        let mut moved = Moved::default();
        let lists = drift_in.take();
        let mut drift = lists.map(|lists| Drift::new(lists, &parts, &observed, scope));
        for (at, part) in parts.into_iter().enumerate() {
            if let Some(drift) = &mut drift {
                drift.before(at, &moved);
            }
            fold(&mut observed, part, &mut moved, scope);
        }
        let drift = drift.map_or(0, |drift| drift.total());
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
            fingerprint: Stamp::of(self.settings).to_string(),
            generation,
            epoch: mandate.epoch,
            request_id,
        }
    }

    /// What decides, apart from limits. What makes products grow is told item by item for
    /// as long as some of it waits, whatever is configured by then: a held item is only
    /// released by a person. A first run gives everything, and holds nothing for that.
    fn policy(&self, observation: &Observation, held: &Held) -> Policy {
        let waits = || held.keys().any(Item::is_gift);
        let tell_gifts = observation.generation > 0 && (self.settings.limits.hold_gains || waits());
        Policy {
            include_guests: self.settings.include_guests,
            include_disabled: self.settings.include_disabled,
            members_only: !self.settings.all_users,
            tell_gifts,
            admin_groups: self.settings.admin_groups.clone(),
            now: self.run.started_at,
            removed_at: observation
                .server_time
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

/// What was carried out, and what came of it.
struct Written {
    plan: Plan,
    world: World,
    verdict: Verdict,
    /// The hash of what this run holds for the first time.
    held_plan: Option<String>,
    outcome: Outcome,
    changes: BTreeMap<(Entity, Action), u64>,
    withheld: Removals,
    totals: Totals,
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
