//! `$batch`: up to twenty calls in one, each with its own faults, price, status and headers.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Service;
use super::effects::longest;
use super::problem::Problem;
use super::reply::{Body, Call, Reply};
use crate::tenant::mix;

/// Items of one batch.
const MAX_ITEMS: usize = 20;

#[derive(Deserialize)]
struct Batch {
    requests: Vec<BatchItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchItem {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(default)]
    depends_on: Vec<String>,
}

#[derive(Serialize)]
struct Responses {
    responses: Vec<ItemAnswer>,
}

#[derive(Serialize)]
struct ItemAnswer {
    id: String,
    status: u16,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
}

impl Service {
    pub(super) fn batch(&self, call: &Call) -> Result<Reply, Problem> {
        if call.in_batch {
            return Err(Problem::bad_request("A batch cannot contain a batch."));
        }
        let batch = read(&call.body)?;
        let mut failed = BTreeSet::new();
        let mut replies = Vec::new();
        for item in batch.requests {
            let is_blocked = item.depends_on.iter().any(|id| failed.contains(&id.to_lowercase()));
            let reply = if is_blocked {
                let problem =
                    Problem::new(424, "FailedDependency", "A request this one depends on failed.");
                problem.into_reply(uuid::Uuid::new_v4(), None)
            } else {
                self.answer(&item_call(call, &item))
            };
            if reply.status >= 400 {
                failed.insert(item.id.to_lowercase());
            }
            replies.push((item.id, reply));
        }
        // Any order is allowed, so an order that looks like that of the requests must not be relied upon.
        let order =
            replies.iter().fold(self.options.seed, |seed, (id, _)| mix(seed ^ id.len() as u64));
        replies.shuffle(&mut ChaCha8Rng::seed_from_u64(order));
        let delay = longest(replies.iter().map(|(_, reply)| reply.delay));
        let wire = replies.iter().map(|(_, reply)| reply.wire).max().unwrap_or_default();
        let responses = replies.into_iter().map(|(id, reply)| answer(id, reply)).collect();
        let mut reply = Reply::ok(&Responses { responses });
        reply.delay = delay;
        reply.wire = wire;
        Ok(reply)
    }
}

fn read(body: &Bytes) -> Result<Batch, Problem> {
    let batch: Batch = serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("Invalid batch payload: {error}.")))?;
    if batch.requests.len() > MAX_ITEMS {
        let message =
            format!("Number of batch request steps exceeds the maximum value of {MAX_ITEMS}.");
        return Err(Problem::bad_request(message));
    }
    let mut ids = BTreeSet::new();
    match batch
        .requests
        .iter()
        .find(|item| item.id.is_empty() || !ids.insert(item.id.to_lowercase()))
    {
        Some(item) => {
            Err(Problem::bad_request(format!("Request id '{}' is missing or not unique.", item.id)))
        }
        None => Ok(batch),
    }
}

fn item_call(outer: &Call, item: &BatchItem) -> Call {
    let mut headers: HeaderMap = item
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::from_str(value).ok()?))
        })
        .collect();
    if let Some(host) = outer.headers.get("host") {
        headers.insert("host", host.clone());
    }
    let url = format!("/v1.0/{}", item.url.trim_start_matches('/'));
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    Call {
        method: item.method.clone(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: item
            .body
            .as_ref()
            .map(|body| Bytes::copy_from_slice(body.get().as_bytes()))
            .unwrap_or_default(),
        in_batch: true,
    }
}

fn answer(id: String, reply: Reply) -> ItemAnswer {
    let mut headers: BTreeMap<String, String> = reply.headers.into_iter().collect();
    if let Some(content_type) = reply.body.content_type() {
        headers.insert("Content-Type".to_owned(), content_type.to_owned());
    }
    let body = match reply.body {
        Body::Empty => None,
        Body::Json(bytes) => {
            String::from_utf8(bytes).ok().and_then(|json| RawValue::from_string(json).ok())
        }
        Body::Text(text) | Body::Html(text) => serde_json::value::to_raw_value(&text).ok(),
    };
    ItemAnswer { id, status: reply.status, headers, body }
}
