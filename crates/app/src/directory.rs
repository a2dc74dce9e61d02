//! The callers' directory over the record; denials go into the audit log.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_credentials::audit::{Action, Audit, Entry};
use tidemark_domain::{Clock, id::TokenId};
use tidemark_rpc::guard::{Denial, Directory, Registered, Standing, Unanswered};
use tidemark_store::{ServiceToken, Store};

/// Denials of one minute that are written down for each reason; whoever knocks more often fills no disk.
const DENIALS_PER_MINUTE: u32 = 600;
/// A use is noted at most this often.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

pub(crate) struct StoreDirectory {
    store: Store,
    audit: Audit,
    clock: Arc<dyn Clock>,
    /// By reason: noise at the door does not hide who reaches for another organization's.
    denials: Mutex<BTreeMap<&'static str, Minute>>,
}

/// What was denied within a minute.
#[derive(Debug)]
struct Minute {
    since: DateTime<Utc>,
    written: u32,
    left_out: u32,
}

impl Minute {
    fn new(since: DateTime<Utc>) -> Self {
        Self { since, written: 0, left_out: 0 }
    }

    /// Whether one more denial is written down, and how many were left out before it.
    fn admit(&mut self, now: DateTime<Utc>) -> Option<u32> {
        if now - self.since >= TimeDelta::minutes(1) {
            (self.since, self.written) = (now, 0);
        }
        if self.written >= DENIALS_PER_MINUTE {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl StoreDirectory {
    pub(crate) fn new(store: Store, audit: Audit, clock: Arc<dyn Clock>) -> Self {
        Self { store, audit, clock, denials: Mutex::default() }
    }

    fn admit(&self, reason: &'static str) -> Option<u32> {
        let now = self.clock.now();
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        denials.entry(reason).or_insert_with(|| Minute::new(now)).admit(now)
    }
}

#[tonic::async_trait]
impl Directory for StoreDirectory {
    async fn find(&self, id: &TokenId) -> Result<Option<Registered>, Unanswered> {
        match self.store.service_token(id).await {
            Ok(token) => Ok(token.and_then(|token| registered(token, self.clock.now()))),
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, "a service token was not looked up");
                Err(Unanswered)
            }
        }
    }

    fn used(&self, id: &TokenId) {
        let (store, id, now) = (self.store.clone(), id.clone(), self.clock.now());
        tokio::spawn(async move {
            if let Err(error) = store.service_token_used(&id, now, now - NOTED_EVERY).await {
                tracing::warn!(error = &error as &dyn Error, token = %id, "the use of a token was not noted");
            }
        });
    }

    fn denied(&self, denial: Denial) {
        let Denial { actor, method, organization, reason, request_id } = denial;
        let Some(left_out) = self.admit(reason) else { return };
        let mut entry = Entry::new(organization.as_ref(), &actor, Action::Deny, method)
            .outcome(reason)
            .with("request", request_id);
        if left_out > 0 {
            entry = entry.with("left_out_before", left_out);
        }
        self.audit.note(entry);
    }
}

/// Scopes of a later version give nothing; a hash of another length opens nothing.
fn registered(token: ServiceToken, now: DateTime<Utc>) -> Option<Registered> {
    let standing = if token.revoked_at.is_some() {
        Standing::Revoked
    } else if token.expires_at.is_some_and(|at| at <= now) {
        Standing::Expired
    } else {
        Standing::Valid
    };
    Some(Registered {
        hash: token.hash.try_into().ok()?,
        name: token.name,
        scopes: token.scopes.iter().filter_map(|scope| scope.parse().ok()).collect(),
        organizations: token.organizations.map(|list| list.into_iter().collect()),
        standing,
    })
}

impl fmt::Debug for StoreDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreDirectory").field("store", &self.store).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_off_counted_and_over_after_a_minute() {
        let start = DateTime::UNIX_EPOCH;
        let mut minute = Minute::new(start);
        let admitted = (0..DENIALS_PER_MINUTE + 7).filter(|_| minute.admit(start).is_some()).count();
        assert_eq!(admitted, DENIALS_PER_MINUTE as usize);
        assert_eq!(minute.admit(start + TimeDelta::minutes(1)), Some(7));
        assert_eq!(minute.admit(start + TimeDelta::minutes(1)), Some(0));
    }
}
