//! Deletes old entries, and leaves chains that can still be checked.
//!
//! Invariant: nothing is deleted but before an end of the chain that was kept elsewhere and still holds, and not before
//! the chain itself has recorded it. Whoever deletes more, or without a record, is found by the next check.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tidemark_domain::id::OrganizationId;
use tidemark_store::Store;

use super::{Action, Anchor, Audit, AuditKey, Broken, Entry, PLATFORM, Unwritten, verify};

const BATCH: u64 = 1_000;

/// What was deleted of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// The chain.
    pub organization: String,
    /// Its first entry now.
    pub kept_from: i64,
    /// How many entries were deleted.
    pub entries: u64,
}

/// Why a chain was not pruned.
#[derive(Debug, thiserror::Error)]
pub enum NotPruned {
    /// It is not as it was written, or does not hold what an anchor says: what is wrong must not be deleted.
    #[error("the chain of {} is broken: entry {} {}", .0.organization, .0.sequence, .0.problem)]
    Broken(Broken),
    /// The pruning could not be recorded.
    #[error(transparent)]
    Unwritten(#[from] Unwritten),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] tidemark_store::Error),
}

/// Deletes the entries of each anchored chain that are older than `before` and stand before the anchor.
pub async fn prune(
    store: &Store,
    audit: &Audit,
    key: &AuditKey,
    anchors: &[Anchor],
    before: DateTime<Utc>,
    actor: &str,
) -> Result<Vec<Pruned>, NotPruned> {
    let mut pruned = Vec::new();
    for anchor in anchors {
        let organization = anchor.organization.parse::<OrganizationId>().ok();
        if organization.is_none() && anchor.organization != PLATFORM {
            continue;
        }
        let chain = anchor.organization.as_str();
        let checked = verify(store, key, Some(chain), anchors).await?;
        if let Some(broken) = checked.broken.into_iter().next() {
            return Err(NotPruned::Broken(broken));
        }
        let kept_from = store.first_audit_since(chain, before).await?.unwrap_or(anchor.sequence);
        let kept_from = kept_from.min(anchor.sequence);
        let first = store.audit_entries(chain, 0, 1).await?;
        if first.first().is_none_or(|first| first.sequence >= kept_from) {
            continue;
        }
        let entry = Entry::new(organization.as_ref(), actor, Action::Prune, chain);
        audit.record(entry.with("kept_from", kept_from).with("anchor", anchor.sequence)).await?;
        let mut entries = 0;
        loop {
            let deleted = store.prune_audit(chain, kept_from, BATCH).await?;
            entries += deleted;
            if deleted == 0 {
                break;
            }
        }
        pruned.push(Pruned { organization: chain.to_owned(), kept_from, entries });
    }
    Ok(pruned)
}
