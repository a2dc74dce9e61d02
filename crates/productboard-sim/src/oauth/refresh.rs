//! Refresh tokens: each use issues a new pair; the used one works for another hour, so that a lost answer is no lost
//! grant. Later use is theft or a bug, and is written down.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::OAuthError;
use super::grants::Grant;

pub(super) const LIFE: TimeDelta = TimeDelta::days(180);
const GRACE: TimeDelta = TimeDelta::minutes(60);

pub(super) struct Refresh {
    pub(super) grant: Arc<Grant>,
    issued_at: DateTime<Utc>,
    first_used_at: Option<DateTime<Utc>>,
    uses: u64,
    in_grace: u64,
    reused: u64,
    pub(super) revoked: bool,
}

/// How one refresh token was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefreshUse {
    /// See [`fingerprint`].
    pub fingerprint: String,
    /// The workspace it opens.
    pub domain: String,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// How often it was sent, refused uses included.
    pub uses: u64,
    /// How many of these came within the hour after the first.
    pub in_grace: u64,
    /// How many came later: reuse, refused with `invalid_grant`.
    pub reuse_detected: u64,
    /// It was revoked.
    pub revoked: bool,
}

/// Twelve hex digits that stand for a token where the token itself must not.
pub fn fingerprint(token: &str) -> String {
    hex::encode(&Sha256::digest(token)[..6])
}

impl Refresh {
    pub(super) fn new(grant: Arc<Grant>, now: DateTime<Utc>) -> Self {
        let (uses, in_grace, reused) = (0, 0, 0);
        Self { grant, issued_at: now, first_used_at: None, uses, in_grace, reused, revoked: false }
    }

    /// Counts one use and says whether it is worth a new pair.
    pub(super) fn spend(&mut self, now: DateTime<Utc>) -> Result<(), OAuthError> {
        self.uses += 1;
        if self.revoked || self.issued_at + LIFE <= now {
            return Err(OAuthError::invalid_grant("The refresh token is expired or revoked"));
        }
        match self.first_used_at {
            None => self.first_used_at = Some(now),
            Some(first) if now < first + GRACE => self.in_grace += 1,
            Some(_) => {
                self.reused += 1;
                return Err(OAuthError::invalid_grant("The refresh token was used before"));
            }
        }
        Ok(())
    }

    /// Its use did not use it up.
    pub(super) fn stays(&mut self) {
        self.first_used_at = None;
    }

    pub(super) fn told(&self, token: &str) -> RefreshUse {
        RefreshUse {
            fingerprint: fingerprint(token),
            domain: self.grant.domain.clone(),
            issued_at: self.issued_at,
            uses: self.uses,
            in_grace: self.in_grace,
            reuse_detected: self.reused,
            revoked: self.revoked,
        }
    }
}
