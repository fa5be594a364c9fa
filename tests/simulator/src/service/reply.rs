//! Calls and replies, free of any HTTP library's types but the header map. Both plain requests and batch items are
//! calls; how a reply gets onto the wire is the business of `server`.

use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use serde::Serialize;

/// A request as the service sees it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// The path as received, still percent-encoded.
    pub(crate) path: String,
    /// The query as received, without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) in_batch: bool,
}

impl Call {
    /// Path and query as received.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where the caller reached us; links lead back to the same place.
    pub(crate) fn root(&self) -> String {
        format!("http://{}", self.header("host").unwrap_or("127.0.0.1"))
    }

    /// Whether the caller declared that answers from a lagging index will do.
    pub(crate) fn is_eventual(&self) -> bool {
        self.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
    }

    /// Whether the caller asked for changed properties only.
    pub(crate) fn wants_minimal(&self) -> bool {
        let prefers = self.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        prefers.flat_map(|value| value.split(',')).any(|value| value.trim() == "return=minimal")
    }
}

/// The body of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Empty,
    Json(Vec<u8>),
    Text(String),
    Html(String),
}

impl Body {
    pub(crate) fn json<T: Serialize>(value: &T) -> Self {
        Self::Json(serde_json::to_vec(value).expect("answers are plain data"))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Json(bytes) => bytes,
            Self::Text(text) | Self::Html(text) => text.as_bytes(),
        }
    }

    pub(crate) fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Empty => None,
            Self::Json(_) => {
                Some("application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8")
            }
            Self::Text(_) => Some("text/plain"),
            Self::Html(_) => Some("text/html"),
        }
    }
}

/// What happens to a reply on the wire, from harmless to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Wire {
    #[default]
    Whole,
    /// The JSON ends half-way.
    Truncated,
    /// The connection closes in mid-body.
    Cut,
    /// Nothing is ever sent.
    Silent,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) units: u32,
    pub(crate) delay: Duration,
    pub(crate) wire: Wire,
}

impl Reply {
    pub(crate) fn new(status: u16, body: Body) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            units: 0,
            delay: Duration::ZERO,
            wire: Wire::Whole,
        }
    }

    pub(crate) fn add_header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(crate) fn ok<T: Serialize>(value: &T) -> Self {
        Self::new(200, Body::json(value))
    }
}
