//! Hashes entries and hangs them on their chains.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::Sha256;
use tidemark_store::{AuditEntry, AuditHead, Error, Result, Tx};
use zeroize::Zeroizing;

use super::{Entry, Timed, repeats};

/// Changes when the way of hashing changes.
const SCHEMA: &str = "tidemark.audit.v1";
const SHORTEST_KEY: usize = 32;
/// Stands in front of a chain's first entry.
pub(super) const FIRST: [u8; 32] = [0; 32];

/// The keys of the audit log: the first hashes, each is tried when a chain is checked.
pub struct AuditKey(Vec<SecretBox<Vec<u8>>>);

/// The setting is no key. Says what is wrong, never what was there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`audit.key` {0}; expected base64 of at least 32 bytes: make one with `head -c 32 /dev/urandom | base64`, keep it \
     apart from the database, and put a new one in front of the old one, with a comma between, to change it"
)]
pub struct InvalidAuditKey(&'static str);

impl AuditKey {
    /// Reads the setting.
    pub fn parse(setting: &SecretString) -> std::result::Result<Self, InvalidAuditKey> {
        let mut keys = Vec::new();
        for text in setting.expose_secret().split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| InvalidAuditKey("is not base64"))?);
            if bytes.len() < SHORTEST_KEY {
                return Err(InvalidAuditKey("is too short"));
            }
            keys.push(SecretBox::new(Box::new(bytes.to_vec())));
        }
        if keys.is_empty() { Err(InvalidAuditKey("is not set")) } else { Ok(Self(keys)) }
    }

    fn hash(&self, entry: &AuditEntry) -> Vec<u8> {
        keyed(&self.0[0], entry).finalize().into_bytes().to_vec()
    }

    /// Whether the entry is as it was written by one of the keys.
    pub(super) fn confirms(&self, entry: &AuditEntry) -> bool {
        self.0.iter().any(|key| keyed(key, entry).verify_slice(&entry.hash).is_ok())
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({} keys)", self.0.len())
    }
}

/// Over everything of an entry but its own hash. Lengths stand in front, so that no two entries read the same.
fn keyed(key: &SecretBox<Vec<u8>>, entry: &AuditEntry) -> Hmac<Sha256> {
    let mut hmac =
        <Hmac<Sha256>>::new_from_slice(key.expose_secret()).expect("HMAC takes a key of any length");
    let (sequence, at) = (entry.sequence.to_be_bytes(), entry.at.timestamp_micros().to_be_bytes());
    let parts: [&[u8]; 10] = [
        SCHEMA.as_bytes(),
        entry.chain.as_bytes(),
        &sequence,
        &at,
        entry.actor.as_bytes(),
        entry.action.as_bytes(),
        entry.subject.as_bytes(),
        entry.outcome.as_bytes(),
        entry.details.as_bytes(),
        &entry.previous,
    ];
    for part in parts {
        hmac.update(&(part.len() as u64).to_be_bytes());
        hmac.update(part);
    }
    hmac
}

fn next(head: &AuditHead) -> Result<i64> {
    let next = head.sequence.checked_add(1);
    next.ok_or_else(|| Error::Corrupt { what: "the head of an audit chain".to_owned() })
}

/// Hangs entries on their chains, in their order.
pub(super) async fn append(
    tx: &Tx,
    key: &AuditKey,
    entries: impl Iterator<Item = &Timed> + Clone + Send,
) -> Result<()> {
    let names: BTreeSet<&str> = entries.clone().map(|timed| timed.entry.chain.as_str()).collect();
    let heads = tx.lock_audit_heads(&names, &FIRST).await?;
    let mut heads: BTreeMap<String, AuditHead> =
        heads.into_iter().map(|head| (head.chain.clone(), head)).collect();
    let mut chained = Vec::new();
    for timed in entries {
        let entry = &timed.entry;
        let head = heads.get_mut(&entry.chain).expect("the head of every chain was locked");
        let Entry { chain, actor, action, subject, outcome, .. } = entry;
        let mut entry = AuditEntry {
            chain: chain.clone(),
            sequence: next(head)?,
            at: timed.at(),
            actor: actor.clone(),
            action: action.as_str().to_owned(),
            subject: subject.clone(),
            outcome: outcome.clone().into_owned(),
            details: repeats::details(timed),
            previous: std::mem::take(&mut head.hash),
            hash: Vec::new(),
        };
        entry.hash = key.hash(&entry);
        head.sequence = entry.sequence;
        head.hash.clone_from(&entry.hash);
        chained.push(entry);
    }
    let heads: Vec<_> = heads.into_values().collect();
    tx.append_audit(&chained, &heads).await
}
