//! Names, help texts and label sets of all metrics, and their first values.

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, Result,
};

use super::{ENDPOINTS, RETRY_REASONS};
use crate::directory::Mode;
use crate::reconcile::report::{
    Action, CursorReset, Entity, FindingKind, LinkedGroup, Outcome, Phase, States, Trigger,
};

/// From a run without changes to a first read of a large tenant.
const RUN_SECONDS: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];
/// From a cached answer to the longest request timeout that makes sense.
const REQUEST_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

pub(super) const MODES: [Mode; 2] = [Mode::Full, Mode::Delta];
pub(super) const UNITS: [&str; 4] = ["users", "groups", "memberships", "access"];
pub(super) const DIRECTIONS: [&str; 2] = ["gained", "lost"];
/// The delta rounds of Graph that are followed.
pub(super) const STREAMS: [&str; 2] = ["users", "groups"];

/// The changes that exist, as the audit table lists them.
const CHANGES: &[(Entity, &[Action])] = &[
    (Entity::User, &[Action::Create, Action::Update, Action::StatusChange, Action::Delete]),
    (
        Entity::AadGroup,
        &[
            Action::Create,
            Action::Update,
            Action::StatusChange,
            Action::Delete,
            Action::Link,
            Action::Unlink,
        ],
    ),
    (Entity::Product, &[Action::Create, Action::Update]),
    (Entity::ProductAadGroup, &[Action::Link, Action::Unlink]),
    (Entity::ProductMember, &[Action::Create, Action::Update, Action::Delete]),
];

/// Statuses that are worth a series before they happen; others appear when they do.
const STATUSES: &[&str] = &["200", "410", "429", "503", "error"];

/// Registers metrics one by one.
struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn add<C: Collector + Clone + 'static>(&self, collector: Result<C>) -> Result<C> {
        let collector = collector?;
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn times(&self, name: &str, help: &str, label: &str) -> Result<GaugeVec> {
        self.add(GaugeVec::new(Opts::new(name, help), &[label]))
    }

    fn durations(
        &self,
        name: &str,
        help: &str,
        label: &str,
        buckets: &[f64],
    ) -> Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(HistogramVec::new(opts, &[label]))
    }

    fn time(&self, name: &str, help: &str) -> Result<Gauge> {
        self.add(Gauge::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.add(IntGauge::new(name, help))
    }
}

/// What runs did and when.
pub(super) struct Runs {
    pub(super) ended: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) phase_duration: HistogramVec,
    pub(super) change_to_commit: Histogram,
    pub(super) last_attempt: GaugeVec,
    pub(super) last_success: GaugeVec,
    pub(super) next: GaugeVec,
    pub(super) schedule_gap: GaugeVec,
    pub(super) running: IntGauge,
    pub(super) consecutive_failures: IntGauge,
    pub(super) changes: IntCounterVec,
    pub(super) withheld: IntGaugeVec,
    pub(super) plan_pending: IntGauge,
    pub(super) plan_oldest: Gauge,
    pub(super) plan_access_lost: IntGauge,
    pub(super) access_changes: IntCounterVec,
    pub(super) objects: IntGaugeVec,
    pub(super) objects_by_state: IntGaugeVec,
    pub(super) drift: IntGauge,
    pub(super) refuted: IntCounter,
    pub(super) findings: IntGaugeVec,
    pub(super) linked_groups: IntGaugeVec,
    pub(super) cursor_resets: IntCounterVec,
    pub(super) delta_token: GaugeVec,
}

impl Runs {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        let on = Registrar(registry);
        Ok(Self {
            ended: on.counters("runs_total", "Runs that ended.", &["mode", "trigger", "outcome"])?,
            duration: on.durations("run_duration_seconds", "How long runs took.", "mode", RUN_SECONDS)?,
            phase_duration: on.durations(
                "run_phase_duration_seconds",
                "How long the parts of runs took.",
                "phase",
                RUN_SECONDS,
            )?,
            change_to_commit: on.add(Histogram::with_opts(
                HistogramOpts::new(
                    "change_to_commit_seconds",
                    "How long ago, at most, the directory was changed as a run wrote it, for each run that wrote something: since the read before it began.",
                )
                .buckets(RUN_SECONDS.to_vec()),
            ))?,
            last_attempt: on.times(
                "last_attempt_timestamp_seconds",
                "When a run last began, or 0.",
                "mode",
            )?,
            last_success: on.times(
                "last_success_timestamp_seconds",
                "When a run that left the database equal to the directory, held removals apart, last ended, or 0.",
                "mode",
            )?,
            next: on.times(
                "next_run_timestamp_seconds",
                "When the next run is due, or 0 if never.",
                "mode",
            )?,
            schedule_gap: on.times(
                "schedule_gap_seconds",
                "The longest time that the schedule leaves between two runs, or 0 if never.",
                "mode",
            )?,
            running: on.gauge("run_in_progress", "1 while a run is going on.")?,
            consecutive_failures: on
                .gauge("consecutive_failures", "Failed runs since the last one that succeeded.")?,
            changes: on.counters("changes_total", "Rows written.", &["entity", "action"])?,
            withheld: on.gauges(
                "withheld_removals",
                "Removals that the guard withholds until they are approved.",
                &["unit"],
            )?,
            plan_pending: on.gauge("plan_pending", "Held plans that wait for a person.")?,
            plan_oldest: on.time(
                "plan_oldest_timestamp_seconds",
                "When the oldest held plan that waits for a person was made, or 0.",
            )?,
            plan_access_lost: on.gauge(
                "plan_access_lost",
                "(user, product) pairs that plans which wait for a person would end.",
            )?,
            access_changes: on.counters(
                "access_changes_total",
                "(user, product) pairs that runs made or ended.",
                &["direction"],
            )?,
            objects: on.gauges("objects", "Objects that the platform sees.", &["kind"])?,
            objects_by_state: on.gauges(
                "objects_by_state",
                "Objects by state, as the last full run counted them, whichever replica did it.",
                &["kind", "state"],
            )?,
            drift: on.gauge(
                "drift_changes",
                "Differences the last full run found that delta runs should have applied.",
            )?,
            refuted: on.add(IntCounter::new(
                "removals_refuted_total",
                "Removals that lists suggested and a second look refuted; none of them was made.",
            ))?,
            findings: on.gauges("findings", "Open findings.", &["kind"])?,
            linked_groups: on.gauges(
                "linked_groups",
                "Groups that links or the registry name, as the last run found them.",
                &["state"],
            )?,
            cursor_resets: on.counters(
                "cursor_resets_total",
                "Runs that began from nothing because the stored delta links were of no use.",
                &["reason"],
            )?,
            delta_token: on.times(
                "delta_token_timestamp_seconds",
                "When the run began whose delta link is stored, or 0 before the first.",
                "stream",
            )?,
        })
    }

    /// Every series at its first value: a rate needs the zero before the first event.
    pub(super) fn initialise(&self) {
        for mode in MODES.map(Mode::label) {
            for (trigger, outcome) in Trigger::ALL
                .iter()
                .flat_map(|trigger| Outcome::ALL.iter().map(move |outcome| (trigger, outcome)))
            {
                self.ended.with_label_values(&[mode, trigger.label(), outcome.label()]);
            }
            self.duration.with_label_values(&[mode]);
            for time in [&self.last_attempt, &self.last_success, &self.next, &self.schedule_gap] {
                time.with_label_values(&[mode]);
            }
        }
        for phase in Phase::ALL {
            self.phase_duration.with_label_values(&[phase.label()]);
        }
        for (entity, actions) in CHANGES {
            for action in *actions {
                self.changes.with_label_values(&[entity.label(), action.label()]);
            }
        }
        for direction in DIRECTIONS {
            self.access_changes.with_label_values(&[direction]);
        }
        for unit in UNITS {
            self.withheld.with_label_values(&[unit]);
            self.objects.with_label_values(&[unit]);
        }
        for (kind, state, _) in States::default().series() {
            self.objects_by_state.with_label_values(&[kind, state]);
        }
        for kind in FindingKind::ALL {
            self.findings.with_label_values(&[kind.label()]);
        }
        for state in LinkedGroup::ALL {
            self.linked_groups.with_label_values(&[state.label()]);
        }
        for reason in CursorReset::ALL {
            self.cursor_resets.with_label_values(&[reason.label()]);
        }
        for stream in STREAMS {
            self.delta_token.with_label_values(&[stream]);
        }
    }
}

/// How Microsoft Graph behaves.
pub(super) struct Graph {
    pub(super) requests: IntCounterVec,
    pub(super) request_duration: HistogramVec,
    pub(super) retries: IntCounterVec,
    pub(super) wait: Counter,
    pub(super) resource_units: IntCounter,
    pub(super) throttle_ratio: Gauge,
}

impl Graph {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        let on = Registrar(registry);
        Ok(Self {
            requests: on.counters(
                "graph_requests_total",
                "Requests to Graph and the token endpoint, by HTTP status or `error`.",
                &["endpoint", "status"],
            )?,
            request_duration: on.durations(
                "graph_request_duration_seconds",
                "How long requests took, their bodies included.",
                "endpoint",
                REQUEST_SECONDS,
            )?,
            retries: on.counters(
                "graph_retries_total",
                "Requests that were sent again.",
                &["reason"],
            )?,
            wait: on.add(Counter::new(
                "graph_wait_seconds_total",
                "Time spent waiting for Graph's leave to go on.",
            ))?,
            resource_units: on.add(IntCounter::new(
                "graph_resource_units_total",
                "Resource units, as Graph reported them.",
            ))?,
            throttle_ratio: on.add(Gauge::new(
                "graph_throttle_ratio",
                "Use of the quota as Graph last reported it: above 1 it throttles, and 0 is less than 0.8.",
            ))?,
        })
    }

    pub(super) fn initialise(&self) {
        for endpoint in ENDPOINTS {
            for status in STATUSES {
                self.requests.with_label_values(&[*endpoint, *status]);
            }
            self.request_duration.with_label_values(&[*endpoint]);
        }
        for reason in RETRY_REASONS {
            self.retries.with_label_values(&[*reason]);
        }
    }
}

/// The audit, as verified while this replica leads.
pub(super) struct Audit {
    pub(super) verified: Gauge,
    pub(super) due: Gauge,
    pub(super) differences: IntGauge,
}

impl Audit {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        let on = Registrar(registry);
        Ok(Self {
            verified: on.time(
                "audit_verified_timestamp_seconds",
                "When this leader last replayed the audit and held it against the tables, or 0.",
            )?,
            due: on.time(
                "audit_verification_due_timestamp_seconds",
                "When that is due next, or 0 if never or not by this replica.",
            )?,
            differences: on.gauge(
                "audit_differences",
                "Places where audit and tables did not tell the same.",
            )?,
        })
    }
}

/// The database, as this process sees it.
pub(super) struct Database {
    pub(super) up: IntGauge,
    pub(super) pool: IntGaugeVec,
}

impl Database {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        let on = Registrar(registry);
        Ok(Self {
            up: on.gauge(
                "database_up",
                "1 if the database served when it was last asked, its schema apart.",
            )?,
            pool: on.gauges(
                "database_pool_connections",
                "Connections of this process to the database.",
                &["state"],
            )?,
        })
    }

    pub(super) fn initialise(&self) {
        for state in ["idle", "in_use"] {
            self.pool.with_label_values(&[state]);
        }
    }
}

/// The process and its configuration.
pub(super) struct Process {
    pub(super) leader: IntGauge,
    pub(super) leader_epoch: IntGauge,
    pub(super) config_reload_success: IntGauge,
    pub(super) config_reload_time: Gauge,
    pub(super) credential_expiry: Gauge,
    build_info: IntGaugeVec,
}

impl Process {
    pub(super) fn register(registry: &Registry) -> Result<Self> {
        let on = Registrar(registry);
        Ok(Self {
            leader: on.gauge("leader", "1 if this replica leads, 0 if it stands by.")?,
            leader_epoch: on.gauge(
                "leader_epoch",
                "The epoch of the lead as this replica sees it, or 0 while it cannot tell.",
            )?,
            config_reload_success: on.gauge(
                "config_last_reload_successful",
                "1 if the configuration that was last loaded is in use, 0 if it was refused.",
            )?,
            config_reload_time: on.add(Gauge::new(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration in use was loaded.",
            ))?,
            credential_expiry: on.add(Gauge::new(
                "credential_expiry_timestamp_seconds",
                "When the client certificate ends, or 0 where that cannot be known.",
            ))?,
            build_info: on.gauges("build_info", "Always 1.", &["version", "revision"])?,
        })
    }

    pub(super) fn initialise(&self) {
        self.build_info.with_label_values(&[crate::VERSION, crate::REVISION]).set(1);
    }
}
