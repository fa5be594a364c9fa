//! The simulator in a process of its own, and the hand that steers it.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::time::Duration;

use graph_simulator::{Options, Quota, Shape, Simulator, generate};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Outcome, child};

/// What is served, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) shape: Shape,
    /// Waited before every answer.
    pub(crate) latency: Duration,
    /// Whether the quota of a large tenant is enforced.
    pub(crate) quota: bool,
}

/// The role: serves until its standard input is closed.
pub(crate) fn serve(serving: &Serving) -> Outcome<()> {
    let Serving { shape, latency, quota } = serving;
    let options = Options {
        latency: *latency,
        quota: if *quota { Quota::LARGE } else { Quota::NONE },
        tenant_id: uuid::Uuid::nil(),
        ..Options::default()
    };
    let simulator = Simulator::start(generate(shape), options)?;
    child::output(&simulator.url())?;
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// A request as the simulator saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) in_batch: bool,
}

/// What the simulator counted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counters {
    requests: u64,
    token_requests: u64,
    pub(crate) bytes: u64,
    pub(crate) units: u64,
    pub(crate) throttled: u64,
}

impl Counters {
    /// Requests to Graph: those for tokens go to the authority.
    pub(crate) const fn graph_requests(&self) -> u64 {
        self.requests - self.token_requests
    }
}

/// A serving simulator; ends when dropped.
pub(crate) struct Service {
    process: Child,
    http: reqwest::Client,
    pub(crate) url: String,
}

impl Service {
    pub(crate) fn start(serving: &Serving) -> Outcome<Self> {
        let mut process = child::start("simulator", serving)?;
        let stdout = process.stdout.take().ok_or("a simulator without standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url = serde_json::from_str(&line)?;
        Ok(Self { process, http: reqwest::Client::new(), url })
    }

    pub(crate) async fn requests(&self) -> Outcome<Vec<Request>> {
        self.look("requests").await
    }

    pub(crate) async fn counters(&self) -> Outcome<Counters> {
        self.look("counters").await
    }

    /// Forgets what was asked so far.
    pub(crate) async fn reset(&self) -> Outcome<()> {
        self.act("reset", &Value::Null).await
    }

    pub(crate) async fn edit(&self, edits: &Value) -> Outcome<()> {
        self.act("edit", edits).await
    }

    async fn look<T: DeserializeOwned>(&self, what: &str) -> Outcome<T> {
        let answer = self.http.get(format!("{}/_control/{what}", self.url)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn act(&self, what: &str, body: &Value) -> Outcome<()> {
        let request = self.http.post(format!("{}/_control/{what}", self.url)).json(body);
        request.send().await?.error_for_status()?;
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It has nothing to lose; what it says at its end is of no interest.
        let _ = self.process.wait();
    }
}
