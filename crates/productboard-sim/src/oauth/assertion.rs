//! Assertions of RFC 7523: a token that an application signed for itself, to act for a member.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::{App, OAuth, OAuthError};
use crate::{Region, Workspace};

/// How far the client's clock may be ahead.
const LEEWAY_SECS: i64 = 60;

/// What may stand in `aud`. The vendor does not say, so each sensible name of the host is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audience<'a> {
    pub(crate) region: Region,
    pub(crate) origin: &'a str,
    pub(crate) base_url: &'a str,
}

impl Audience<'_> {
    fn takes(&self, audience: &str) -> bool {
        let vendor = match self.region {
            Region::Us => "https://app.productboard.com",
            Region::Eu => "https://app.eu.productboard.com",
        };
        [self.origin, self.base_url, vendor].into_iter().any(|host| {
            audience.strip_prefix(host).is_some_and(|rest| ["", "/", "/oauth2/token"].contains(&rest))
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: i64,
    iat: i64,
    scope: Option<String>,
}

impl Claims {
    pub(super) fn scope(&self) -> &str {
        self.scope.as_deref().unwrap_or_default()
    }

    /// The mail of the member that `sub` names by mail or id.
    pub(super) fn acts_for(&self, workspace: &Workspace) -> Option<String> {
        let named = |member: &&crate::Member| {
            !member.disabled
                && (member.email.eq_ignore_ascii_case(&self.sub) || member.id.to_string() == self.sub)
        };
        workspace.members.iter().find(named).map(|member| member.email.clone())
    }

    fn fits(&self, app: &App, audience: &Audience<'_>) -> bool {
        let aud = match &self.aud {
            Value::String(one) => audience.takes(one),
            Value::Array(several) => several.iter().filter_map(Value::as_str).any(|one| audience.takes(one)),
            _ => false,
        };
        aud && self.iss == app.client_id
    }
}

impl OAuth {
    /// The application that an assertion says it is of; nothing is verified yet.
    pub(crate) fn asserting(&self, assertion: &str) -> Option<App> {
        let payload = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&payload).ok()?;
        self.book().apps.get(claims["iss"].as_str()?).map(|known| known.app.clone())
    }
}

pub(super) fn verify(
    app: &App,
    assertion: &str,
    audience: &Audience<'_>,
    now: DateTime<Utc>,
) -> Result<Claims, OAuthError> {
    let pem = app.public_key_pem.as_ref();
    let pem = pem.ok_or(OAuthError::invalid_grant("The application has no public key"))?;
    let key = DecodingKey::from_rsa_pem(pem.as_bytes());
    let key = key.map_err(|_| OAuthError::invalid_grant("The application's public key cannot be read"))?;
    // The times are checked below, by the vendor's clock.
    let mut signature = Validation::new(Algorithm::RS256);
    signature.validate_exp = false;
    signature.validate_aud = false;
    signature.required_spec_claims.clear();
    let claims: Claims = jsonwebtoken::decode(assertion, &key, &signature)
        .map_err(|_| {
            OAuthError::invalid_grant("The assertion is not signed by the application, or lacks a claim")
        })?
        .claims;
    if !claims.fits(app, audience) {
        return Err(OAuthError::invalid_grant("The assertion has another issuer or audience"));
    }
    let now = now.timestamp();
    if claims.exp <= now || claims.iat > now + LEEWAY_SECS {
        return Err(OAuthError::invalid_grant("The assertion has expired or is not yet valid"));
    }
    Ok(claims)
}
