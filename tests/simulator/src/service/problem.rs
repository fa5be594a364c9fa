//! Errors in the shape Graph gives them. Owns codes and bodies; it must not decide when an error happens.

use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use super::reply::{Body, Reply};
use crate::fault::Expiry;

/// An error answer in the making.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    code: String,
    message: String,
    inner_code: Option<&'static str>,
    headers: Vec<(String, String)>,
    units: u32,
}

impl Problem {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            inner_code: None,
            headers: Vec::new(),
            units: 0,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "Request_BadRequest", message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(400, "Request_UnsupportedQuery", message)
    }

    pub(crate) fn not_found(id: &str) -> Self {
        let message = format!(
            "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
        );
        Self::new(404, "Request_ResourceNotFound", message)
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(
            403,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    }

    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(401, "InvalidAuthenticationToken", message)
            .header("WWW-Authenticate", "Bearer realm=\"\"")
    }

    pub(crate) fn expired_page() -> Self {
        Self::new(400, "Directory_ExpiredPageToken", "The specified page token value has expired.")
    }

    pub(crate) fn throttled(retry_after: Option<String>) -> Self {
        let problem = Self::new(429, "TooManyRequests", "Please retry again later.");
        match retry_after {
            Some(seconds) => problem.header("Retry-After", &seconds),
            None => problem,
        }
    }

    /// A lost delta token; `first_call` is the URL that starts over.
    pub(crate) fn token_lost(how: Expiry, first_call: &str) -> Self {
        let gone = "The sync state generation is not found. The delta token is expired and data must be synchronized again.";
        match how {
            Expiry::GoneWithLocation => {
                Self::new(410, "syncStateNotFound", gone).header("Location", first_call)
            }
            Expiry::GoneSyncStateNotFound => Self::new(410, "SyncStateNotFound", gone),
            Expiry::BadRequestSyncStateNotFound => Self::new(400, "syncStateNotFound", gone),
            Expiry::NotFoundResyncRequired => Self::new(404, "resyncRequired", "Resync required."),
            Expiry::BadRequestResyncRequired => {
                let mut problem = Self::new(400, "", "Resync required. Replace any local items.");
                problem.inner_code = Some("resyncRequired");
                problem
            }
            Expiry::OlderThan30Days => {
                Self::unsupported("DeltaLink older than 30 days is not supported.")
            }
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Failed calls cost as much as others.
    pub(crate) fn charged(mut self, units: u32) -> Self {
        self.units = units;
        self
    }

    /// The answer; its inner error names the request it belongs to.
    pub(crate) fn into_reply(self, request_id: Uuid, client_request_id: Option<&str>) -> Reply {
        let request_id = request_id.to_string();
        let mut inner = json!({
            "date": Utc::now().format("%Y-%m-%dT%H:%M:%S").to_string(),
            "request-id": request_id,
            "client-request-id": client_request_id.unwrap_or(&request_id),
        });
        if let Some(code) = self.inner_code {
            inner["code"] = Value::from(code);
        }
        if self.status == 429 {
            inner["code"] = Value::from("429");
            inner["status"] = Value::from("429");
            inner["message"] = Value::from("Please retry after");
        }
        let body =
            json!({ "error": { "code": self.code, "message": self.message, "innerError": inner } });
        let mut reply = Reply::new(self.status, Body::json(&body));
        reply.headers = self.headers;
        reply.units = self.units;
        reply
    }
}
