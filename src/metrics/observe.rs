//! How events become numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::families::{MODES, UNITS};
use super::{ENDPOINTS, Metrics, RETRY_REASONS, closed, seconds};
use crate::directory::Mode;
use crate::reconcile::report::{FindingKind, Removals, Report, Totals};

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
            totals,
            reading: _,
            phases,
            findings,
            failure: _,
        } = report;
        let runs = &self.runs;
        let mode_label = mode.label();
        runs.running.set(0);
        runs.ended.with_label_values(&[mode_label, trigger.label(), outcome.label()]).inc();
        let taken = (*finished_at - *started_at).as_seconds_f64().max(0.0);
        runs.duration.with_label_values(&[mode_label]).observe(taken);
        for (phase, taken) in phases {
            runs.phase_duration.with_label_values(&[phase.label()]).observe(taken.as_secs_f64());
        }
        for ((entity, action), count) in changes {
            runs.changes.with_label_values(&[entity.label(), action.label()]).inc_by(*count);
        }
        if let Some(totals) = totals {
            self.objects(*totals);
        }
        // A run that failed knows nothing about the rest: what was known still holds.
        if !outcome.is_success() {
            return;
        }
        runs.last_success.with_label_values(&[mode_label]).set(seconds(*finished_at));
        self.withheld(*withheld);
        runs.refuted.inc_by(*refuted);
        for kind in FindingKind::ALL {
            let open = findings.get(kind).copied().unwrap_or(0);
            runs.findings.with_label_values(&[kind.label()]).set(gauge(open));
        }
        if *mode == Mode::Full {
            runs.drift.set(gauge(*drift));
        }
    }

    /// When a run of each mode last succeeded, from before this process: a restart
    /// must not look like a daemon that never succeeded.
    pub fn last_success(&self, times: &BTreeMap<Mode, DateTime<Utc>>) {
        for (mode, time) in times {
            self.runs.last_success.with_label_values(&[mode.label()]).set(seconds(*time));
        }
    }

    /// When each mode is due next.
    pub fn next_runs(&self, next: &BTreeMap<Mode, DateTime<Utc>>) {
        for mode in MODES {
            let time = next.get(&mode).map_or(0.0, |time| seconds(*time));
            self.runs.next.with_label_values(&[mode.label()]).set(time);
        }
    }

    /// Failed runs since the last one that succeeded.
    pub fn consecutive_failures(&self, count: u64) {
        self.runs.consecutive_failures.set(gauge(count));
    }

    /// Whether this process leads.
    pub fn leader(&self, leader: bool) {
        self.process.leader.set(i64::from(leader));
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

    fn objects(&self, Totals { users, groups, memberships }: Totals) {
        for (kind, count) in UNITS.iter().zip([users, groups, memberships]) {
            self.runs.objects.with_label_values(&[*kind]).set(gauge(count));
        }
    }

    fn withheld(&self, Removals { users, groups, memberships }: Removals) {
        for (unit, count) in UNITS.iter().zip([users, groups, memberships]) {
            self.runs.withheld.with_label_values(&[*unit]).set(gauge(count));
        }
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
