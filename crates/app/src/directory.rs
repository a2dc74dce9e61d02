//! The callers' directory over the record; denials go into the audit log.
//!
//! Nobody fills the log: of one source, an address or the token of a known caller with its method, one denial of a kind is
//! written in a minute, and after it how many more there were. Unknown callers from many addresses share one entry after the first
//! sixty. The metric counts them all.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_credentials::audit::{Action, Audit, Entry};
use tidemark_domain::{
    Clock,
    id::{OrganizationId, TokenId},
};
use tidemark_rpc::{
    guard::{Denial, Directory, Registered, Standing, UNKNOWN, Unanswered},
    limit::network,
};
use tidemark_store::{ServiceToken, Store};
use tokio_util::sync::CancellationToken;

/// Between two entries about the same.
const MINUTE: Duration = Duration::from_secs(60);
/// Sources of unknown callers that have an entry of their own within a minute, for each reason.
const STRANGERS: usize = 60;
/// The same of known callers with what they called, for each reason.
const KNOWN: usize = 600;
/// A use is noted at most this often.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

pub(crate) struct StoreDirectory {
    store: Store,
    audit: Audit,
    clock: Arc<dyn Clock>,
    denials: Denials,
    /// Ends the minutes of the denials with the directory.
    end: CancellationToken,
}

/// What makes denials the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    is_known: bool,
    /// A token's id or an address; nothing for all that have no entry of their own.
    source: String,
    /// What a known caller called.
    method: String,
    organization: Option<OrganizationId>,
    reason: &'static str,
}

/// The kinds that were written down within the last minute, and how many of each came after that.
#[derive(Debug, Clone, Default)]
struct Denials(Arc<Mutex<HashMap<Kind, u64>>>);

impl Denials {
    fn kinds(&self) -> MutexGuard<'_, HashMap<Kind, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a denial; returns its kind where it is the first one.
    fn first(&self, denial: &Denial) -> Option<Kind> {
        let is_known = denial.actor != UNKNOWN;
        let address = || denial.address.map(network).unwrap_or_default();
        let source = if is_known { denial.actor.clone() } else { address() };
        let method = if is_known { denial.method.clone() } else { String::new() };
        let organization = denial.organization.clone();
        let mut kind = Kind { is_known, source, method, organization, reason: denial.reason };
        let mut kinds = self.kinds();
        let most = if is_known { KNOWN } else { STRANGERS };
        let alike = |other: &&Kind| other.is_known == is_known && other.reason == denial.reason;
        if !kinds.contains_key(&kind) && kinds.keys().filter(alike).count() >= most {
            kind = Kind { source: String::new(), method: String::new(), organization: None, ..kind };
        }
        if let Some(more) = kinds.get_mut(&kind) {
            *more += 1;
            return None;
        }
        kinds.insert(kind.clone(), 0);
        Some(kind)
    }

    /// Ends the minute of a kind; returns how many came after the first one.
    fn end(&self, kind: &Kind) -> u64 {
        self.kinds().remove(kind).unwrap_or_default()
    }
}

impl StoreDirectory {
    pub(crate) fn new(store: Store, audit: Audit, clock: Arc<dyn Clock>) -> Self {
        Self { store, audit, clock, denials: Denials::default(), end: CancellationToken::new() }
    }
}

impl Drop for StoreDirectory {
    fn drop(&mut self) {
        self.end.cancel();
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
        let Some(kind) = self.denials.first(&denial) else { return };
        let Denial { actor, method, organization, reason, request_id, .. } = denial;
        tracing::warn!(actor, method, reason, "a caller was refused");
        let entry = |subject: &str| {
            let entry = Entry::new(organization.as_ref(), &actor, Action::Deny, subject).outcome(reason);
            if kind.is_known || kind.source.is_empty() { entry } else { entry.with("address", &kind.source) }
        };
        self.audit.note(entry(&method).with("request", request_id));
        let repeated = entry(if kind.method.is_empty() { "any method" } else { &method });
        let (denials, audit) = (self.denials.clone(), self.audit.clone());
        let end = self.end.clone();
        tokio::spawn(async move {
            let _ended = tokio::time::timeout(MINUTE, end.cancelled()).await;
            let more = denials.end(&kind);
            if more > 0 {
                tracing::warn!(actor, reason, more, "a caller was refused again and again");
                audit.note(repeated.with("more", more));
            }
        });
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

    fn denial(actor: &str, address: [u8; 4], reason: &'static str) -> Denial {
        Denial {
            actor: actor.to_owned(),
            method: "package.Service/Method".to_owned(),
            organization: None,
            reason,
            request_id: String::new(),
            address: Some(address.into()),
        }
    }

    #[test]
    fn a_source_has_one_entry_a_minute_and_a_count() {
        let denials = Denials::default();
        let kind = denials.first(&denial(UNKNOWN, [192, 0, 2, 1], "UNAUTHENTICATED")).unwrap();
        for _ in 0..7 {
            assert_eq!(denials.first(&denial(UNKNOWN, [192, 0, 2, 1], "UNAUTHENTICATED")), None);
        }
        assert!(
            denials.first(&denial(UNKNOWN, [192, 0, 2, 2], "UNAUTHENTICATED")).is_some(),
            "another address"
        );
        assert!(
            denials.first(&denial("tok_1", [192, 0, 2, 1], "WRONG_ORGANIZATION")).is_some(),
            "a known caller"
        );
        assert_eq!(denials.end(&kind), 7);
        assert!(
            denials.first(&denial(UNKNOWN, [192, 0, 2, 1], "UNAUTHENTICATED")).is_some(),
            "the next minute"
        );
    }

    #[test]
    fn a_flood_from_many_addresses_has_few_entries_and_hides_no_known_caller() {
        let denials = Denials::default();
        let addresses = (0..=9).flat_map(|c| (0..=99).map(move |d| [198, 51, c, d]));
        let kinds: Vec<_> = addresses
            .filter_map(|address| denials.first(&denial(UNKNOWN, address, "UNAUTHENTICATED")))
            .collect();
        assert_eq!(kinds.len(), STRANGERS + 1);
        assert_eq!(denials.end(kinds.last().unwrap()), 1_000 - STRANGERS as u64 - 1);
        assert!(denials.first(&denial("tok_1", [198, 51, 1, 1], "PERMISSION_DENIED")).is_some());
    }
}
