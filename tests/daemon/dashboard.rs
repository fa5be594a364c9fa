//! The chart's dashboard on a real Prometheus that scraped a real daemon while the
//! directory changed: no panel's query is an error, and none is empty without a reason.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use graph_simulator::{Effect, Expiry, Fault, Options, Quota, RetryAfter};
use rustix::process::Signal;
use serde_json::Value;

use crate::process::Daemon;
use crate::stage::{Stage, free_port, guarded, small, until};
use crate::support::world::{Database, On};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chart/dashboard.py");

/// Dropped, it is killed.
struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// Scrapes the daemon each second, as a pod of a release would be.
    async fn start(stage: &Stage) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let config = stage.path("prometheus.yml");
        let target = stage.listen();
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: nexus-dirsync\n  static_configs:\n  - targets: ['{target}']\n    labels: {{namespace: nexus, pod: nexus-dirsync-0}}\n"
        );
        fs::write(&config, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", stage.path("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let prometheus = Self { child, url: format!("http://{address}") };
        until("Prometheus has scraped the daemon", async || {
            (prometheus.number("count(dirsync_build_info)").await == Some(1.0)).then_some(())
        })
        .await;
        prometheus
    }

    /// The value of a query that yields one; `None` if it yields none, or nobody answers.
    async fn number(&self, query: &str) -> Option<f64> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/api/v1/query", self.url);
        let answer = http.get(url).query(&[("query", query)]).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// Waits until everything that has happened so far was scraped, twice.
    async fn has_seen(&self, daemon: &Daemon) {
        let mut runs = 0.0;
        let (_, text) = daemon.get("/metrics").await.unwrap();
        for line in text.lines().filter(|line| line.starts_with("dirsync_runs_total{")) {
            runs += line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        }
        let query = "min_over_time(sum(dirsync_runs_total)[3s:1s])";
        until("the runs were scraped", async || {
            self.number(query).await.filter(|seen| *seen >= runs)
        })
        .await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Something of everything that an operator would want to see.
async fn a_day(stage: &Stage, daemon: &Daemon, prometheus: &Prometheus) {
    let simulator = &stage.world.simulator;
    for seed in 0..3 {
        stage.edit(seed, 15);
        daemon.turn(Signal::USR1).await;
        prometheus.has_seen(daemon).await;
    }
    let broken = simulator.inject(Fault::on("/v1.0/", Effect::Html502));
    daemon.turn(Signal::USR1).await;
    simulator.clear_fault(broken);
    simulator.set_quota(Quota {
        units_per_ten_seconds: Some(20),
        retry_after: RetryAfter::Seconds(0.1),
    });
    daemon.turn(Signal::USR2).await;
    simulator.set_quota(Options::default().quota);
    simulator.expire_delta_tokens(Expiry::GoneWithLocation);
    daemon.turn(Signal::USR1).await;
    prometheus.has_seen(daemon).await;
    // Somebody empties what they should not: it is held.
    stage.set_raw("guard.floor", "0");
    stage.set_raw("guard.memberships_max", "1");
    let before = daemon.status().await.config.loaded_at;
    daemon.signal(Signal::HUP);
    daemon.until_status("the reload", |status| status.config.loaded_at > before).await;
    simulator.edit(|tenant| {
        let largest = tenant.groups().filter(|group| !group.is_deleted());
        let largest = largest.max_by_key(|group| tenant.effective_users(group.id()).len());
        let id = largest.unwrap().id();
        for user in tenant.effective_users(id) {
            tenant.remove_member(id, user);
        }
    });
    daemon.turn(Signal::USR1).await;
    prometheus.has_seen(daemon).await;
}

#[tokio::test]
async fn every_panel_of_the_dashboard_shows_something() {
    for program in ["prometheus", "python3"] {
        if !is_there(program) {
            println!("SKIPPED: {program} is not installed (Debian: apt-get install {program})");
            return;
        }
    }
    if !Path::new(SCRIPT).is_file() {
        println!("SKIPPED: {SCRIPT} is not there");
        return;
    }
    let stage = Stage::with(Database::new(On::Postgres), small(95), guarded()).await;
    stage.set("schedule.delta", "0 3 * * *");
    stage.set("schedule.full", "30 3 * * *");
    let daemon = stage.start().await;
    daemon.first_run().await;
    let prometheus = Prometheus::start(&stage).await;
    a_day(&stage, &daemon, &prometheus).await;

    let told = lines_of("python3", &[SCRIPT, &prometheus.url]).await;
    println!("{}", told.join("\n"));
    let bad: Vec<&String> = told
        .iter()
        .filter(|line| ["EMPTY", "ERROR", "STALE"].iter().any(|word| line.starts_with(word)))
        .collect();
    assert_eq!(bad, [""; 0], "{told:#?}");
    assert!(told.iter().filter(|line| line.starts_with("ok")).count() > 25, "{told:#?}");
    daemon.stop().await;
}

/// What a program says, line by line, however it ends.
async fn lines_of(program: &str, args: &[&str]) -> Vec<String> {
    let output = tokio::process::Command::new(program).args(args).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await;
    let output = output.expect("the script ends").unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    said.lines().map(str::to_owned).collect()
}
