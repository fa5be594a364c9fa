//! Where everybody can see how the daemon is doing: `/status` and metrics together.
//!
//! Owns that both tell the same. Must not decide anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use super::clock::Clock;
use super::lead::Lead;
use super::requests::Request;
use super::status::{AuditStatus, Status};
use crate::directory::Mode;
use crate::metrics::Metrics;
use crate::reconcile::report::{Past, Report};

/// The one writer of [`Status`] and of the metrics that mirror it.
#[derive(Debug)]
pub struct Board {
    status: watch::Sender<Status>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Board {
    /// An empty board.
    pub fn new(metrics: Arc<Metrics>, clock: Clock) -> Self {
        let now = clock.now();
        metrics.config_loaded(now);
        Self { status: watch::Sender::new(Status::new(now)), metrics, clock }
    }

    /// For whoever wants to look.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// How this replica calls itself.
    pub fn introduce(&self, instance: &str) {
        self.status.send_modify(|status| instance.clone_into(&mut status.instance));
    }

    /// Who leads.
    pub fn lead(&self, lead: &Lead) {
        let epoch = lead.leader.as_ref().map(|leader| leader.epoch);
        self.metrics.leader(lead.leading, epoch);
        self.status.send_modify(|status| {
            status.leader = lead.leading;
            status.leads.clone_from(&lead.leader);
        });
    }

    /// When each mode is due next.
    pub fn next_runs(&self, next: &BTreeMap<Mode, DateTime<Utc>>) {
        self.metrics.next_runs(next);
        let next = next.iter().map(|(mode, time)| (mode.label().to_owned(), *time)).collect();
        self.status.send_modify(|status| status.next = next);
    }

    /// The longest time between two runs of each mode that the schedule has.
    pub fn longest_gaps(&self, gaps: &BTreeMap<Mode, TimeDelta>) {
        self.metrics.schedule_gaps(gaps);
    }

    /// What is known of runs that this process did not do.
    pub fn recall(&self, past: &Past) {
        self.metrics.recall(past);
        self.status.send_modify(|status| status.recall(past));
    }

    /// A run begins.
    pub fn run_begins(&self, request: Request) {
        let now = self.clock.now();
        self.metrics.run_begins(request.mode, now);
        self.status.send_modify(|status| status.begin(request, now));
    }

    /// A run has ended.
    pub fn run_ended(&self, report: &Report) {
        self.status.send_modify(|status| status.end(report));
        self.metrics.observe(report);
        self.metrics.consecutive_failures(self.status.borrow().consecutive_failures);
    }

    /// How verifying the audit went.
    pub fn audit(&self, audit: &AuditStatus) {
        self.metrics.audit(audit.verified_at, audit.due_at, audit.differences);
        self.status.send_modify(|status| status.audit.clone_from(audit));
    }

    /// Another configuration is in use; these of its keys are not.
    pub fn reloaded(&self, restart_needed: &[&str]) {
        let now = self.clock.now();
        self.metrics.config_loaded(now);
        self.status.send_modify(|status| {
            status.config.loaded_at = now;
            status.config.reload_failed = false;
            status.config.restart_needed =
                restart_needed.iter().map(|key| (*key).to_owned()).collect();
        });
    }

    /// Another configuration was refused.
    pub fn reload_failed(&self) {
        self.metrics.config_refused();
        self.status.send_modify(|status| status.config.reload_failed = true);
    }
}
