//! One process of the binary: signalled, asked over HTTP, waited for, killed.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use nexus_dirsync::daemon::Status;
use nexus_dirsync::reconcile::report::LastRun;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use uuid::Uuid;

use crate::stage::until;

/// Dropped, it is killed.
pub struct Daemon {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    http: reqwest::Client,
}

impl Daemon {
    pub fn new(child: Child, address: &str, log: PathBuf) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15));
        // The daemon cuts what rests: a connection that is used again may be over by then.
        let http = http.pool_max_idle_per_host(0).build().unwrap();
        Self { child, address: address.parse().unwrap(), log, http }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Whether the process catches a signal and has no such signal still waiting.
    pub fn has_handled(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let mask = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or_default()
        };
        let bit = 1 << (signal.as_raw() - 1);
        mask("SigCgt:") & bit != 0 && mask("ShdPnd:") & bit == 0
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end, whatever it is.
    pub async fn end(&mut self) -> ExitStatus {
        until("the process ends", async || self.child.try_wait().unwrap()).await
    }

    /// Waits for the end.
    pub async fn exit_code(&mut self) -> i32 {
        let status = self.end().await;
        status.code().unwrap_or_else(|| panic!("ended by a signal: {status}"))
    }

    /// TERM, and the graceful end that it promises.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.exit_code().await, 0, "a stop that was asked for is no failure");
    }

    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.http.get(format!("http://{}{path}", self.address)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    pub async fn code(&self, path: &str) -> u16 {
        self.get(path).await.unwrap_or_else(|| panic!("{path} is served")).0
    }

    pub async fn until_serving(&self) {
        until("the daemon serves", async || self.get("/livez").await).await;
    }

    pub async fn until_code(&self, path: &str, code: u16) {
        let what = format!("{path} answers {code}");
        until(&what, async || (self.code(path).await == code).then_some(())).await;
    }

    pub async fn status(&self) -> Status {
        let (_, body) = self.get("/status").await.expect("/status is served");
        serde_json::from_str(&body).unwrap()
    }

    /// The value of one line of `/metrics`, named with its labels.
    pub async fn metric(&self, name: &str) -> u64 {
        self.number(name).await.parse().unwrap()
    }

    /// The same for numbers that are not whole.
    pub async fn value(&self, name: &str) -> f64 {
        self.number(name).await.parse().unwrap()
    }

    async fn number(&self, name: &str) -> String {
        let (_, body) = self.get("/metrics").await.expect("/metrics is served");
        let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in\n{body}")).to_owned()
    }

    pub async fn until_status(&self, what: &str, test: impl Fn(&Status) -> bool) -> Status {
        until(what, async || {
            let status = self.status().await;
            test(&status).then_some(status)
        })
        .await
    }

    pub async fn until_running(&self) -> Status {
        self.until_status("a run begins", |status| status.running.is_some()).await
    }

    /// Waits for the run with which a leader begins; runs of others are told, too.
    pub async fn first_run(&self) -> LastRun {
        until("a leader's first run ends", async || {
            let status = self.status().await;
            let since = status.leads.filter(|_| status.leader)?.since;
            let new = status.last.into_values().find(|run| run.finished_at > since);
            new.filter(|_| status.running.is_none())
        })
        .await
    }

    /// Signals, and waits for the run that this causes.
    pub async fn turn(&self, signal: Signal) -> LastRun {
        let known = run_ids(&self.status().await);
        self.signal(signal);
        self.run_unlike(&known).await
    }

    /// Waits for the end of a run that is none of `known`.
    pub async fn run_unlike(&self, known: &BTreeSet<Uuid>) -> LastRun {
        until("another run ends", async || {
            let status = self.status().await;
            let new = status.last.into_values().find(|run| !known.contains(&run.run_id));
            new.filter(|_| status.running.is_none())
        })
        .await
    }

    /// The log's lines, all of them JSON.
    pub fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap();
        let whole = text.lines().filter(|line| !line.is_empty());
        whole
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// Lines of a level, or graver ones if `level` is `WARN`, whose message contains `part`.
    pub fn said(&self, level: &str, part: &str) -> Vec<Value> {
        self.log()
            .into_iter()
            .filter(|line| line["level"] == level)
            .filter(|line| line["message"].as_str().is_some_and(|text| text.contains(part)))
            .collect()
    }

    pub fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

pub fn run_ids(status: &Status) -> BTreeSet<Uuid> {
    status.last.values().map(|run| run.run_id).collect()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
