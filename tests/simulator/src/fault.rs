//! Faults that a test or a demo injects, and the book that decides which request meets which fault.
//!
//! It owns the matching and the counting. What an effect does to an answer is in `service::effects`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Names an injected fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FaultId(pub u64);

/// Something that goes wrong with matching requests; items of a `$batch` are matched one by one as well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// Matched against path and query, for example `/v1.0/users/delta?$select=id`: a substring, or, with `*` in
    /// it, a pattern for the whole of it. Empty matches everything.
    #[serde(default)]
    pub path: String,
    /// The HTTP method; `None` for any.
    #[serde(default)]
    pub method: Option<String>,
    /// Matching requests let through first.
    #[serde(default)]
    pub after: u32,
    /// How many requests are hit after that; `None` for all.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    pub effect: Effect,
}

impl Fault {
    /// A fault that hits every request to a path from now on.
    pub fn on(path: impl Into<String>, effect: Effect) -> Self {
        Self { path: path.into(), method: None, after: 0, times: None, effect }
    }

    /// Hits only the next `times` requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Hits only one request.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Lets `after` matching requests through first.
    #[must_use]
    pub fn after(mut self, after: u32) -> Self {
        self.after = after;
        self
    }

    /// Hits only requests of one method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    fn matches(&self, method: &str, target: &str) -> bool {
        let method_fits =
            self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        method_fits && glob(&self.path, target)
    }
}

/// What a [`Fault`] does to an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Another answer altogether; the request is not executed.
    #[serde(rename_all = "camelCase")]
    Status {
        /// The HTTP status.
        status: u16,
        /// Headers such as `Retry-After`.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        body: FaultBody,
    },
    /// A gateway's 502 with an HTML page; the request is not executed.
    Html502,
    /// The connection closes in the middle of the body.
    CutBody,
    /// A complete answer whose JSON ends half-way.
    TruncatedJson,
    /// The answer comes this much later.
    Delay(Duration),
    /// No answer ever; the connection stays open.
    Hang,
    /// 200 with an empty `value`, as when a permission is lost. Links survive.
    EmptyOk,
    /// 200 without `value`.
    MissingValue,
    /// Every item keeps only id, type and `@removed`; its other properties become null.
    NullProperties,
    /// These keys vanish from every item, for example `accountEnabled` or `members@delta`.
    OmitKeys(Vec<String>),
    /// Items with `@removed` vanish.
    OmitRemoved,
    /// The page ends with a next link to itself, under the same URL.
    RepeatPage,
    /// The page ends with a next link to itself, under ever new URLs.
    EndlessLinks,
    /// 400 `Directory_ExpiredPageToken`.
    ExpiredPageToken,
    /// Next and delta links point to another host.
    RedirectLink(String),
    /// 401 `InvalidAuthenticationToken`.
    Unauthorized,
    /// A delta token error, whatever the request.
    TokenLost(Expiry),
}

/// The body of [`Effect::Status`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultBody {
    /// No body.
    Empty,
    /// A Graph error with this code.
    Error(String),
    /// This JSON.
    Json(serde_json::Value),
    /// An HTML page.
    Html(String),
}

/// The ways in which the service says that a delta token is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expiry {
    /// 410 with a `Location` for the first call.
    GoneWithLocation,
    /// 410 `SyncStateNotFound`.
    GoneSyncStateNotFound,
    /// 400 `syncStateNotFound`.
    BadRequestSyncStateNotFound,
    /// 404 `resyncRequired`.
    NotFoundResyncRequired,
    /// 400 `resyncRequired`, as an inner error under an empty code.
    BadRequestResyncRequired,
    /// 400 `Request_UnsupportedQuery`, which is what an old or damaged token gets in practice.
    OlderThan30Days,
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    next: u64,
    entries: Vec<(FaultId, Fault)>,
}

impl FaultBook {
    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        let id = FaultId(self.next);
        self.next += 1;
        self.entries.push((id, fault));
        id
    }

    pub(crate) fn remove(&mut self, id: FaultId) {
        self.entries.retain(|(known, _)| *known != id);
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The effect for a request. The first fault in order of injection that is due wins; all matching faults that
    /// are still waiting count the request.
    pub(crate) fn strike(&mut self, method: &str, target: &str) -> Option<Effect> {
        let mut effect = None;
        for (_, fault) in &mut self.entries {
            if !fault.matches(method, target) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else if effect.is_none() && fault.times != Some(0) {
                effect = Some(fault.effect.clone());
                fault.times = fault.times.map(|times| times.saturating_sub(1));
            }
        }
        self.entries.retain(|(_, fault)| fault.times != Some(0));
        effect
    }
}

/// A substring test, or with `*` a match of the whole text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return text.contains(pattern);
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_parts_or_with_a_star_the_whole() {
        let table = [
            ("", "/v1.0/users", true),
            ("users", "/v1.0/users/delta", true),
            ("groups", "/v1.0/users", false),
            ("*users", "/v1.0/users", true),
            ("*users", "/v1.0/users/delta", false),
            ("/v1.0/groups/*/members*", "/v1.0/groups/7/members?$top=9", true),
            ("/v1.0/groups/*/members", "/v1.0/groups/7/memberOf", false),
            ("*a*a", "/a", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn faults_wait_strike_and_leave() {
        let mut book = FaultBook::default();
        book.add(Fault::on("users", Effect::Hang).after(1).times(2));
        let hits: Vec<bool> = (0..4).map(|_| book.strike("GET", "/v1.0/users").is_some()).collect();
        assert_eq!(hits, [false, true, true, false]);
        assert!(book.strike("GET", "/v1.0/groups").is_none());
    }
}
