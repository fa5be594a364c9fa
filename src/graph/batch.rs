//! Many small requests in few round trips.
//!
//! Owns `$batch` ("json-batching" page): sorting answers by id, and asking again for
//! the items that Graph could not serve, alone (trap 21). A batch saves round
//! trips, not quota. Must not know what the items mean.

use std::collections::HashMap;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::directory::proof::Receipt;

use super::client::{Client, Flaw, Setback, parse, rejected};
use super::error::{Error, Rejection};
use super::observe::{Answer, Endpoint};
use super::transport::{Call, receipt};
use super::wire;

#[derive(Serialize)]
struct Requests {
    requests: Vec<Request>,
}

#[derive(Serialize)]
struct Request {
    id: String,
    method: &'static str,
    url: String,
}

#[derive(Deserialize)]
struct Responses<'a> {
    #[serde(borrow)]
    responses: Option<Vec<Response<'a>>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    id: String,
    status: u16,
    #[serde(default)]
    headers: HashMap<String, serde_json::Value>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl Response<'_> {
    /// A header whatever its letter case; some come as numbers.
    fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    fn body(&self) -> &[u8] {
        self.body.map_or(&[], |body| body.get().as_bytes())
    }
}

/// The answer to one item, of a good status.
pub(super) struct Item<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    pub(super) receipt: Receipt,
}

/// What became of one item.
enum Outcome<T> {
    Done(Result<T, Error>),
    Again(Setback),
    /// Its token was refused.
    Renew(Rejection),
}

impl Client {
    /// Asks for each path (relative to the version) and returns, in the
    /// order of the paths, what `read` makes of the bodies. An item that fails for itself is an
    /// error in its place; what would fail all of them fails the call.
    pub(super) async fn batches<T: Send>(
        &self,
        endpoint: Endpoint,
        paths: &[String],
        read: impl Fn(&Item<'_>) -> Result<T, Flaw> + Send + Sync,
    ) -> Result<Vec<Result<T, Error>>, Error> {
        let read = &read;
        let size = self.settings.batch_size;
        let starts = (0..paths.len()).step_by(size);
        let batches = starts.map(|start| {
            let paths = &paths[start..paths.len().min(start + size)];
            self.batch(endpoint, paths, read)
        });
        let answers: Vec<_> = stream::iter(batches).buffered(self.breadth()).try_collect().await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// How many chains of requests are kept going: enough that the permits never lie idle while
    /// one of them waits for its next link to be read.
    pub(super) const fn breadth(&self) -> usize {
        self.settings.concurrency.saturating_mul(2)
    }

    /// One batch of at most `batch_size` paths, with its failed items asked for again.
    pub(super) async fn batch<T: Send>(
        &self,
        endpoint: Endpoint,
        paths: &[String],
        read: &(impl Fn(&Item<'_>) -> Result<T, Flaw> + Sync),
    ) -> Result<Vec<Result<T, Error>>, Error> {
        let mut done: Vec<Option<Result<T, Error>>> = paths.iter().map(|_| None).collect();
        let mut attempts = 0;
        let mut renewed = false;
        loop {
            let open: Vec<usize> = (0..paths.len()).filter(|at| done[*at].is_none()).collect();
            if open.is_empty() {
                return Ok(done.into_iter().flatten().collect());
            }
            let serial = self.tokens.current().await?.serial();
            let mut setbacks = Vec::new();
            let mut refused = None;
            for (at, outcome) in self.post(endpoint, paths, &open, read).await? {
                match outcome {
                    Outcome::Done(answer) => done[at] = Some(answer),
                    Outcome::Again(setback) => setbacks.push((at, setback)),
                    Outcome::Renew(rejection) => refused = Some(rejection),
                }
            }
            if let Some(rejection) = refused {
                if renewed {
                    return Err(rejection.into_error());
                }
                renewed = true;
                self.tokens.replace(serial).await?;
            }
            attempts += 1;
            self.settle(endpoint, attempts, setbacks, &mut done).await;
        }
    }

    /// Waits the longest wait that any item asks for, or gives the items up.
    async fn settle<T>(
        &self,
        endpoint: Endpoint,
        attempts: u32,
        setbacks: Vec<(usize, Setback)>,
        done: &mut [Option<Result<T, Error>>],
    ) {
        if attempts > self.settings.retries_max {
            for (at, setback) in setbacks {
                done[at] = Some(Err(setback.last.into_error(endpoint, attempts)));
            }
            return;
        }
        for (_, setback) in &setbacks {
            self.meter.retried(endpoint, setback.reason);
        }
        let throttled = setbacks.iter().any(|(_, setback)| setback.throttled);
        if let Some(asked) = setbacks.iter().map(|(_, setback)| setback.asked).max() {
            self.pause(attempts, asked, throttled).await;
        }
    }

    /// Sends the open paths once. Ids are places in `paths`; answers come in any order.
    async fn post<T: Send>(
        &self,
        endpoint: Endpoint,
        paths: &[String],
        open: &[usize],
        read: &(impl Fn(&Item<'_>) -> Result<T, Flaw> + Sync),
    ) -> Result<Vec<(usize, Outcome<T>)>, Error> {
        let requests = open
            .iter()
            .map(|at| Request {
                id: at.to_string(),
                method: "GET",
                url: format!("/{}", paths[*at]),
            })
            .collect();
        let body = serde_json::to_vec(&Requests { requests }).map_err(|error| {
            Error::Malformed { endpoint: Endpoint::Batch, what: error.to_string() }
        })?;
        let call = Call::post(
            Endpoint::Batch,
            self.root.url(Endpoint::Batch, "$batch")?,
            Bytes::from(body),
        );
        self.exchange(&call, |reply| {
            let answer: Responses<'_> = parse(Endpoint::Batch, &reply.body)?;
            let Some(responses) = answer.responses else {
                return Err(Flaw::Final(Error::Incomplete {
                    endpoint: Endpoint::Batch,
                    what: "it came without responses",
                }));
            };
            let mut by_id: HashMap<usize, Response<'_>> = responses
                .into_iter()
                .filter_map(|response| Some((response.id.parse().ok()?, response)))
                .collect();
            let whole = reply.receipt();
            Ok(open
                .iter()
                .map(|at| (*at, self.outcome(endpoint, by_id.remove(at), whole, read)))
                .collect())
        })
        .await
    }

    fn outcome<T>(
        &self,
        endpoint: Endpoint,
        response: Option<Response<'_>>,
        whole: Receipt,
        read: &impl Fn(&Item<'_>) -> Result<T, Flaw>,
    ) -> Outcome<T> {
        let Some(response) = response else {
            return Outcome::Done(Err(Error::Incomplete {
                endpoint,
                what: "the batch has no answer for it",
            }));
        };
        self.meter.answered(&Answer {
            endpoint,
            status: response.status,
            seconds: None,
            bytes: 0,
            resource_units: response
                .header("x-ms-resource-unit")
                .and_then(|units| units.trim().parse().ok())
                .unwrap_or(0),
        });
        let own =
            receipt(response.header("request-id").as_deref(), response.header("date").as_deref());
        let item = Item {
            status: response.status,
            body: response.body(),
            receipt: Receipt {
                request_id: own.request_id.or(whole.request_id),
                at: own.at.or(whole.at),
            },
        };
        if (200..300).contains(&item.status) {
            return Outcome::Done(read(&item).map_err(|flaw| match flaw {
                Flaw::Final(error) => error,
                Flaw::Cut(what) => Error::Malformed { endpoint, what },
            }));
        }
        let rejection = Rejection {
            endpoint,
            status: response.status,
            codes: wire::error_codes(response.body()),
            request_id: item.receipt.request_id.map(|id| id.to_string()),
        };
        match rejection.status {
            401 => Outcome::Renew(rejection),
            _ if rejection.is_transient() => {
                Outcome::Again(rejected(rejection, response.header("retry-after").as_deref()))
            }
            _ => Outcome::Done(Err(rejection.into_error())),
        }
    }
}
