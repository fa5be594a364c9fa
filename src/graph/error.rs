//! Everything that can keep Graph from being read.
//!
//! Owns the error type and what a rejection by Graph means. Messages name what
//! was being done, the setting or limit reached and the remedy; they never carry
//! a link, a query, a token or a name (trap 13). Must not retry or decide.

use std::sync::Arc;

use thiserror::Error as ThisError;

use super::observe::Endpoint;

/// A cause that errors share when several callers waited for the same thing.
pub(super) type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why a read failed.
#[derive(Clone, Debug, ThisError)]
pub enum Error {
    /// A setting cannot work.
    #[error("setting {key} {reason}")]
    Settings {
        /// Path of the setting.
        key: &'static str,
        /// The rule it breaks, and how to keep it.
        reason: String,
    },
    /// The identity was refused or cannot be used; retrying will not help.
    #[error("the identity was not accepted{}: {remedy}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Credential {
        /// The `AADSTS…` code, if there was one.
        code: Option<String>,
        /// What to do about it.
        remedy: &'static str,
        /// What the token endpoint or the file system said.
        #[source]
        source: Option<Cause>,
    },
    /// No token could be had just now.
    #[error("no access token could be obtained; {remedy}")]
    Token {
        /// What to do about it.
        remedy: &'static str,
        /// What went wrong.
        #[source]
        source: Cause,
    },
    /// Graph refused a token that had just been renewed (401).
    #[error(
        "{0}: the access token is refused even when new; check identity.tenant_id, graph.endpoint (tokens are asked for its host) and that the application still exists"
    )]
    Unauthorized(Rejection),
    /// The application lacks a permission (403): never a reason to conclude that something is gone.
    #[error(
        "{0}: a permission is missing; grant User.Read.All and GroupMember.Read.All (Member.Read.Hidden for hidden memberships, Group.Read.All for deleted groups) to the application and consent as an administrator"
    )]
    Forbidden(Rejection),
    /// Graph does not have the object (404).
    #[error("{0}: it does not exist")]
    NotFound(Rejection),
    /// Graph refused the request for another reason; retrying will not help.
    #[error("{0}")]
    Rejected(Rejection),
    /// The stored delta link is no longer good: a full read is needed.
    #[error("{0}: the delta link is lost, a full read is needed")]
    CursorLost(Rejection),
    /// Page links expired while being followed, more often than allowed.
    #[error(
        "{0}: page links expired while reading, although it was begun again; read at a quieter hour (schedule.full), or with fewer requests at once (graph.concurrency)"
    )]
    PageExpired(Rejection),
    /// Graph kept answering that it cannot serve the request now.
    #[error("{rejection}: still so after {attempts} attempts (graph.retries_max)")]
    Unavailable {
        /// The last answer.
        rejection: Rejection,
        /// Attempts made.
        attempts: u32,
    },
    /// No answer arrived.
    #[error(
        "{endpoint} gave no answer in {attempts} attempts (graph.retries_max); check the network, the proxy and graph.request_timeout"
    )]
    Unreachable {
        /// What was asked.
        endpoint: Endpoint,
        /// Attempts made.
        attempts: u32,
        /// The last failure of the transport.
        #[source]
        source: Cause,
    },
    /// Whoever answered did not prove to be who was asked.
    #[error("{endpoint} was not asked: {UNTRUSTED}")]
    Untrusted {
        /// What would have been asked.
        endpoint: Endpoint,
        /// What is wrong with the certificate.
        #[source]
        source: Cause,
    },
    /// An answer was not what Graph is documented to send.
    #[error("{endpoint} answered with something that cannot be read: {what}")]
    Malformed {
        /// What was asked.
        endpoint: Endpoint,
        /// What is wrong with it.
        what: String,
    },
    /// An answer ended before it was whole: nothing may be concluded from it.
    #[error("{endpoint} was not read to its end: {what}")]
    Incomplete {
        /// What was asked.
        endpoint: Endpoint,
        /// What is missing.
        what: &'static str,
    },
    /// An answer is larger than allowed.
    #[error(
        "{endpoint} answered with more than {limit} bytes (graph.body_bytes_max); lower graph.page_size or graph.batch_size, or raise the limit"
    )]
    TooLarge {
        /// What was asked.
        endpoint: Endpoint,
        /// The limit.
        limit: usize,
    },
    /// More single questions would have to be asked than one run may ask.
    #[error(
        "{asked} questions to {endpoint} are more than one run may ask (removal.confirmations_max is {limit}); find out why so many are missing, then raise the limit"
    )]
    TooMany {
        /// What would be asked.
        endpoint: Endpoint,
        /// How often.
        asked: usize,
        /// The limit.
        limit: usize,
    },
    /// A chain of page links does not end (trap 4).
    #[error("{endpoint} {what}")]
    Endless {
        /// What was asked.
        endpoint: Endpoint,
        /// The limit that was reached.
        what: String,
    },
    /// A link leads elsewhere than to the configured Graph, or cannot be sent as it is.
    #[error("a link of {endpoint} was not followed: {reason}")]
    Link {
        /// Whose link.
        endpoint: Endpoint,
        /// Where it leads, without path and query, or what is wrong with it.
        reason: String,
    },
}

/// What to do where TLS fails for want of trust.
pub(super) const UNTRUSTED: &str = "the server's certificate is not trusted; put the authority that signed it (of Graph, or of a proxy that opens TLS) as PEM into the file that SSL_CERT_FILE names, or check the host name and the clock";

/// Whether a connection failed for want of trust. Told by rustls' words: the type of its
/// error is lost on the way.
pub(super) fn is_about_trust(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.into_iter().any(|cause| cause.to_string().contains("invalid peer certificate"))
}

impl Error {
    /// Whether it may be due to the link that was followed, so that reading from nothing can
    /// help: neither the identity, a permission, a throttle, the network nor a setting.
    pub const fn is_of_the_link(&self) -> bool {
        matches!(
            self,
            Self::NotFound(_)
                | Self::Rejected(_)
                | Self::CursorLost(_)
                | Self::PageExpired(_)
                | Self::Malformed { .. }
                | Self::Incomplete { .. }
                | Self::TooLarge { .. }
                | Self::Endless { .. }
                | Self::Link { .. }
        )
    }

    pub(super) fn settings(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Settings { key, reason: reason.into() }
    }

    /// The kind, from a closed set: for metrics and for findings.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "settings",
            Self::Credential { .. } => "credential",
            Self::Token { .. } => "token",
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Rejected(_) => "rejected",
            Self::CursorLost(_) => "cursor_lost",
            Self::PageExpired(_) => "page_expired",
            Self::Unavailable { .. } => "unavailable",
            Self::Unreachable { .. } => "unreachable",
            Self::Untrusted { .. } => "untrusted",
            Self::Malformed { .. } => "malformed",
            Self::Incomplete { .. } => "incomplete",
            Self::TooLarge { .. } => "too_large",
            Self::TooMany { .. } => "too_many",
            Self::Endless { .. } => "endless",
            Self::Link { .. } => "link",
        }
    }

    /// Graph's id of the failed request, for a support case.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Unauthorized(rejection)
            | Self::Forbidden(rejection)
            | Self::NotFound(rejection)
            | Self::Rejected(rejection)
            | Self::CursorLost(rejection)
            | Self::PageExpired(rejection)
            | Self::Unavailable { rejection, .. } => rejection.request_id.as_deref(),
            _ => None,
        }
    }

    /// Whether it would hit every other request as well, so that there is no point in going on.
    pub(super) const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Settings { .. }
                | Self::Credential { .. }
                | Self::Token { .. }
                | Self::Unauthorized(_)
                | Self::Untrusted { .. }
        )
    }
}

/// An answer of Graph that is not a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What was asked.
    pub endpoint: Endpoint,
    /// HTTP status.
    pub status: u16,
    /// Graph's error codes, outermost first; empty when the body had none.
    pub codes: Vec<String>,
    /// Graph's `request-id`.
    pub request_id: Option<String>,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} answered {}", self.endpoint, self.status)?;
        if !self.codes.is_empty() {
            write!(f, " {}", self.codes.join("/"))?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl Rejection {
    /// The error for a rejection that no retry will change.
    pub(super) fn into_error(self) -> Error {
        match self.status {
            401 => Error::Unauthorized(self),
            403 => Error::Forbidden(self),
            404 => Error::NotFound(self),
            _ => Error::Rejected(self),
        }
    }

    /// Whether Graph may answer the same request differently later (3.4 of the facts; 424 is
    /// what some tenants send for a batch with throttled items, 509 is a throttle as well).
    pub(super) const fn is_transient(&self) -> bool {
        matches!(self.status, 408 | 424 | 429 | 500 | 502 | 503 | 504 | 509)
    }

    /// Whether the whole application is over its quota, not only this request.
    pub(super) const fn is_throttled(&self) -> bool {
        matches!(self.status, 429 | 509)
    }

    /// Whether a link that was stored, or is being followed, is dead for good: any 410, and
    /// any refusal with the codes for a lost state (1.7 of the facts), whatever its status.
    pub(super) fn is_reset(&self) -> bool {
        const LOST: [&str; 4] = [
            "syncStateNotFound",
            "resyncRequired",
            "resyncApplyDifferences",
            "resyncUploadDifferences",
        ];
        self.status == 410 || (400..500).contains(&self.status) && self.has(&LOST)
    }

    /// Whether a link that was stored is not understood: a 400 or 404, with any code, none,
    /// or no JSON at all. Graph made the link; that it is not of use is all there is to know.
    pub(super) const fn is_not_understood(&self) -> bool {
        matches!(self.status, 400 | 404)
    }

    /// Whether a page link is dead while the delta link it came from may be good.
    pub(super) fn is_expired_page(&self) -> bool {
        (self.status == 400 || self.status == 404)
            && self.has(&["Directory_ExpiredPageToken", "Request_UnsupportedQuery"])
    }

    fn has(&self, known: &[&str]) -> bool {
        self.codes.iter().any(|code| known.iter().any(|known| code.eq_ignore_ascii_case(known)))
    }
}
