//! One HTTP exchange with Graph.
//!
//! Owns the use of graph-rs-sdk and the connections. The SDK makes the request and
//! puts the token on it; it is sent by a client of our own, because the SDK's would
//! follow redirects to any host, and its paging, retry and limits do not fit a
//! daemon. Must not retry, wait, count or interpret a body.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use graph_core::identity::ForceTokenRefresh;
use graph_http::api_impl::RequestHandler;
use graph_rs_sdk::error::AuthExecutionError;
use graph_rs_sdk::http::Method;
use graph_rs_sdk::identity::ClientApplication;
use graph_rs_sdk::{GraphClient, GraphClientConfiguration};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use url::Url;
use uuid::Uuid;

use crate::directory::proof::Receipt;

use super::error::{Cause, Error};
use super::observe::Endpoint;
use super::settings::Settings;
use super::token::Tokens;

/// How the daemon calls itself.
pub(super) const USER_AGENT: &str = concat!("nexus-dirsync/", env!("CARGO_PKG_VERSION"));

/// Whether plain http is spoken, which is for this very machine only: a proxy of the
/// environment cannot reach it, and must not be shown tokens.
pub(super) fn is_here(url: &Url) -> bool {
    url.scheme() == "http"
}

/// What is asked of Graph.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) endpoint: Endpoint,
    pub(super) url: Url,
    /// JSON to POST; without it the call is a GET.
    pub(super) body: Option<Bytes>,
    /// Whether the advanced query engine is needed. Links do not carry it (trap 18), so it
    /// belongs to the call and not to the URL.
    pub(super) eventual: bool,
}

impl Call {
    pub(super) const fn get(endpoint: Endpoint, url: Url) -> Self {
        Self { endpoint, url, body: None, eventual: false }
    }

    pub(super) const fn post(endpoint: Endpoint, url: Url, body: Bytes) -> Self {
        Self { endpoint, url, body: Some(body), eventual: false }
    }
}

/// What Graph answered, of any status.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where the answer can be found again.
    pub(super) fn receipt(&self) -> Receipt {
        receipt(self.header("request-id"), self.header("date"))
    }
}

/// A receipt from the headers that tell; either may be missing or unreadable.
pub(super) fn receipt(request_id: Option<&str>, date: Option<&str>) -> Receipt {
    let at = date.and_then(|date| DateTime::parse_from_rfc2822(date.trim()).ok());
    Receipt {
        request_id: request_id.and_then(|id| id.trim().parse().ok()),
        at: at.map(|at| at.with_timezone(&Utc)),
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Asking again will not help.
    Final(Error),
    /// The connection failed, or the answer broke off.
    Network {
        /// From a closed set, for metrics.
        reason: &'static str,
        /// Without its URL, which holds tokens (trap 13).
        source: Cause,
    },
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let reason = match &error {
            error if error.is_timeout() => "timeout",
            error if error.is_connect() => "connect",
            _ => "broken",
        };
        Self::Network { reason, source: std::sync::Arc::new(error.without_url()) }
    }
}

/// The SDK's view of our tokens.
#[derive(Clone)]
struct Bridge(Tokens);

#[async_trait]
impl ClientApplication for Bridge {
    fn get_token_silent(&mut self) -> Result<String, AuthExecutionError> {
        Err(AuthExecutionError::Other("tokens are only fetched asynchronously".into()))
    }

    async fn get_token_silent_async(&mut self) -> Result<String, AuthExecutionError> {
        let grant =
            self.0.current().await.map_err(|error| AuthExecutionError::Other(Box::new(error)))?;
        Ok(grant.bearer().to_owned())
    }

    fn with_force_token_refresh(&mut self, _: ForceTokenRefresh) {}
}

/// Connections to one Graph.
pub(super) struct Transport {
    sdk: GraphClient,
    http: reqwest::Client,
    body_bytes_max: usize,
}

impl Transport {
    pub(super) fn new(settings: &Settings, tokens: Tokens) -> Result<Self, Error> {
        let mut http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout);
        if is_here(&settings.endpoint) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| {
            Error::settings("graph", format!("does not give a working TLS client ({error})"))
        })?;
        // The SDK builds a client of its own and panics where TLS cannot be set up; ours, just
        // built on the same TLS, has shown that it can.
        let sdk =
            GraphClient::from(GraphClientConfiguration::new().client_application(Bridge(tokens)));
        Ok(Self { sdk, http, body_bytes_max: settings.body_bytes_max })
    }

    /// Sends one request and reads its answer to the end, whatever the status.
    pub(super) async fn send(&self, call: &Call) -> Result<Reply, Failure> {
        let request = self.request(call).await?;
        let mut response = self.http.execute(request).await?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let too_large = || {
            Failure::Final(Error::TooLarge { endpoint: call.endpoint, limit: self.body_bytes_max })
        };
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.body_bytes_max {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: body.freeze() })
    }

    async fn request(&self, call: &Call) -> Result<reqwest::Request, Failure> {
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let mut handler: RequestHandler = self.sdk.custom(method, None);
        *AsMut::<Url>::as_mut(&mut handler) = call.url.clone();
        let id = HeaderValue::try_from(Uuid::new_v4().to_string()).ok();
        let eventual = call.eventual.then(|| HeaderValue::from_static("eventual"));
        let headers = [("client-request-id", id), ("consistencylevel", eventual)];
        for (name, value) in headers {
            if let Some(value) = value {
                handler = handler.header(HeaderName::from_static(name), value);
            }
        }
        let mut request = handler.build().await.map_err(|error| refused(call.endpoint, &error))?;
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.clone());
        }
        Ok(request.build()?)
    }
}

/// The SDK refused to make a request. Its text holds the whole URL, so only ours is kept.
fn refused(endpoint: Endpoint, error: &graph_rs_sdk::GraphFailure) -> Failure {
    let own =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>()).cloned();
    Failure::Final(own.unwrap_or_else(|| Error::Malformed {
        endpoint,
        what: "the request could not be made".to_owned(),
    }))
}
