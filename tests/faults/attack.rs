//! What the simulated Graph does wrong: failures, which say so, and lies, which do not.

use std::time::Duration;

use graph_simulator::{Effect, Expiry, Fault, FaultBody};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

pub const EXPIRIES: [Expiry; 6] = [
    Expiry::GoneWithLocation,
    Expiry::GoneSyncStateNotFound,
    Expiry::BadRequestSyncStateNotFound,
    Expiry::NotFoundResyncRequired,
    Expiry::BadRequestResyncRequired,
    Expiry::OlderThan30Days,
];

/// What requests are hit; the empty one is every request.
pub const PATHS: [&str; 14] = [
    "",
    "/v1.0/",
    "/users/delta",
    "/groups/delta",
    "deltatoken",
    "skiptoken",
    "/members",
    "/memberOf",
    "/v1.0/users?",
    "/v1.0/groups?",
    "/v1.0/users/",
    "deletedItems",
    "$batch",
    "/oauth2/v2.0/token",
];

/// Both streams: what a lie there leaves out comes back with the next full read.
pub const STREAMS: [&str; 4] = ["/users/delta", "/groups/delta", "deltatoken", "skiptoken"];

/// Lists, whose silence must not be taken for an answer.
pub const LISTS: [&str; 3] = ["/v1.0/users?", "/v1.0/groups?", "deletedItems"];

/// Lists of members and of memberships.
pub const MEMBERSHIPS: [&str; 2] = ["/members", "/memberOf"];

/// Every way to fail.
pub fn failures() -> Vec<Effect> {
    let throttled = Effect::Status {
        status: 429,
        headers: vec![("Retry-After".to_owned(), "0".to_owned())],
        body: FaultBody::Error("TooManyRequests".to_owned()),
    };
    let lost = EXPIRIES.map(Effect::TokenLost);
    let others = [
        status(500, FaultBody::Empty),
        status(503, FaultBody::Error("ServiceNotAvailable".to_owned())),
        status(504, FaultBody::Html("<html>Gateway Timeout</html>".to_owned())),
        throttled,
        status(403, FaultBody::Error("Authorization_RequestDenied".to_owned())),
        status(200, FaultBody::Json(json!({ "odd": true }))),
        Effect::Html502,
        Effect::CutBody,
        Effect::TruncatedJson,
        Effect::MissingValue,
        Effect::EndlessLinks,
        Effect::ExpiredPageToken,
        Effect::RedirectLink("http://127.0.0.1:9".to_owned()),
        Effect::Unauthorized,
        Effect::RepeatPage,
    ];
    others.into_iter().chain(lost).collect()
}

/// Some failure of one kind or another, for a while.
pub fn failure(rng: &mut ChaCha8Rng) -> Fault {
    let effect = failures().choose(rng).unwrap().clone();
    let fault = Fault::on(*PATHS.choose(rng).unwrap(), effect);
    lasting(rng, fault)
}

/// An answer that takes long, or never comes.
pub fn slowness(rng: &mut ChaCha8Rng) -> Fault {
    let path = *PATHS.choose(rng).unwrap();
    if rng.random_bool(0.3) {
        return Fault::on(path, Effect::Hang).once();
    }
    let delay = Duration::from_millis(rng.random_range(20..200));
    Fault::on(path, Effect::Delay(delay)).times(rng.random_range(1..4))
}

/// Every answer with 200 that holds less than there is.
pub fn lies() -> Vec<Fault> {
    const OMITTED: [&str; 5] =
        ["accountEnabled", "displayName", "mail", "userPrincipalName", "members@delta"];
    let everywhere = [&STREAMS[..], &LISTS, &MEMBERSHIPS].concat();
    let effects = [
        Effect::EmptyOk,
        Effect::NullProperties,
        Effect::OmitRemoved,
        Effect::OmitKeys(OMITTED.map(str::to_owned).to_vec()),
    ];
    let omitting = OMITTED.map(|key| Effect::OmitKeys(vec![key.to_owned()]));
    let effects = effects.into_iter().chain(omitting);
    effects
        .flat_map(|effect| everywhere.iter().map(move |path| Fault::on(*path, effect.clone())))
        .collect()
}

/// Some lie, for a while.
pub fn lie(rng: &mut ChaCha8Rng) -> Fault {
    let fault = lies().choose(rng).unwrap().clone();
    lasting(rng, fault)
}

fn status(status: u16, body: FaultBody) -> Effect {
    Effect::Status { status, headers: Vec::new(), body }
}

/// Often for some requests only, sometimes until it is withdrawn, and not always at once.
fn lasting(rng: &mut ChaCha8Rng, fault: Fault) -> Fault {
    let fault = fault.after(if rng.random_bool(0.5) { 0 } else { rng.random_range(0..6) });
    if rng.random_bool(0.3) { fault } else { fault.times(rng.random_range(1..5)) }
}
