//! What a consent became: a code, then pairs of tokens. Access tokens and refresh tokens remember their grant.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::OAuthError;

const CODE_LIFE: TimeDelta = TimeDelta::minutes(10);

/// One consent, or one assertion.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) client_id: String,
    pub(crate) domain: String,
    pub(crate) email: String,
    pub(crate) scopes: BTreeSet<String>,
}

pub(super) struct Code {
    pub(super) grant: Arc<Grant>,
    redirect_uri: String,
    challenge: Option<String>,
    expires_at: DateTime<Utc>,
    pub(super) used: bool,
}

/// Where an access token came from.
pub(super) struct Issued {
    pub(super) grant: Arc<Grant>,
    pub(super) scopes: BTreeSet<String>,
    pub(super) expires_at: DateTime<Utc>,
}

/// The answer of the token endpoint.
pub(crate) struct Token {
    pub(crate) access_token: String,
    pub(crate) expires_in: u64,
    pub(crate) refresh: Option<(String, u64)>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) scopes: BTreeSet<String>,
}

impl Code {
    pub(super) fn new(
        grant: Grant,
        redirect_uri: String,
        challenge: Option<String>,
        now: DateTime<Utc>,
    ) -> Self {
        let grant = Arc::new(grant);
        Self { grant, redirect_uri, challenge, expires_at: now + CODE_LIFE, used: false }
    }

    /// Whether the client that asked for it is the one that brings it.
    pub(super) fn fits(
        &self,
        client_id: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), OAuthError> {
        if self.grant.client_id != client_id {
            return Err(OAuthError::invalid_grant("The code was issued to another application"));
        }
        if self.expires_at <= now {
            return Err(OAuthError::invalid_grant("The code has expired"));
        }
        if self.redirect_uri != redirect_uri {
            return Err(OAuthError::invalid_grant("The redirect URI is not the one of the consent"));
        }
        if self.challenge != verifier.map(s256) {
            return Err(OAuthError::invalid_grant("The code verifier does not fit the challenge"));
        }
        Ok(())
    }
}

fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_of_the_rfc_fits_its_verifier() {
        let challenge = s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
