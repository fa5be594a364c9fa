//! One history: a tenant, a database, one daemon or two, and the steps that befall them.

mod debut;
mod processes;
mod turns;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use graph_simulator::{
    DeltaHabits, Effect, Fault, Options, Quota, Shape, Tenant, generate, random_edit,
};
use nexus_dirsync::daemon::Status;
use nexus_dirsync::reconcile::report::LastRun;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;

use crate::chronicle::Chronicle;
use crate::process::{Daemon, run_ids};
use crate::proxy::{Act, Place, Proxy};
use crate::safety::Safety;
use crate::schedule::{Asked, Course, Step};
use crate::stage::{Stage, guarded, until};
use crate::support::postgres::Cluster;
use crate::support::world::Database;
pub use processes::faketime;
use processes::{offset, spawn};

/// What one run may take away where limits are tight.
const TIGHT: u64 = 4;

const NAMED: [&str; 4] = ["app-readers", "app-writers", "billing", "payments"];
const OWNER: &str = "Ada Lovelace";

const PERMISSIONS: [&str; 3] = ["User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden"];

/// What happened so far, for whoever must understand a failure.
pub type Story = Arc<Mutex<Vec<String>>>;

/// How often what happened.
pub type Figures = BTreeMap<String, u32>;

pub struct Life<'c> {
    pub course: &'c Course,
    pub stage: Stage,
    pub daemon: Daemon,
    pub figures: Figures,
    second: Option<Daemon>,
    chronicle: Mutex<Chronicle>,
    cluster: &'c mut Cluster,
    proxy: Proxy,
    safety: Safety,
    story: Story,
    began: Instant,
    /// What a run may take away; nothing where limits are lifted.
    allowed: Option<u64>,
}

fn tenant(course: &Course) -> Tenant {
    let mut tenant = generate(&Shape {
        seed: course.seed,
        users: 30,
        groups: 10,
        memberships: 80,
        nesting: 0.4,
        odd_names: true,
        named_groups: NAMED.map(str::to_owned).to_vec(),
        people: vec![OWNER.to_owned()],
        ..Shape::default()
    });
    let hidden = tenant.groups().nth(3).map(graph_simulator::Group::id).unwrap();
    tenant.update_group(hidden, |group| group.visibility = Some("HiddenMembership".to_owned()));
    tenant.forget_history();
    tenant
}

fn options(course: &Course) -> Options {
    let habits = if course.unruly { DeltaHabits::UNRULY } else { DeltaHabits::TIDY };
    Options { seed: course.seed, habits, ..guarded() }
}

fn registry() -> String {
    let product = |name: &str, groups: [&str; 2], owner: &str| {
        format!(
            "[[product]]\nname = {name:?}\ndescription = {name:?}\nenvironment = \"production\"\n\
             groups = {groups:?}\n{owner}\n"
        )
    };
    product("app", [NAMED[0], NAMED[1]], &format!("owner = {OWNER:?}"))
        + &product("money", [NAMED[2], NAMED[3]], "")
}

impl<'c> Life<'c> {
    /// A daemon that has read a whole tenant, perhaps not at once.
    pub async fn begin(course: &'c Course, cluster: &'c mut Cluster, story: Story) -> Self {
        let name = format!("seed{}", course.seed);
        cluster.psql("postgres", &format!("CREATE DATABASE {name}"));
        let database = Database::at(cluster.url(&name));
        let stage = Stage::with(database, tenant(course), options(course)).await;
        let proxy = Proxy::before(cluster.socket());
        stage.set("database.url", &proxy.url(&name));
        stage.set("database.lock_timeout", "1s");
        stage.set("graph.request_timeout", "2s");
        stage.set("graph.backoff_max", "50ms");
        stage.set_raw("graph.pages_max", "60");
        stage.write_registry(&registry());
        if !course.everything {
            stage.unset("scope.groups");
            stage.unset("scope.users");
        }
        if course.tight {
            set_limits(&stage, TIGHT, 0);
        }
        if course.grudging {
            stage.set_raw("guard.hold_gains", "true");
            stage.set_raw("guard.gain_percent", "10");
            stage.set_raw("guard.floor", "1");
        }
        fs::write(stage.path("clock"), "+0").unwrap();
        let chronicle = Mutex::new(stage.world.simulator.read(Chronicle::new));
        debut::prepare(course, &stage, &proxy);
        let daemon = spawn(course, &stage, &stage.listen());
        let mut life = Self {
            course,
            daemon,
            figures: Figures::new(),
            second: None,
            chronicle,
            cluster,
            proxy,
            safety: Safety::new(),
            story,
            began: Instant::now(),
            allowed: course.tight.then_some(TIGHT),
            stage,
        };
        life.debut().await;
        life
    }

    /// Takes the step, whatever comes of it, and checks what must hold.
    pub async fn take(&mut self, step: &Step) {
        self.tell(&format!("{step:?}"));
        *self.figures.entry(kind(step)).or_default() += 1;
        match step {
            Step::Edit { seed, count } => self.edit(*seed, *count),
            Step::Link { pick } => self.link(*pick),
            Step::Turn(asked) => self.turn(*asked).await,
            Step::Rush { asked, seed, count } => {
                let before = self.known().await;
                self.daemon.signal(asked.signal());
                self.edit(*seed, *count);
                self.until_turned(*asked, &before).await;
            }
            Step::Fault(_)
            | Step::Heal
            | Step::Forbid(_)
            | Step::Throttle(_)
            | Step::Expire(_)
            | Step::Revoke => self.meddle(step),
            Step::Cut(place, asked) => {
                self.proxy.arm(*place, Act::Cut);
                self.turn(*asked).await;
                self.proxy.release();
            }
            Step::Refuse(asked) => {
                let before = self.known().await;
                self.proxy.refuse(true);
                self.proxy.cut();
                self.daemon.signal(asked.signal());
                // A run fails, or none begins: nobody is known to lead.
                self.daemon.until_code("/readyz", 503).await;
                self.proxy.refuse(false);
                self.until_turned(*asked, &before).await;
            }
            Step::RestartServer(place, asked) => self.restart_server(*place, *asked).await,
            Step::KillAt(place, asked) => {
                self.hold(*place, *asked).await;
                self.daemon.kill();
                self.proxy.release();
                self.start().await;
            }
            Step::KillReading(asked) => self.kill_reading(*asked).await,
            Step::Restart => {
                self.daemon.signal(Signal::TERM);
                assert_eq!(self.daemon.exit_code().await, 0, "a stop that was asked for");
                self.start().await;
            }
            Step::Second { killed } => self.toggle_second(*killed).await,
            Step::Race(asked) => {
                let before = self.known().await;
                self.daemons().for_each(|daemon| daemon.signal(asked.signal()));
                self.until_turned(*asked, &before).await;
            }
            Step::Overtake { place, asked, waits } => self.overtake(*place, *asked, *waits).await,
            Step::Command { full } => {
                let told =
                    self.stage.tell(if *full { &["sync", "--full"] } else { &["sync"] }).await;
                assert!([0, 1, 3].contains(&told.code), "{told:?}");
                self.tell(&format!("  exit code {}", told.code));
            }
            Step::Reload { page_size } => {
                self.stage.set_raw("graph.page_size", &page_size.to_string());
                self.reload().await;
            }
            Step::Misconfigure => {
                self.stage.write_config("[nonsense]\nkey = 1\n");
                self.daemon.signal(Signal::HUP);
                self.daemon.until_status("the refusal", |status| status.config.reload_failed).await;
                self.stage.write_config("");
                self.reload().await;
            }
            Step::Clock(seconds) => fs::write(self.stage.path("clock"), offset(*seconds)).unwrap(),
        }
        if step.wakes_somebody() {
            self.check().await;
        }
    }

    async fn check(&mut self) {
        let chronicle = self.chronicle.lock().unwrap().clone();
        self.safety.check(&self.stage, &chronicle, self.allowed).await;
    }

    pub fn tell(&self, what: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        self.story.lock().unwrap().push(format!("{seconds:7.2} {what}"));
    }

    fn daemons(&self) -> impl Iterator<Item = &Daemon> {
        std::iter::once(&self.daemon).chain(&self.second)
    }

    /// Each edit is a moment of its own: a run may see any of them.
    fn edit(&self, seed: u64, count: u32) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..count {
            let told = self.stage.world.simulator.edit(|tenant| {
                let told = random_edit(tenant, &mut rng);
                self.chronicle.lock().unwrap().note(tenant);
                told
            });
            self.tell(&format!("  {told}"));
        }
    }

    fn link(&self, pick: usize) {
        let mut sql = self.stage.sql();
        let groups = sql.cells("SELECT external_id AS cell FROM aad_groups ORDER BY external_id");
        let group = &groups[pick % groups.len()];
        self.tell(&format!("  {group}"));
        sql.execute(&format!(
            "INSERT INTO products (name) VALUES ('people''s') ON CONFLICT DO NOTHING;
             INSERT INTO product_aad_groups (product_id, aad_group_id) SELECT p.id, g.id
               FROM products p, aad_groups g WHERE p.name = 'people''s' AND g.external_id = '{group}'
               ON CONFLICT DO NOTHING"
        ));
    }

    fn meddle(&mut self, step: &Step) {
        let simulator = &self.stage.world.simulator;
        match step {
            Step::Fault(fault) => {
                simulator.inject(fault.clone());
            }
            Step::Heal => self.heal(),
            Step::Forbid(role) => {
                simulator.set_roles(PERMISSIONS.into_iter().filter(|known| known != role));
                simulator.revoke_tokens();
            }
            Step::Throttle(units) => simulator.set_quota(Quota::of(*units)),
            Step::Expire(how) => simulator.expire_delta_tokens(*how),
            Step::Revoke => simulator.revoke_tokens(),
            _ => unreachable!("{step:?} is not Graph's"),
        }
        if !self.course.honest && self.safety.lied_since.is_none() {
            self.safety.lied_since = Some(self.chronicle.lock().unwrap().now());
        }
    }

    /// Graph does what it should.
    pub fn heal(&self) {
        let simulator = &self.stage.world.simulator;
        simulator.clear_faults();
        simulator.set_roles(PERMISSIONS);
        simulator.set_quota(Quota::NONE);
    }

    async fn restart_server(&mut self, place: Option<Place>, asked: Asked) {
        let before = self.known().await;
        match place {
            Some(place) => self.hold(place, asked).await,
            None => self.daemon.signal(asked.signal()),
        }
        self.cluster.stop();
        self.proxy.release();
        self.cluster.restart();
        self.until_turned(asked, &before).await;
    }

    async fn kill_reading(&mut self, asked: Asked) {
        let before = self.known().await;
        let fault = Fault::on("/v1.0/", Effect::Hang).once();
        let fault = self.stage.world.simulator.inject(fault);
        self.daemon.signal(asked.signal());
        // Where Graph refuses everything it is over before anybody could look.
        let reads = |status: &Status| {
            let is_over = run_ids(status).difference(&before).next().is_some();
            status.running.is_some() || is_over || !status.leader
        };
        self.daemon.until_status("it reads", reads).await;
        self.daemon.kill();
        self.stage.world.simulator.clear_fault(fault);
        self.start().await;
    }

    /// A run stands in its transaction while others are asked. They either come to its end
    /// before they give up, or they do not.
    async fn overtake(&mut self, place: Place, asked: Asked, waits: bool) {
        let before = self.known().await;
        self.hold(place, asked).await;
        let mut other = self.stage.begin(&["sync"]);
        if let Some(second) = &self.second {
            second.signal(asked.signal());
        }
        let mut sql = self.stage.sql();
        let blocked = "SELECT 'one' AS cell FROM pg_stat_activity \
                       WHERE wait_event_type = 'Lock' AND datname = current_database()";
        until("it waits, or ends", async || {
            let waits = waits && sql.finds(blocked);
            (waits || !other.is_running()).then_some(())
        })
        .await;
        self.proxy.release();
        let code = other.exit_code().await;
        self.tell(&format!("  the command ended with {code}"));
        self.until_turned(asked, &before).await;
    }

    /// Nothing goes wrong any more: one daemon, the true time, patience, no limits.
    pub async fn calm(&mut self) {
        self.tell("calm");
        self.heal();
        self.proxy.release();
        if let Some(mut second) = self.second.take() {
            second.kill();
        }
        fs::write(self.stage.path("clock"), "+0").unwrap();
        self.stage.set("graph.request_timeout", "30s");
        self.lift_limits().await;
        // The daemon that is left may have to notice that it leads now.
        self.daemon.until_status("it leads", |status| status.leader).await;
    }

    /// From here on nothing is held, and what is held is let through by whoever may.
    async fn lift_limits(&mut self) {
        self.allowed = None;
        set_limits(&self.stage, 1_000_000, 1_000_000);
        self.reload().await;
        self.approve_all().await;
    }

    /// Says yes to whatever waits; returns how many plans that were.
    pub async fn approve_all(&mut self) -> usize {
        for plan in self.stage.world.pending().await {
            self.tell(&format!("approved: {}", plan.header.reasons.join("; ")));
        }
        self.stage.world.approve_all().await
    }

    /// Asks for a run that must do what it should.
    pub async fn good_turn(&mut self, asked: Asked) -> LastRun {
        let run = self.daemon.turn(asked.signal()).await;
        self.tell(&format!("good {asked:?}: {} {:?} {:?}", run.outcome, run.failure, run.changes));
        self.check().await;
        run
    }

    /// Stops the daemon and takes the database away.
    pub async fn end(mut self) -> Figures {
        self.daemon.signal(Signal::TERM);
        assert_eq!(self.daemon.exit_code().await, 0, "a stop that was asked for");
        let Self { course, stage, proxy, cluster, figures, .. } = self;
        drop(proxy);
        drop(stage);
        cluster.psql("postgres", &format!("DROP DATABASE seed{} WITH (FORCE)", course.seed));
        figures
    }
}

fn set_limits(stage: &Stage, max: u64, floor: u64) {
    for unit in ["users", "groups", "memberships", "access"] {
        for run in ["", "window_"] {
            stage.set_raw(&format!("guard.{unit}_{run}max"), &max.to_string());
            stage.set_raw(&format!("guard.{unit}_{run}percent"), "100");
        }
    }
    for switch in ["keep_reachable", "rehearse"] {
        stage.set_raw(&format!("guard.{switch}"), if floor == 0 { "true" } else { "false" });
    }
    stage.set_raw("guard.floor", &floor.to_string());
}

/// The step's name, for figures.
fn kind(step: &Step) -> String {
    let told = format!("{step:?}");
    let end = told.find([' ', '(']).unwrap_or(told.len());
    told[..end].to_owned()
}
