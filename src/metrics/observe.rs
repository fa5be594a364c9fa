//! How events become numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::families::{DIRECTIONS, MODES, STREAMS, UNITS};
use super::{ENDPOINTS, Metrics, RETRY_REASONS, closed, seconds};
use crate::directory::Mode;
use crate::reconcile::report::{
    FindingKind, LinkedGroup, Past, PendingPlans, Removals, Report, States, Totals,
};

impl Metrics {
    /// A run begins.
    pub fn run_begins(&self, mode: Mode, now: DateTime<Utc>) {
        self.runs.running.set(1);
        self.runs.last_attempt.with_label_values(&[mode.label()]).set(seconds(now));
    }

    /// A run has ended.
    pub fn observe(&self, report: &Report) {
        // All fields, so that a new one cannot be forgotten. What reading cost is
        // counted request by request; a failure's kind is for logs and `/status`.
        let Report {
            run_id: _,
            mode,
            trigger,
            started_at,
            finished_at,
            outcome,
            changes,
            drift,
            refuted,
            withheld,
            access,
            pending,
            totals,
            states,
            reading: _,
            lag_max,
            phases,
            reset,
            linked_groups,
            findings,
            failure: _,
        } = report;
        let runs = &self.runs;
        let mode_label = mode.label();
        runs.running.set(0);
        runs.ended.with_label_values(&[mode_label, trigger.label(), outcome.label()]).inc();
        let taken = (*finished_at - *started_at).as_seconds_f64().max(0.0);
        runs.duration.with_label_values(&[mode_label]).observe(taken);
        if let Some(lag) = lag_max {
            runs.change_to_commit.observe(lag.as_secs_f64());
        }
        for (phase, taken) in phases {
            runs.phase_duration.with_label_values(&[phase.label()]).observe(taken.as_secs_f64());
        }
        for ((entity, action), count) in changes {
            runs.changes.with_label_values(&[entity.label(), action.label()]).inc_by(*count);
        }
        for (direction, pairs) in DIRECTIONS.iter().zip([access.gained, access.lost]) {
            runs.access_changes.with_label_values(&[*direction]).inc_by(pairs);
        }
        if let Some(totals) = totals {
            self.objects(*totals);
        }
        if let Some(states) = states {
            self.states(*states);
        }
        // A run that failed knows nothing about the rest: what was known still holds.
        if !outcome.is_success() {
            return;
        }
        runs.last_success.with_label_values(&[mode_label]).set(seconds(*finished_at));
        self.left(*withheld, *pending, findings, linked_groups);
        self.delta_tokens(*started_at);
        if let Some(reason) = reset {
            runs.cursor_resets.with_label_values(&[reason.label()]).inc();
        }
        runs.refuted.inc_by(*refuted);
        if *mode == Mode::Full {
            runs.drift.set(gauge(*drift));
        }
    }

    /// What is known of runs that this process did not do: a restart must not look like a
    /// daemon that never succeeded, nor a standby like one with nothing on its mind.
    pub fn recall(&self, past: &Past) {
        // All fields, as above. What is counted up is the work of this process alone.
        let Past {
            last: _,
            last_success,
            consecutive_failures,
            withheld,
            drift,
            pending,
            totals,
            states,
            findings,
            linked_groups,
            read_at,
        } = past;
        for (mode, time) in last_success {
            self.runs.last_success.with_label_values(&[mode.label()]).set(seconds(*time));
        }
        self.consecutive_failures(*consecutive_failures);
        self.left(*withheld, *pending, findings, linked_groups);
        self.runs.drift.set(gauge(*drift));
        if let Some(totals) = totals {
            self.objects(*totals);
        }
        if let Some(states) = states {
            self.states(*states);
        }
        if let Some(time) = read_at {
            self.delta_tokens(*time);
        }
    }

    /// When the run began whose delta links are stored: each run that commits follows
    /// both streams to their end and stores both.
    pub fn delta_tokens(&self, time: DateTime<Utc>) {
        for stream in STREAMS {
            self.runs.delta_token.with_label_values(&[stream]).set(seconds(time));
        }
    }

    /// How many objects are in which state.
    pub fn states(&self, states: States) {
        for (kind, state, count) in states.series() {
            self.runs.objects_by_state.with_label_values(&[kind, state]).set(gauge(count));
        }
    }

    /// How verifying the audit went while this replica leads.
    pub fn audit(
        &self,
        verified_at: Option<DateTime<Utc>>,
        due_at: Option<DateTime<Utc>>,
        differences: u64,
    ) {
        self.audit.verified.set(verified_at.map_or(0.0, seconds));
        self.audit.due.set(due_at.map_or(0.0, seconds));
        self.audit.differences.set(gauge(differences));
    }

    /// Whether the database answered when it was last asked.
    pub fn database_up(&self, up: bool) {
        self.database.up.set(i64::from(up));
    }

    /// When the client certificate ends, where there is one.
    pub fn credential_expiry(&self, time: Option<DateTime<Utc>>) {
        self.process.credential_expiry.set(time.map_or(0.0, seconds));
    }

    /// When each mode is due next.
    pub fn next_runs(&self, next: &BTreeMap<Mode, DateTime<Utc>>) {
        for mode in MODES {
            let time = next.get(&mode).map_or(0.0, |time| seconds(*time));
            self.runs.next.with_label_values(&[mode.label()]).set(time);
        }
    }

    /// The longest time between two runs of each mode that the schedule has.
    pub fn schedule_gaps(&self, gaps: &BTreeMap<Mode, TimeDelta>) {
        for mode in MODES {
            let gap = gaps.get(&mode).map_or(0.0, |gap| gap.as_seconds_f64());
            self.runs.schedule_gap.with_label_values(&[mode.label()]).set(gap);
        }
    }

    /// Failed runs since the last one that succeeded.
    pub fn consecutive_failures(&self, count: u64) {
        self.runs.consecutive_failures.set(gauge(count));
    }

    /// Whether this process leads, and the epoch of whoever does, if that is known.
    pub fn leader(&self, leader: bool, epoch: Option<i64>) {
        self.process.leader.set(i64::from(leader));
        self.process.leader_epoch.set(epoch.unwrap_or(0));
    }

    /// A configuration is in use from now on.
    pub fn config_loaded(&self, now: DateTime<Utc>) {
        self.process.config_reload_success.set(1);
        self.process.config_reload_time.set(seconds(now));
    }

    /// A configuration was refused.
    pub fn config_refused(&self) {
        self.process.config_reload_success.set(0);
    }

    /// Graph, or the token endpoint, answered with `status`; `None` when no answer came.
    /// An endpoint that is not among [`ENDPOINTS`] counts as `other`.
    pub fn graph_request(&self, endpoint: &str, status: Option<u16>, taken: Option<Duration>) {
        let endpoint = closed(ENDPOINTS, endpoint);
        let status = status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        self.graph.requests.with_label_values(&[endpoint, status.as_str()]).inc();
        // An item of a batch has no time of its own.
        if let Some(taken) = taken {
            self.graph.request_duration.with_label_values(&[endpoint]).observe(taken.as_secs_f64());
        }
    }

    /// A request is sent again, for one of [`RETRY_REASONS`].
    pub fn graph_retry(&self, reason: &str) {
        self.graph.retries.with_label_values(&[closed(RETRY_REASONS, reason)]).inc();
    }

    /// A request waited so long for Graph's leave to go on.
    pub fn graph_waited(&self, seconds: f64) {
        self.graph.wait.inc_by(seconds);
    }

    /// Graph reported the cost of an answer.
    pub fn graph_resource_units(&self, units: u64) {
        self.graph.resource_units.inc_by(units);
    }

    /// Graph reported how much of the quota is used: above 1 it throttles.
    pub fn graph_throttle_ratio(&self, ratio: f64) {
        self.graph.throttle_ratio.set(ratio);
    }

    pub(super) fn pool_connections(&self, idle: u64, in_use: u64) {
        let pool = &self.database.pool;
        pool.with_label_values(&["idle"]).set(gauge(idle));
        pool.with_label_values(&["in_use"]).set(gauge(in_use));
    }

    /// What a run leaves for people to look at.
    fn left(
        &self,
        withheld: Removals,
        pending: PendingPlans,
        findings: &BTreeMap<FindingKind, u64>,
        linked_groups: &BTreeMap<LinkedGroup, u64>,
    ) {
        let runs = &self.runs;
        self.withheld(withheld);
        runs.plan_pending.set(gauge(pending.plans));
        runs.plan_oldest.set(pending.oldest.map_or(0.0, seconds));
        runs.plan_access_lost.set(gauge(withheld.access));
        for kind in FindingKind::ALL {
            let open = findings.get(kind).copied().unwrap_or(0);
            runs.findings.with_label_values(&[kind.label()]).set(gauge(open));
        }
        for state in LinkedGroup::ALL {
            let groups = linked_groups.get(state).copied().unwrap_or(0);
            runs.linked_groups.with_label_values(&[state.label()]).set(gauge(groups));
        }
    }

    fn objects(&self, Totals { users, groups, memberships, access }: Totals) {
        for (kind, count) in UNITS.iter().zip([users, groups, memberships, access]) {
            self.runs.objects.with_label_values(&[*kind]).set(gauge(count));
        }
    }

    fn withheld(&self, Removals { users, groups, memberships, access }: Removals) {
        for (unit, count) in UNITS.iter().zip([users, groups, memberships, access]) {
            self.runs.withheld.with_label_values(&[*unit]).set(gauge(count));
        }
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
