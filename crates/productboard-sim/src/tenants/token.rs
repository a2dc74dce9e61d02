//! One token: whose it is, what it may do, whether it lives, and its own switches.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::switches::Switches;
use crate::Access;
use crate::clock::delta;
use crate::ledger::Entries;
use crate::limit::Recent;

pub(super) struct Token {
    pub(super) domain: String,
    pub(super) access: Arc<Access>,
    revoked: bool,
    expires_at: Option<DateTime<Utc>>,
    pub(super) entries: Entries,
    pub(super) recent: Recent,
    pub(super) switches: Switches,
}

/// Why a known token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dead {
    Revoked,
    Expired,
}

impl Token {
    pub(super) fn new(domain: &str, access: Access, now: DateTime<Utc>) -> Self {
        Self {
            domain: domain.to_owned(),
            expires_at: access.expires_in.map(|life| now + delta(life)),
            access: Arc::new(access),
            revoked: false,
            entries: Entries::default(),
            recent: Recent::default(),
            switches: Switches::default(),
        }
    }

    /// Live again, perhaps for another workspace and with other rights.
    pub(super) fn renew(&mut self, domain: &str, access: Access, now: DateTime<Utc>) {
        domain.clone_into(&mut self.domain);
        self.revoked = false;
        self.expires_at = access.expires_in.map(|life| now + delta(life));
        self.access = Arc::new(access);
    }

    /// False when it was revoked before.
    pub(super) fn revoke(&mut self) -> bool {
        !std::mem::replace(&mut self.revoked, true)
    }

    pub(super) fn expire(&mut self, now: DateTime<Utc>) {
        self.expires_at = Some(now);
    }

    pub(super) fn dead(&self, now: DateTime<Utc>) -> Option<Dead> {
        if self.revoked {
            return Some(Dead::Revoked);
        }
        self.expires_at.is_some_and(|end| end <= now).then_some(Dead::Expired)
    }
}
