//! The raw client: it asks and throws away. What is left is what nobody can do without.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use reqwest::Client;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::service::Request;
use crate::{Outcome, child};

/// What to ask.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// All these requests, so many at once.
    Replay { endpoint: String, requests: Vec<Request>, concurrency: usize },
    /// The first rounds of both delta streams, page after page.
    Walk { endpoint: String },
}

/// What it took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) total: Duration,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
}

impl Task {
    /// Does it in a process of its own.
    pub(crate) fn run(&self) -> Outcome<Took> {
        child::run("raw", self)
    }
}

/// The role.
pub(crate) fn run(task: &Task) -> Outcome<Took> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match task {
            Task::Replay { endpoint, requests, concurrency } => {
                replay(endpoint, requests, *concurrency).await
            }
            Task::Walk { endpoint } => walk(endpoint).await,
        }
    })
}

/// A connection with a token, and the count of what came over it.
struct Raw {
    http: Client,
    endpoint: String,
    token: String,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Raw {
    async fn connect(endpoint: &str) -> Outcome<Self> {
        #[derive(Deserialize)]
        struct Grant {
            access_token: String,
        }
        let http = Client::new();
        let form =
            "grant_type=client_credentials&client_id=raw&client_secret=raw&scope=raw/.default";
        let answer = http
            .post(format!("{endpoint}/raw/oauth2/v2.0/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await?;
        let Grant { access_token } = answer.error_for_status()?.json().await?;
        let (requests, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { http, endpoint: endpoint.to_owned(), token: access_token, requests, bytes })
    }

    async fn send(&self, url: &str, body: Option<&Value>) -> Outcome<reqwest::Response> {
        let request = match body {
            None => self.http.get(url),
            Some(body) => self.http.post(url).json(body),
        };
        let answer = request.bearer_auth(&self.token).send().await?.error_for_status()?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }

    /// Reads an answer to its end and keeps nothing.
    async fn discard(&self, ask: Ask) -> Outcome<()> {
        let url = format!("{}{}", self.endpoint, ask.target);
        let mut answer = self.send(&url, ask.batch.as_ref()).await?;
        while let Some(chunk) = answer.chunk().await? {
            self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn took(&self, total: Duration) -> Took {
        let (requests, bytes) =
            (self.requests.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        Took { total, requests, bytes }
    }
}

/// One request to repeat.
struct Ask {
    target: String,
    batch: Option<Value>,
}

async fn replay(endpoint: &str, requests: &[Request], concurrency: usize) -> Outcome<Took> {
    let asks = asks(requests);
    let started = Instant::now();
    let raw = Arc::new(Raw::connect(endpoint).await?);
    let answers = stream::iter(asks).map(|ask| {
        let raw = Arc::clone(&raw);
        async move { tokio::spawn(async move { raw.discard(ask).await }).await? }
    });
    answers.buffer_unordered(concurrency).try_collect::<()>().await?;
    Ok(raw.took(started.elapsed()))
}

/// The requests again; a batch takes the items that were recorded before it.
fn asks(requests: &[Request]) -> Vec<Ask> {
    let mut items: Vec<&str> = Vec::new();
    let mut asks = Vec::new();
    for Request { method, target, in_batch } in requests {
        if *in_batch {
            items.push(target.trim_start_matches("/v1.0"));
        } else if target.ends_with("/$batch") {
            let taken = items.drain(..items.len().min(20)).enumerate();
            let requests: Vec<Value> = taken
                .map(|(id, url)| json!({ "id": id.to_string(), "method": "GET", "url": url }))
                .collect();
            let batch = Some(json!({ "requests": requests }));
            asks.push(Ask { target: target.clone(), batch });
        } else if method == "GET" {
            asks.push(Ask { target: target.clone(), batch: None });
        }
    }
    asks
}

/// Every client that starts with delta does this, one page after the other.
async fn walk(endpoint: &str) -> Outcome<Took> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(rename = "@odata.nextLink")]
        next: Option<String>,
        #[serde(rename = "value")]
        _value: IgnoredAny,
    }
    let started = Instant::now();
    let raw = Raw::connect(endpoint).await?;
    for first in [
        "users/delta?$select=id,displayName,userPrincipalName,mail,accountEnabled,userType",
        "groups/delta?$select=id,displayName,visibility,members",
    ] {
        let mut next = Some(format!("{endpoint}/v1.0/{first}"));
        while let Some(url) = next {
            let body = raw.send(&url, None).await?.bytes().await?;
            raw.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
            next = serde_json::from_slice::<Page>(&body)?.next;
        }
    }
    Ok(raw.took(started.elapsed()))
}
