//! The signed statement by which a certificate proves the application.
//!
//! Owns reading the PEM files and signing ("certificate-credentials" page: PS256,
//! `x5t#S256`, ten minutes at most). Must not ask for tokens.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::{Error as AzureError, ErrorKind};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::Error;

/// How long one assertion is good for, in seconds.
const LIFE: i64 = 300;

/// Signs assertions with a certificate's key.
pub(super) struct CertificateAssertion {
    audience: String,
    client_id: String,
    thumbprint: String,
    key: EncodingKey,
}

impl fmt::Debug for CertificateAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAssertion")
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: Uuid,
    nbf: i64,
    iat: i64,
    exp: i64,
}

impl CertificateAssertion {
    /// Takes the first certificate of one PEM text and the RSA key (PKCS #1 or #8) of another.
    pub(super) fn new(
        audience: String,
        client_id: String,
        certificate: &str,
        key: &str,
    ) -> Result<Self, Error> {
        let refuse = |remedy, source| Error::Credential { code: None, remedy, source };
        let Some(Ok(der)) = rustls_pemfile::certs(&mut certificate.as_bytes()).next() else {
            return Err(refuse(
                "identity.certificate_file must hold a certificate in PEM form",
                None,
            ));
        };
        let key = EncodingKey::from_rsa_pem(key_block(key).as_bytes()).map_err(|error| {
            let remedy = "the private key must be an unencrypted RSA key in PEM form (identity.private_key_file, or with the certificate)";
            refuse(remedy, Some(Arc::new(error)))
        })?;
        Ok(Self {
            audience,
            client_id,
            thumbprint: URL_SAFE_NO_PAD.encode(Sha256::digest(&der)),
            key,
        })
    }
}

/// When the first certificate of a PEM text ends.
pub(super) fn not_after(certificate: &str) -> Option<DateTime<Utc>> {
    let der = rustls_pemfile::certs(&mut certificate.as_bytes()).next()?.ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    DateTime::from_timestamp(certificate.validity().not_after.timestamp(), 0)
}

/// The private key of a PEM text that may hold a certificate as well, before or after it.
fn key_block(pem: &str) -> &str {
    let start = pem
        .match_indices("-----BEGIN ")
        .map(|(at, _)| at)
        .find(|at| pem[*at..].lines().next().is_some_and(|line| line.contains("PRIVATE KEY-----")));
    start.map_or(pem, |at| match pem[at + 1..].find("-----BEGIN ") {
        Some(next) => &pem[at..=at + next],
        None => &pem[at..],
    })
}

#[async_trait]
impl ClientAssertion for CertificateAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let now = Utc::now().timestamp();
        let mut header = Header::new(Algorithm::PS256);
        header.x5t_s256 = Some(self.thumbprint.clone());
        let claims = Claims {
            aud: &self.audience,
            iss: &self.client_id,
            sub: &self.client_id,
            jti: Uuid::new_v4(),
            nbf: now,
            iat: now,
            exp: now + LIFE,
        };
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|error| {
            AzureError::with_error(
                ErrorKind::Credential,
                error,
                "the assertion could not be signed",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_wherever_it_stands() {
        let key = "-----BEGIN PRIVATE KEY-----\nK\n-----END PRIVATE KEY-----\n";
        let certificate = "-----BEGIN CERTIFICATE-----\nC\n-----END CERTIFICATE-----\n";
        assert_eq!(key_block(&format!("{certificate}{key}")), key);
        assert_eq!(key_block(&format!("{key}{certificate}")).trim_end_matches('-'), key);
        assert_eq!(key_block(key), key);
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_with_its_key() {
        let error =
            CertificateAssertion::new("aud".to_owned(), "app".to_owned(), "nothing", "nothing")
                .expect_err("refused");
        assert!(error.to_string().contains("identity.certificate_file"));
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let ends = not_after(PEM).map(|time| time.to_rfc3339());
        assert_eq!(ends.as_deref(), Some("2126-10-29T14:29:33+00:00"));
        assert_eq!(not_after("nothing"), None);
    }

    /// A self-signed certificate with its key; proves nothing to anybody.
    const PEM: &str = include_str!("../../tests/graph/fixtures/certificate.pem");

    #[tokio::test]
    async fn an_assertion_says_what_entra_checks() {
        let assertion =
            CertificateAssertion::new("https://aud".to_owned(), "app".to_owned(), PEM, PEM)
                .expect("a certificate and its key");
        let token = assertion.secret(None).await.expect("signed");
        let part = |at: usize| {
            let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(at).expect("a part"));
            serde_json::from_slice::<serde_json::Value>(&bytes.expect("base64")).expect("JSON")
        };
        let (header, claims) = (part(0), part(1));
        assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("PS256"), Some("JWT")));
        let thumbprint = "r_kAGJMQGKjhTQYKXLPTFaeCduxSt3qHE4dwpSOqiVA";
        assert_eq!(header["x5t#S256"], thumbprint);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&"app".into(), &"app".into(), &"https://aud".into(),)
        );
        let life = claims["exp"].as_i64().zip(claims["nbf"].as_i64()).map(|(exp, nbf)| exp - nbf);
        assert_eq!(life, Some(300));
        assert!(!format!("{assertion:?}").contains("PRIVATE"));
    }
}
