//! From observation to commit: fold, plan, guard, apply, in one transaction.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{SubsecRound, Utc};

use super::observe::Observation;
use super::{Done, Error, Run, Settings, Sync, report};
use crate::directory::Mode;
use crate::reconcile::fold::{Moved, fold};
use crate::reconcile::guard;
use crate::reconcile::report::{FindingKind, Outcome, Phase, Removals, Report, Totals};
use crate::reconcile::world::{Policy, World};
use crate::store::{self, Applied, RunInfo, Tx, Verdict};

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
            Ok(if dry { Verdict::RollBack(done) } else { Verdict::Commit(done) })
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
        let mut info = self.info(observation.mode, observation.generation, request_id);
        if observation.again {
            // No link is usable under another fingerprint: the next run reads everything.
            info.fingerprint.push_str(";in doubt");
        }
        tx.claim(&info)?;
        let everything = observation.question.everything;
        if !everything {
            tx.few_rows()?;
        }
        let timer = Instant::now();
        let (mut world, drift) = self.load(tx, &mut observation)?;
        let Observation { mode, generation, cursor, reading, refuted, seconds, notes, .. } =
            observation;
        let mut phases =
            BTreeMap::from([(Phase::Observe, seconds), (Phase::Load, timer.elapsed())]);

        let timer = Instant::now();
        let totals = totals(tx, everything)?;
        let policy = self.policy();
        let (mut plan, trips) = guard::decide(&world, &policy, &self.settings.limits, totals);
        add_notes(&mut plan, &world, &trips, notes);
        // Decided upon: what is written and shown asks for rows and names only.
        world.parents.clear();
        phases.insert(Phase::Plan, timer.elapsed());

        let timer = Instant::now();
        let Applied { changes } = tx.apply(&plan, &world, &info)?;
        let totals = guard::totals_after(totals, &plan);
        tx.move_cursor(&cursor, totals, &info)?;
        self.prune(tx)?;
        if generation == 0 {
            tx.gather_statistics()?;
        }
        let withheld = guard::count_withheld(&plan);
        let outcome = match (withheld == Removals::default(), changes.is_empty()) {
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
            totals: Some(totals),
            reading,
            phases,
            findings: tx.count_findings()?,
            failure: None,
        };
        tx.record_run(&report::row(&report))?;
        Ok(Done { report, plan, world, trips })
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

    fn info(&self, mode: Mode, generation: i64, request_id: Option<String>) -> RunInfo {
        RunInfo {
            id: self.run.id,
            mode,
            trigger: self.run.trigger,
            now: self.run.started_at,
            tenant_id: self.settings.tenant_id.clone(),
            endpoint: self.settings.endpoint.clone(),
            fingerprint: self.settings.fingerprint(),
            generation,
            request_id,
        }
    }

    fn policy(&self) -> Policy {
        Policy {
            include_guests: self.settings.include_guests,
            include_disabled: self.settings.include_disabled,
            members_only: !self.settings.all_users,
            admin_groups: self.settings.admin_groups.clone(),
            now: self.run.started_at,
        }
    }

    fn prune(&self, tx: &mut Tx<'_>) -> Result<(), store::Error> {
        if self.run.mode == Mode::Full {
            let limit = self.run.started_at - self.settings.findings_retention;
            tx.prune_findings(limit)?;
            tx.prune_runs(limit)?;
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

/// Findings about the run itself: what reading noted, and that something is held.
fn add_notes(
    plan: &mut crate::reconcile::plan::Plan,
    world: &World,
    trips: &[guard::Trip],
    notes: BTreeMap<(FindingKind, String), Option<String>>,
) {
    let held = trips.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let held = (!trips.is_empty()).then(|| {
        format!(
            "{held}; nothing is taken away until the directory comes back or the limits allow it"
        )
    });
    let notes = notes.into_iter().chain([((FindingKind::RemovalsHeld, "guard".to_owned()), held)]);
    for (key, message) in notes {
        let open = world.open_findings.get(&key);
        match message {
            Some(message) if open != Some(&message) => {
                plan.raised.insert(key, message);
            }
            None if open.is_some() => {
                plan.resolved.insert(key);
            }
            _ => {}
        }
    }
}
