//! Signed assertions: a server's way to a token without a person (RFC 7523).

use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::Error;

/// Who asks, for whom, and until when.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// The application's client id.
    pub issuer: String,
    /// The member acted for.
    pub subject: String,
    /// The token endpoint, as the vendor names it for the application.
    pub audience: String,
    /// Now.
    pub issued_at: DateTime<Utc>,
    /// How long the assertion can be used.
    pub lifetime: Duration,
    /// The scopes asked for; all of the application's when empty.
    pub scopes: Vec<String>,
    /// The RSA key whose public half the vendor has, as PEM.
    pub private_key_pem: SecretString,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl Assertion {
    /// The assertion as a JWT, signed with RS256.
    pub(super) fn sign(&self) -> Result<SecretString, Error> {
        // The library's errors quote nothing of the key, but say little that helps either.
        let wrong = |_| Error::Configuration("the private key is not an RSA key in PEM".to_owned());
        let key =
            EncodingKey::from_rsa_pem(self.private_key_pem.expose_secret().as_bytes()).map_err(wrong)?;
        let iat = self.issued_at.timestamp();
        let claims = Claims {
            iss: &self.issuer,
            sub: &self.subject,
            aud: &self.audience,
            iat,
            exp: iat + i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX / 2),
            scope: (!self.scopes.is_empty()).then(|| self.scopes.join(" ")),
        };
        encode(&Header::new(Algorithm::RS256), &claims, &key).map(SecretString::from).map_err(wrong)
    }
}
