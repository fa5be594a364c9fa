//! The way to the token endpoint.
//!
//! Owns the HTTP client under `azure_identity`: TLS and proxy like those of Graph, no
//! redirects, bounded bodies, plain http for a loopback authority only. Keeps why a
//! token was refused, because `azure_identity` loses it where the body is not JSON.
//! Must not decide what a refusal means for a run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use azure_core::error::{Error as AzureError, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request};
use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use url::Url;

use super::error::Error;
use super::observe::{Answer, Endpoint, Meter};
use super::settings::{IdentityKind, IdentitySettings, Settings};
use super::transport::{USER_AGENT, is_here};

/// More than any token or error of the authority needs.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Why no token was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) status: u16,
    /// `AADSTS…`, if the answer has one.
    pub(super) code: Option<String>,
}

impl Refusal {
    fn read(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let code = text.find("AADSTS").map(|at| {
            let digits = text[at + 6..].chars().take_while(char::is_ascii_digit);
            format!("AADSTS{}", digits.collect::<String>())
        });
        Self { status, code }
    }

    /// Whether the same request would be refused again.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self.status, 400..=407 | 409..=428 | 430..=499)
    }
}

/// Sends the requests of `azure_identity`.
#[derive(Clone)]
pub(super) struct Authority {
    http: reqwest::Client,
    /// The one place that may be spoken to in plain http: a loopback authority.
    plain: Option<Url>,
    meter: Arc<Meter>,
    refusal: Arc<Mutex<Option<Refusal>>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    pub(super) fn new(
        settings: &Settings,
        identity: &IdentitySettings,
        meter: Arc<Meter>,
    ) -> Result<Self, Error> {
        let mut http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout);
        if identity.kind == IdentityKind::ManagedIdentity || is_here(&identity.authority) {
            // The metadata service is on the machine's own link; no proxy reaches it.
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| {
            Error::settings("identity", format!("does not give a working TLS client ({error})"))
        })?;
        let plain = Some(identity.authority.clone()).filter(is_here);
        Ok(Self { http, plain, meter, refusal: Arc::default() })
    }

    /// The same way, with nothing refused yet.
    pub(super) fn for_one_token(&self) -> Self {
        Self { refusal: Arc::default(), ..self.clone() }
    }

    /// Why the last request was refused, if it was.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `azure_identity` insists on https; a loopback authority is told it so and reached without.
    pub(super) fn address_for_azure(&self, authority: &Url) -> String {
        let address = authority.as_str().trim_end_matches('/');
        match (&self.plain, address.strip_prefix("http://")) {
            (Some(_), Some(rest)) => format!("https://{rest}"),
            _ => address.to_owned(),
        }
    }

    fn address(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Some(plain) = &self.plain
            && url.scheme() == "https"
            && (url.host(), url.port()) == (plain.host(), plain.port())
        {
            // Both schemes are special ones, so this cannot fail.
            let _ = url.set_scheme("http");
        }
        url
    }

    async fn exchange(&self, request: &Request) -> azure_core::Result<(u16, Headers, Bytes)> {
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            other => {
                return Err(AzureError::with_message(
                    ErrorKind::Other,
                    format!("unexpected method {other:?}"),
                ));
            }
        };
        let Body::Bytes(body) = request.body() else {
            return Err(AzureError::with_message(ErrorKind::Other, "unexpected streamed body"));
        };
        let mut builder = self.http.request(method, self.address(request.url())).body(body.clone());
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let mut response = builder.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(
                    HeaderName::from(name.as_str().to_owned()),
                    HeaderValue::from(value.to_owned()),
                );
            }
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(AzureError::with_message(
                    ErrorKind::Other,
                    "the token endpoint sent too much",
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, headers, body.freeze()))
    }
}

fn failed(error: reqwest::Error) -> AzureError {
    let kind = if error.is_connect() { ErrorKind::Connection } else { ErrorKind::Io };
    AzureError::with_error(kind, error.without_url(), "the token request failed")
}

#[async_trait]
impl HttpClient for Authority {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let sent = Instant::now();
        let (status, headers, body) = self.exchange(request).await?;
        self.meter.answered(&Answer {
            endpoint: Endpoint::Token,
            status,
            seconds: Some(sent.elapsed().as_secs_f64()),
            bytes: body.len() as u64,
            resource_units: 0,
        });
        let refusal = (status >= 300).then(|| Refusal::read(status, &body));
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_understood_whatever_its_form() {
        let table = [
            (
                400,
                r#"{"error":"x","error_description":"AADSTS700016: Application"}"#,
                Some("AADSTS700016"),
                true,
            ),
            (401, r#"{"error_description":"AADSTS7000215: Invalid"}"#, Some("AADSTS7000215"), true),
            (400, "<html>", None, true),
            (429, "", None, false),
            (408, "", None, false),
            (503, "<html>AADSTS90033</html>", Some("AADSTS90033"), false),
        ];
        for (status, body, code, is_final) in table {
            let refusal = Refusal::read(status, body.as_bytes());
            assert_eq!(
                (refusal.code.as_deref(), refusal.is_final()),
                (code, is_final),
                "{status} {body}"
            );
        }
    }
}
