//! What an injected fault does to an answer. Which request it hits was decided by the fault book.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::delta::lost;
use super::problem::Problem;
use super::reply::{Body, Call, Reply, Wire};
use crate::fault::{Effect, FaultBody};

/// A gateway's page, as load balancers in front of the service send it.
const GATEWAY_PAGE: &str = "<html><head><title>502 Bad Gateway</title></head>\
    <body><center><h1>502 Bad Gateway</h1></center></body></html>";

/// The answer of faults that keep a request from being executed.
pub(super) fn instead(call: &Call, effect: &Effect) -> Option<Result<Reply, Problem>> {
    Some(match effect {
        Effect::Status { status, headers, body } => match body {
            FaultBody::Error(code) => {
                let problem = Problem::new(*status, code.clone(), "An error was injected.");
                Err(headers
                    .iter()
                    .fold(problem, |problem, (name, value)| problem.header(name, value)))
            }
            body => {
                let mut reply = Reply::new(*status, plain(body));
                reply.headers.clone_from(headers);
                Ok(reply)
            }
        },
        Effect::Html502 => Ok(Reply::new(502, Body::Html(GATEWAY_PAGE.to_owned()))),
        Effect::ExpiredPageToken => Err(Problem::expired_page()),
        Effect::Unauthorized => Err(Problem::unauthorized("Access token validation failure.")),
        Effect::TokenLost(how) => Err(lost(call, *how)),
        Effect::Hang => {
            let mut reply = Reply::new(200, Body::Empty);
            reply.wire = Wire::Silent;
            Ok(reply)
        }
        _ => return None,
    })
}

fn plain(body: &FaultBody) -> Body {
    match body {
        FaultBody::Empty | FaultBody::Error(_) => Body::Empty,
        FaultBody::Json(value) => Body::json(value),
        FaultBody::Html(page) => Body::Html(page.clone()),
    }
}

/// Spoils an answer that was made properly. Errors are spoiled on the wire only.
pub(super) fn afterwards(call: &Call, effect: &Effect, reply: &mut Reply) {
    match effect {
        Effect::CutBody => reply.wire = reply.wire.max(Wire::Cut),
        Effect::TruncatedJson => reply.wire = reply.wire.max(Wire::Truncated),
        Effect::Delay(delay) => reply.delay += *delay,
        _ if reply.status == 200 => {
            if let Body::Json(bytes) = &reply.body
                && let Ok(Value::Object(mut page)) = serde_json::from_slice(bytes)
            {
                spoil(call, effect, &mut page);
                reply.body = Body::json(&page);
            }
        }
        _ => {}
    }
}

fn spoil(call: &Call, effect: &Effect, page: &mut Map<String, Value>) {
    match effect {
        Effect::EmptyOk => {
            page.insert("value".to_owned(), json!([]));
        }
        Effect::MissingValue => {
            page.remove("value");
        }
        Effect::NullProperties => each_item(page, blank),
        Effect::OmitKeys(keys) => each_item(page, |item| item.retain(|key, _| !keys.contains(key))),
        Effect::OmitRemoved => {
            if let Some(Value::Array(items)) = page.get_mut("value") {
                items.retain(|item| item.get("@removed").is_none());
            }
        }
        Effect::RepeatPage => lead_to(page, format!("{}{}", call.root(), call.target())),
        Effect::EndlessLinks => lead_to(page, endless(call)),
        Effect::RedirectLink(host) => redirect(page, &call.root(), host),
        _ => {}
    }
}

fn each_item(page: &mut Map<String, Value>, change: impl Fn(&mut Map<String, Value>)) {
    let items = page.get_mut("value").and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut).for_each(change);
}

fn blank(item: &mut Map<String, Value>) {
    for (key, value) in item {
        if key != "id" && !key.starts_with('@') {
            *value = Value::Null;
        }
    }
}

fn lead_to(page: &mut Map<String, Value>, link: String) {
    page.remove("@odata.deltaLink");
    page.insert("@odata.nextLink".to_owned(), Value::from(link));
}

/// The same page again under a URL that was not used before.
fn endless(call: &Call) -> String {
    let (kept, lap) = match call.query.rsplit_once("lap=") {
        Some((kept, lap)) => (kept.trim_end_matches('&'), lap.parse().unwrap_or(0)),
        None => (call.query.as_str(), 0_u64),
    };
    let joint = if kept.is_empty() { "" } else { "&" };
    format!("{}{}?{kept}{joint}lap={}", call.root(), call.path, lap + 1)
}

fn redirect(page: &mut Map<String, Value>, root: &str, host: &str) {
    let host = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
    for key in ["@odata.nextLink", "@odata.deltaLink"] {
        if let Some(Value::String(link)) = page.get_mut(key) {
            *link = link.replacen(root, &host, 1);
        }
    }
}

/// The longest of several delays; items of a batch are worked on side by side.
pub(super) fn longest(delays: impl Iterator<Item = Duration>) -> Duration {
    delays.max().unwrap_or_default()
}
