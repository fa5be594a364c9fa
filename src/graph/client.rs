//! A request that is asked until it is answered, or until that is hopeless.
//!
//! Owns repetition: what is worth asking again, how often, after which wait; the one
//! renewal of a refused token; the number of requests under way. Must not know
//! what the answers mean.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::debug;

use super::error::{Cause, Error, Rejection, is_about_trust};
use super::link::Root;
use super::observe::{Answer, Endpoint, Meter};
use super::patience::{Backoff, Gate, retry_after};
use super::settings::Settings;
use super::token::Tokens;
use super::transport::{Call, Failure, Reply, Transport};
use super::wire;

/// What everything that reads Graph shares.
pub(super) struct Client {
    pub(super) settings: Settings,
    pub(super) root: Root,
    pub(super) tokens: Tokens,
    pub(super) meter: Arc<Meter>,
    pub(super) transport: Transport,
    pub(super) permits: Semaphore,
    pub(super) gate: Gate,
}

/// Why a good status is no good answer.
pub(super) enum Flaw {
    /// The body broke off or is not JSON at all: the next one may be whole.
    Cut(String),
    /// The next one would be the same.
    Final(Error),
}

/// One attempt that did not succeed but may the next time.
pub(super) struct Setback {
    /// From a closed set, for metrics.
    pub(super) reason: &'static str,
    /// What `Retry-After` asked for.
    pub(super) asked: Option<Duration>,
    /// Whether the whole application is over its quota.
    pub(super) throttled: bool,
    /// What to report if it was the last attempt.
    pub(super) last: Last,
}

impl Setback {
    /// For an attempt without a readable answer, which asked for nothing.
    const fn unanswered(reason: &'static str, last: Last) -> Self {
        Self { reason, asked: None, throttled: false, last }
    }
}

/// The outcome of a last attempt.
pub(super) enum Last {
    Rejected(Rejection),
    Network(Cause),
    Cut(String),
}

impl Last {
    pub(super) fn into_error(self, endpoint: Endpoint, attempts: u32) -> Error {
        match self {
            Self::Rejected(rejection) => Error::Unavailable { rejection, attempts },
            Self::Network(source) if is_about_trust(&*source) => {
                Error::Untrusted { endpoint, source }
            }
            Self::Network(source) => Error::Unreachable { endpoint, attempts, source },
            Self::Cut(what) => Error::Malformed {
                endpoint,
                what: format!("{what}, in each of {attempts} attempts"),
            },
        }
    }
}

impl Client {
    /// Sends a call until its answer is read, and returns what `read` makes of it.
    ///
    /// Transient statuses, broken connections and bodies that break off are asked for again
    /// at the same URL, `retries_max` times; a 401 once, with a new token.
    pub(super) async fn exchange<T>(
        &self,
        call: &Call,
        mut read: impl FnMut(&Reply) -> Result<T, Flaw> + Send,
    ) -> Result<T, Error> {
        let mut attempts = 0;
        let mut renewed = false;
        loop {
            let setback = match self.attempt(call).await {
                Ok((reply, _)) if (200..300).contains(&reply.status) => match read(&reply) {
                    Ok(answer) => return Ok(answer),
                    Err(Flaw::Final(error)) => return Err(error),
                    Err(Flaw::Cut(what)) => Setback::unanswered("cut", Last::Cut(what)),
                },
                Ok((reply, serial)) => {
                    let rejection = rejection(call.endpoint, &reply);
                    if rejection.status == 401 && !renewed {
                        renewed = true;
                        self.meter.retried(call.endpoint, "token");
                        self.tokens.replace(serial).await?;
                        continue;
                    }
                    if !rejection.is_transient() {
                        return Err(rejection.into_error());
                    }
                    rejected(rejection, reply.header("retry-after"))
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Network { reason, source }) => {
                    Setback::unanswered(reason, Last::Network(source))
                }
            };
            attempts += 1;
            if attempts > self.settings.retries_max {
                return Err(setback.last.into_error(call.endpoint, attempts));
            }
            self.meter.retried(call.endpoint, setback.reason);
            debug!(endpoint = %call.endpoint, attempts, reason = setback.reason, "asking again");
            self.pause(attempts, setback.asked, setback.throttled).await;
        }
    }

    /// Waits for the next attempt. When it was a throttle nobody may ask until the wait is over,
    /// so the gate is closed and the next attempt waits there with the others.
    pub(super) async fn pause(&self, attempts: u32, asked: Option<Duration>, throttled: bool) {
        let backoff = Backoff { base: self.settings.backoff_base, max: self.settings.backoff_max };
        let wait = backoff.wait(attempts, asked);
        if throttled {
            self.gate.close(wait);
        } else {
            sleep(wait).await;
            self.meter.waited(wait);
        }
    }

    /// Sends once, when the gate is open and a permit is free.
    async fn attempt(&self, call: &Call) -> Result<(Reply, u64), Failure> {
        // The semaphore is never closed; were it, the reading would be over anyway.
        let permit = self.permits.acquire().await.ok();
        self.meter.waited(self.gate.pass().await);
        let serial = self.tokens.current().await.map_err(Failure::Final)?.serial();
        let sent = Instant::now();
        let reply = self.transport.send(call).await?;
        drop(permit);
        self.note(call.endpoint, &reply, sent.elapsed());
        Ok((reply, serial))
    }

    /// Keeps what the headers say beside the answer (3.3 of the facts).
    fn note(&self, endpoint: Endpoint, reply: &Reply, took: Duration) {
        if let Some(id) = reply.header("request-id") {
            self.meter.request_id_seen(id);
        }
        if let Some(date) =
            reply.header("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok())
        {
            self.meter.server_time_seen(date.with_timezone(&Utc));
        }
        let ratio = reply.header("x-ms-throttle-limit-percentage");
        let ratio = ratio.and_then(|ratio| ratio.trim().parse().ok());
        // Graph is silent where little of the quota is used, so that silence ends what it said
        // before; but not that of a batch as a whole, or of what failed, which never tells.
        let could_tell = (200..300).contains(&reply.status) && endpoint != Endpoint::Batch;
        if let Some(ratio) = ratio.or_else(|| could_tell.then_some(0.0)) {
            self.meter.throttle_ratio(ratio);
        }
        self.meter.answered(&Answer {
            endpoint,
            status: reply.status,
            seconds: Some(took.as_secs_f64()),
            bytes: reply.body.len() as u64,
            resource_units: reply
                .header("x-ms-resource-unit")
                .and_then(|units| units.trim().parse().ok())
                .unwrap_or(0),
        });
    }
}

fn rejection(endpoint: Endpoint, reply: &Reply) -> Rejection {
    Rejection {
        endpoint,
        status: reply.status,
        codes: wire::error_codes(&reply.body),
        request_id: reply.header("request-id").map(str::to_owned),
    }
}

/// The setback of a rejection that is worth asking again.
pub(super) fn rejected(rejection: Rejection, header: Option<&str>) -> Setback {
    let throttled = rejection.is_throttled();
    Setback {
        reason: if throttled { "throttled" } else { "server_error" },
        asked: header.and_then(|header| retry_after(header, Utc::now())),
        throttled,
        last: Last::Rejected(rejection),
    }
}

/// Reads a JSON body. One that breaks off or is no JSON may come whole the next time; one of
/// another shape will not. Says where it went wrong and never what stood there.
pub(super) fn parse<'a, T: serde::Deserialize<'a>>(
    endpoint: Endpoint,
    body: &'a [u8],
) -> Result<T, Flaw> {
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => Flaw::Final(Error::Malformed {
                endpoint,
                what: format!("JSON of an unexpected shape at {place}"),
            }),
            _ => Flaw::Cut(format!(
                "no JSON, or only a part of it ({} bytes, up to {place})",
                body.len()
            )),
        }
    })
}
