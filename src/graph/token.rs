//! The access token: one for everybody, for as long as it is good.
//!
//! Owns when a token is asked for, by whom, and what is used meanwhile. How one is
//! asked for is `credential`'s. A credential is made anew for every token, because
//! that happens about once an hour: so a rotated secret, certificate or projected
//! token is taken up by itself (trap 40), and nothing has to be invalidated.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};
use tracing::warn;

use super::credential::Mint;
use super::error::Error;

/// A token this close to its end is no longer sent: the request must arrive in time.
const LEAST_LIFE: TimeDelta = TimeDelta::seconds(30);
/// A new token is fetched this long before the old one ends (or at half-life, for short ones).
const RENEW_EARLY: TimeDelta = TimeDelta::minutes(5);
/// After a failed renewal the old token serves for this long before the next try.
const RENEW_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// One token and its times.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    secret: SecretString,
    serial: u64,
    renew_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl Grant {
    fn new(
        secret: SecretString,
        serial: u64,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Self {
        let early = RENEW_EARLY.min((expires_at - now) / 2);
        Self { secret, serial, renew_at: expires_at - early, expires_at }
    }

    /// The token itself.
    pub(super) fn bearer(&self) -> &str {
        self.secret.expose_secret()
    }

    /// Tells this token from those before and after it.
    pub(super) const fn serial(&self) -> u64 {
        self.serial
    }

    fn is_usable(&self, now: DateTime<Utc>) -> bool {
        self.expires_at - now > LEAST_LIFE
    }

    /// The `roles` claim; `None` when the token is opaque, or a person's, which has scopes instead.
    /// An application's token without the claim has no permission (4.1 of the facts).
    pub(super) fn roles(&self) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct Claims {
            #[serde(default)]
            roles: Vec<String>,
            scp: Option<String>,
        }
        let payload = self.bearer().split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let Claims { roles, scp } = serde_json::from_slice(&payload).ok()?;
        (scp.is_none() || !roles.is_empty()).then_some(roles)
    }
}

/// The tokens of one client. Clones share them.
#[derive(Clone)]
pub(super) struct Tokens(Arc<Shared>);

struct Shared {
    mint: Mint,
    held: RwLock<Option<Grant>>,
    /// Renewals ended so far, whatever came of them: a waiter sees that somebody was faster.
    ended: AtomicU64,
    /// Whoever holds it asks for a token, with the failure of the last who did.
    asking: Mutex<Option<Error>>,
}

impl Tokens {
    pub(super) fn new(mint: Mint) -> Self {
        Self(Arc::new(Shared {
            mint,
            held: RwLock::new(None),
            ended: AtomicU64::new(0),
            asking: Mutex::new(None),
        }))
    }

    /// When the client certificate ends; `None` where there is none that can be read.
    pub(super) async fn credential_expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.mint.expires_at().await
    }

    /// A token that is good now, fetching one if there is none.
    ///
    /// While an ageing token is being replaced, or cannot be, it goes on serving.
    pub(super) async fn current(&self) -> Result<Grant, Error> {
        let now = Utc::now();
        match self.held().filter(|grant| grant.is_usable(now)) {
            Some(grant) if now < grant.renew_at => Ok(grant),
            Some(grant) => match self.0.asking.try_lock() {
                Ok(asking) => Ok(self.fetch(asking, None).await.unwrap_or(grant)),
                Err(_) => Ok(grant),
            },
            None => self.fetch_once(None).await,
        }
    }

    /// A token other than the one that Graph has just refused.
    pub(super) async fn replace(&self, refused: u64) -> Result<Grant, Error> {
        match self.held() {
            Some(grant) if grant.serial != refused => Ok(grant),
            _ => self.fetch_once(Some(refused)).await,
        }
    }

    /// Fetches a token, or shares the outcome of somebody who did while this caller waited.
    async fn fetch_once(&self, refused: Option<u64>) -> Result<Grant, Error> {
        let ended = self.0.ended.load(Ordering::Acquire);
        let asking = self.0.asking.lock().await;
        if self.0.ended.load(Ordering::Acquire) == ended {
            return self.fetch(asking, refused).await;
        }
        match (&*asking, self.held()) {
            (None, Some(grant)) => Ok(grant),
            (Some(error), _) => Err(error.clone()),
            (None, None) => self.fetch(asking, refused).await,
        }
    }

    /// Asks for a token; `refused` is the serial of the one that Graph does not take any more.
    async fn fetch(
        &self,
        mut asking: MutexGuard<'_, Option<Error>>,
        refused: Option<u64>,
    ) -> Result<Grant, Error> {
        let outcome = self.0.mint.token().await;
        let now = Utc::now();
        let serial = self.0.ended.load(Ordering::Acquire) + 1;
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = match outcome {
            Ok((secret, expires_at)) => {
                Ok(held.insert(Grant::new(secret, serial, now, expires_at)).clone())
            }
            Err(error) => {
                if let Some(grant) = held.as_mut().filter(|grant| grant.is_usable(now)) {
                    if refused == Some(grant.serial) {
                        warn!(kind = error.kind(), %error, "no new access token, and Graph refuses the old one");
                    } else {
                        warn!(kind = error.kind(), %error, "no new access token; the old one serves");
                    }
                    grant.renew_at = now + RENEW_AGAIN;
                }
                Err(error)
            }
        };
        drop(held);
        *asking = outcome.as_ref().err().cloned();
        self.0.ended.store(serial, Ordering::Release);
        outcome
    }

    fn held(&self) -> Option<Grant> {
        self.0.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::authority::Authority;
    use super::super::observe::Meter;
    use super::super::settings::{IdentityKind, IdentitySettings, SecretSource, Settings};
    use super::*;

    fn grant(token: &str, life: i64) -> Grant {
        let now = Utc::now();
        Grant::new(token.to_owned().into(), 1, now, now + TimeDelta::seconds(life))
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let now = Utc::now();
        for (life, renewed_after) in [(3600, 3300), (600, 300), (60, 30)] {
            let grant = grant("t", life);
            let renewed = (grant.renew_at - now).num_seconds();
            assert!((renewed - renewed_after).abs() <= 1, "{life}: {renewed}");
        }
        assert!(grant("t", 31).is_usable(now) && !grant("t", 29).is_usable(now));
    }

    #[test]
    fn the_roles_of_a_token_can_be_read_if_it_is_not_opaque() {
        let token = |claims: &str| format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims));
        let roles = |text: &str| grant(text, 60).roles();
        assert_eq!(
            roles(&token(r#"{"roles":["User.Read.All"]}"#)),
            Some(vec!["User.Read.All".to_owned()])
        );
        assert_eq!(roles(&token(r#"{"aud":"x"}"#)), Some(Vec::new()));
        assert_eq!(roles(&token(r#"{"scp":"User.Read.All"}"#)), None);
        assert_eq!(roles("opaque"), None);
        assert_eq!(roles("a.b.c"), None);
    }

    /// Tokens that nobody answers for: nothing listens on the port of the authority.
    fn orphaned() -> Tokens {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let url = Url::parse(&format!("http://{}", port.expect("a port"))).expect("a URL");
        let mut settings = Settings::new(url.clone());
        settings.retries_max = 0;
        let mut identity = IdentitySettings::new(IdentityKind::ClientSecret, url, "tenant", "app");
        identity.client_secret = Some(SecretSource::Inline("hush".to_owned().into()));
        let meter = Arc::new(Meter::new(Arc::new(())));
        let authority = Authority::new(&settings, &identity, meter).expect("TLS");
        let mint = Mint::new(identity, "scope/.default".to_owned(), &settings, authority);
        Tokens::new(mint.expect("good settings"))
    }

    #[tokio::test]
    async fn the_last_token_serves_while_no_new_one_can_be_had() {
        let tokens = orphaned();
        assert!(matches!(tokens.current().await, Err(Error::Token { .. })));
        let due = |life| {
            let now = Utc::now();
            Grant { renew_at: now - TimeDelta::seconds(1), ..grant("old", life) }
        };
        let hold = |grant| *tokens.0.held.write().expect("no panic") = Some(grant);
        hold(due(40));
        assert_eq!(tokens.current().await.expect("the old one").bearer(), "old");
        let tried = tokens.0.ended.load(Ordering::Acquire);
        assert_eq!(tokens.current().await.expect("the old one").bearer(), "old");
        assert_eq!(tokens.0.ended.load(Ordering::Acquire), tried, "not tried again at once");
        hold(due(20));
        assert!(tokens.current().await.is_err(), "too close to its end");
    }

    #[tokio::test]
    async fn an_ageing_token_serves_while_somebody_renews_it() {
        let tokens = orphaned();
        let now = Utc::now();
        let due = Grant { renew_at: now - TimeDelta::seconds(1), ..grant("old", 40) };
        *tokens.0.held.write().expect("no panic") = Some(due);
        let _asking = tokens.0.asking.lock().await;
        assert_eq!(tokens.current().await.expect("the old one").bearer(), "old");
    }

    #[test]
    fn a_token_never_shows() {
        assert!(!format!("{:?}", grant("hush", 60)).contains("hush"));
    }
}
