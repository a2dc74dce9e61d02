//! Recomputes chains, and holds them against anchors that were kept elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tidemark_store::{AuditEntry, AuditHead, Result, Store};

use super::{Action, AuditKey, chain::FIRST};

const PAGE: u64 = 1_000;

/// The end of a chain, to be kept where nobody who writes the database can reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The chain.
    pub organization: String,
    /// How many entries it had.
    pub sequence: i64,
    /// The hash of the last of them, in hexadecimal digits.
    pub hash: String,
}

/// Where a chain is broken first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The chain.
    pub organization: String,
    /// The first entry that is not as it was written, or not there.
    pub sequence: i64,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// How many chains were read.
    pub chains: usize,
    /// How many entries were read.
    pub entries: u64,
    /// At most one for each chain.
    pub broken: Vec<Broken>,
}

/// The ends of all chains.
pub async fn anchors(store: &Store) -> Result<Vec<Anchor>> {
    let anchor = |head: AuditHead| Anchor {
        organization: head.chain,
        sequence: head.sequence,
        hash: hex::encode(&head.hash),
    };
    Ok(store.audit_heads().await?.into_iter().map(anchor).collect())
}

/// Recomputes one chain or all of them.
pub async fn verify(
    store: &Store,
    key: &AuditKey,
    only: Option<&str>,
    anchors: &[Anchor],
) -> Result<Checked> {
    // The heads first: what is appended meanwhile is longer than its head, never shorter.
    let heads: BTreeMap<String, AuditHead> =
        store.audit_heads().await?.into_iter().map(|head| (head.chain.clone(), head)).collect();
    let mut chains: BTreeSet<String> = store.audit_chains().await?.into_iter().collect();
    chains.extend(heads.keys().cloned());
    chains.extend(anchors.iter().map(|anchor| anchor.organization.clone()));
    chains.retain(|chain| only.is_none_or(|only| only == chain));
    let mut checked = Checked { chains: chains.len(), ..Checked::default() };
    for chain in chains {
        let anchors: BTreeMap<i64, &str> = anchors
            .iter()
            .filter(|anchor| anchor.organization == chain)
            .map(|anchor| (anchor.sequence, anchor.hash.as_str()))
            .collect();
        let mut walk = Walk::new(key, anchors);
        let end = heads.get(&chain).map_or(0, |head| head.sequence);
        let broken = walk.chain(store, &chain, end, &mut checked.entries).await?;
        let broken = broken.or_else(|| walk.end(heads.get(&chain)));
        checked.broken.extend(broken.map(|(sequence, problem)| Broken {
            organization: chain,
            sequence,
            problem,
        }));
    }
    Ok(checked)
}

type Found = Option<(i64, &'static str)>;

/// On the way along one chain.
struct Walk<'a> {
    key: &'a AuditKey,
    anchors: BTreeMap<i64, &'a str>,
    previous: Vec<u8>,
    last: i64,
    /// The hash of the entry that the head points to.
    at_head: Option<Vec<u8>>,
    /// The first entry that is there.
    first: i64,
    /// Up to here the chain itself says that it was pruned.
    pruned_to: i64,
}

impl<'a> Walk<'a> {
    fn new(key: &'a AuditKey, anchors: BTreeMap<i64, &'a str>) -> Self {
        Self { key, anchors, previous: FIRST.to_vec(), last: 0, at_head: None, first: 1, pruned_to: 1 }
    }

    async fn chain(&mut self, store: &Store, chain: &str, end: i64, read: &mut u64) -> Result<Found> {
        loop {
            let page = store.audit_entries(chain, self.last, PAGE).await?;
            if page.is_empty() {
                return Ok(None);
            }
            for entry in page {
                *read += 1;
                if self.last == 0 && entry.sequence > 1 {
                    // Pruned, if one of the entries to come says so.
                    self.first = entry.sequence;
                    (self.last, self.previous) = (entry.sequence - 1, entry.previous.clone());
                }
                if let Some(problem) = self.problem(&entry) {
                    return Ok(Some((self.last + 1, problem)));
                }
                self.pruned_to = self.pruned_to.max(kept_from(&entry).unwrap_or(1));
                if entry.sequence == end {
                    self.at_head = Some(entry.hash.clone());
                }
                (self.last, self.previous) = (entry.sequence, entry.hash);
            }
        }
    }

    fn problem(&self, entry: &AuditEntry) -> Option<&'static str> {
        if entry.sequence != self.last + 1 {
            return Some("is missing");
        }
        if entry.previous != self.previous {
            return Some("does not follow the entry before it");
        }
        if !self.key.confirms(entry) {
            return Some("was altered, or written with a key that is not in `audit.key`");
        }
        let anchor = self.anchors.get(&entry.sequence);
        anchor
            .filter(|hash| !hash.eq_ignore_ascii_case(&hex::encode(&entry.hash)))
            .map(|_| "is not the one of the anchor")
    }

    /// What is wrong with the end of a chain that is right up to there.
    fn end(&self, head: Option<&AuditHead>) -> Found {
        if self.first > self.pruned_to {
            return Some((1, "is missing"));
        }
        if let Some((sequence, _)) = self.anchors.range(self.last + 1..).next() {
            return Some((*sequence, "is missing, and an anchor proves that it was there"));
        }
        let Some(head) = head else {
            return (self.last > 0).then_some((self.last, "is not known to the chain's head"));
        };
        if head.sequence > self.last {
            return Some((self.last + 1, "is missing, and the chain's head proves that it was there"));
        }
        let confirmed = head.sequence == 0 || self.at_head.as_ref() == Some(&head.hash);
        (!confirmed).then_some((head.sequence, "is not the one that the chain's head knows"))
    }
}

/// The first entry that was kept, of an entry that records a pruning.
fn kept_from(entry: &AuditEntry) -> Option<i64> {
    if entry.action != Action::Prune.as_str() {
        return None;
    }
    let details: serde_json::Value = serde_json::from_str(&entry.details).ok()?;
    details["kept_from"].as_str()?.parse().ok()
}
