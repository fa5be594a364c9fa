//! Access tokens: the client-credentials endpoint, a managed-identity endpoint, and the check of every call.
//!
//! Tokens look like JSON web tokens but are signed with nothing that protects anything.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::problem::Problem;
use super::query::decode;
use super::reply::{Body, Call, Reply};
use super::{Service, unix_seconds};

/// The claims the simulator itself reads back.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    appid: String,
    tid: Uuid,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    /// The generation of the token; the real claim of this name identifies the token as well.
    uti: String,
}

/// An OAuth error.
#[derive(Clone, Copy)]
struct Refusal {
    status: u16,
    error: &'static str,
    number: u32,
    text: &'static str,
}

impl Refusal {
    const fn new(status: u16, error: &'static str, number: u32, text: &'static str) -> Self {
        Self { status, error, number, text }
    }

    fn into_reply(self) -> Reply {
        let trace = Uuid::new_v4();
        let now = Utc::now().format("%Y-%m-%d %H:%M:%SZ").to_string();
        let description =
            format!("AADSTS{}: {} Trace ID: {trace} Timestamp: {now}", self.number, self.text);
        let body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [self.number],
            "timestamp": now,
            "trace_id": trace,
            "correlation_id": Uuid::new_v4(),
        });
        Reply::new(self.status, Body::json(&body))
    }
}

// The refusals, by the number the identity platform gives them.
const ONLY_POST: Refusal =
    Refusal::new(405, "invalid_request", 900_561, "The endpoint only accepts POST requests.");
const NO_TENANT: Refusal = Refusal::new(400, "invalid_request", 90_002, "Tenant not found.");
const GRANT_TYPE: Refusal =
    Refusal::new(400, "unsupported_grant_type", 70_003, "The grant type is not supported.");
const SCOPE: Refusal =
    Refusal::new(400, "invalid_scope", 70_011, "The scope must end in '/.default'.");
const UNKNOWN_CLIENT: Refusal =
    Refusal::new(400, "unauthorized_client", 700_016, "Application not found in the directory.");
const BAD_ASSERTION: Refusal =
    Refusal::new(401, "invalid_client", 50_027, "JWT token is invalid or malformed.");
const NO_PROOF: Refusal = Refusal::new(
    401,
    "invalid_client",
    7_000_218,
    "'client_assertion' or 'client_secret' is needed.",
);
const WRONG_SECRET: Refusal =
    Refusal::new(401, "invalid_client", 7_000_215, "Invalid client secret provided.");

impl Service {
    /// Answers requests for tokens; nothing if the call is none.
    pub(super) fn issue_token(&self, call: &Call) -> Option<Result<Reply, Problem>> {
        if call.path == "/msi/token" {
            return Some(Ok(self.managed_identity(call)));
        }
        let tenant = call.path.strip_suffix("/oauth2/v2.0/token")?.trim_matches('/');
        Some(Ok(match self.check_credentials(call, tenant) {
            Ok(client_id) => {
                let life = self.options.access_token_life;
                let token = self.access_token(&client_id, life);
                let seconds = life.as_secs();
                Reply::ok(&json!({
                    "token_type": "Bearer",
                    "expires_in": seconds,
                    "ext_expires_in": seconds,
                    "access_token": token,
                }))
            }
            Err(refusal) => refusal.into_reply(),
        }))
    }

    fn check_credentials(&self, call: &Call, tenant: &str) -> Result<String, Refusal> {
        if !call.method.eq_ignore_ascii_case("POST") {
            return Err(ONLY_POST);
        }
        let form = Form::parse(&call.body);
        let is_ours = self.options.tenant_id.is_nil()
            || Uuid::parse_str(tenant).ok() == Some(self.options.tenant_id);
        if !is_ours {
            return Err(NO_TENANT);
        }
        if form.get("grant_type") != Some("client_credentials") {
            return Err(GRANT_TYPE);
        }
        if !form.get("scope").is_some_and(|scope| scope.ends_with("/.default")) {
            return Err(SCOPE);
        }
        let client_id = form.get("client_id").unwrap_or_default();
        if client_id.is_empty()
            || self.options.client_id.as_deref().is_some_and(|known| known != client_id)
        {
            return Err(UNKNOWN_CLIENT);
        }
        self.check_proof(&form)?;
        Ok(client_id.to_owned())
    }

    fn check_proof(&self, form: &Form) -> Result<(), Refusal> {
        if let Some(assertion) = form.get("client_assertion") {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let is_proper = form.get("client_assertion_type") == Some(kind)
                && assertion.split('.').count() == 3;
            let refusal = || BAD_ASSERTION;
            return is_proper.then_some(()).ok_or_else(refusal);
        }
        let Some(secret) = form.get("client_secret") else {
            return Err(NO_PROOF);
        };
        if self.options.client_secret.as_deref().is_some_and(|known| known != secret) {
            return Err(WRONG_SECRET);
        }
        Ok(())
    }

    fn managed_identity(&self, call: &Call) -> Reply {
        if call.header("x-identity-header").is_none_or(str::is_empty) {
            return Reply::new(
                401,
                Body::json(&json!({ "statusCode": 401, "message": "No X-IDENTITY-HEADER." })),
            );
        }
        let parameters = Form::parse(call.query.as_bytes());
        let life = self.options.access_token_life;
        let client_id = parameters.get("client_id").unwrap_or("managed-identity");
        // Unlike the token endpoint, this one writes its numbers as strings.
        Reply::ok(&json!({
            "access_token": self.access_token(client_id, life),
            "expires_on": (unix_seconds(SystemTime::now()) + life.as_secs()).to_string(),
            "resource": parameters.get("resource").unwrap_or_default(),
            "token_type": "Bearer",
            "client_id": client_id,
        }))
    }

    fn access_token(&self, client_id: &str, life: Duration) -> String {
        let now = unix_seconds(SystemTime::now());
        let access = self.access();
        let claims = Claims {
            aud: "https://graph.microsoft.com".to_owned(),
            iss: format!("https://sts.windows.net/{}/", self.options.tenant_id),
            iat: now,
            nbf: now,
            exp: now + life.as_secs(),
            appid: client_id.to_owned(),
            tid: self.options.tenant_id,
            roles: access.roles.iter().cloned().collect(),
            uti: access.generation.to_string(),
        };
        let header = BASE64URL.encode(br#"{"typ":"JWT","alg":"none"}"#);
        let claims = serde_json::to_vec(&claims).expect("claims are plain data");
        let signed = format!("{header}.{}", BASE64URL.encode(claims));
        let signature = BASE64URL.encode(self.sealer.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Lets calls with a valid access token pass. Items of a batch ride on the token of the batch.
    pub(super) fn check_token(&self, call: &Call) -> Result<(), Problem> {
        if call.in_batch {
            return Ok(());
        }
        let bearer = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let token = bearer.ok_or_else(|| Problem::unauthorized("Access token is empty."))?;
        let claims = self
            .read_token(token)
            .ok_or_else(|| Problem::unauthorized("JWT is not well formed."))?;
        if claims.exp <= unix_seconds(SystemTime::now()) {
            return Err(Problem::unauthorized("Lifetime validation failed, the token is expired."));
        }
        if claims.uti != self.access().generation.to_string() {
            return Err(Problem::unauthorized("Access token has been revoked."));
        }
        Ok(())
    }

    fn read_token(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        if BASE64URL.decode(signature).ok()? != self.sealer.sign(signed.as_bytes()) {
            return None;
        }
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&BASE64URL.decode(claims).ok()?).ok()
    }
}

/// A URL-encoded form.
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(raw);
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
