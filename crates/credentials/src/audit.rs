//! The audit log: who got, changed or was denied what, in one chain per organization.
//!
//! Each entry's HMAC covers the entry and the one before it, so that nobody without the key can alter, insert or drop
//! one unnoticed; the ends of the chains can be kept elsewhere (`tidemark audit head`), so that even the owner of the
//! key cannot shorten one. An effect on the database has its entry in its own transaction; the release of a secret waits
//! until its entry is committed, together with those of others. What cannot be written down does not happen.

mod chain;
mod check;
#[cfg(test)]
mod tests;
mod writer;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound as _, Utc};
use tidemark_domain::{Clock, id::OrganizationId};
use tidemark_rpc::request_id;
use tidemark_store::{Store, Tx};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

pub use chain::{AuditKey, InvalidAuditKey};
pub use check::{Anchor, Broken, Checked, anchors, verify};

/// The chain of what belongs to no organization.
pub const PLATFORM: &str = "platform";
/// Entries that wait for the writer; whoever comes then waits for a place.
const WAITING: usize = 4_096;

/// A process has 25 s to stop, of which open calls may take 20.
const DRAIN: Duration = Duration::from_secs(3);

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A secret was given to a caller.
    Release,
    /// A token was renewed at the vendor.
    Refresh,
    /// A caller was refused.
    Deny,
    /// A connection was made.
    Connect,
    /// A connection got another credential.
    Reconnect,
    /// A connection was ended.
    Disconnect,
    /// A service token was made.
    CreateToken,
    /// A service token was taken back.
    RevokeToken,
    /// Secrets were sealed again with another key.
    RotateKeys,
}

impl Action {
    /// As it is written down.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "secret.release",
            Self::Refresh => "secret.refresh",
            Self::Deny => "call.deny",
            Self::Connect => "connection.connect",
            Self::Reconnect => "connection.reconnect",
            Self::Disconnect => "connection.disconnect",
            Self::CreateToken => "token.create",
            Self::RevokeToken => "token.revoke",
            Self::RotateKeys => "keys.rotate",
        }
    }
}

/// What is to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    chain: String,
    actor: String,
    action: Action,
    subject: String,
    outcome: String,
    details: BTreeMap<&'static str, String>,
}

impl Entry {
    /// Who did what to what, with success; in the organization's chain, or the platform's.
    pub fn new(
        organization: Option<&OrganizationId>,
        actor: &str,
        action: Action,
        subject: impl fmt::Display,
    ) -> Self {
        let details = request_id().map(|id| ("request", id));
        Self {
            chain: organization.map_or(PLATFORM, OrganizationId::as_str).to_owned(),
            actor: actor.to_owned(),
            action,
            subject: subject.to_string(),
            outcome: "ok".to_owned(),
            details: details.into_iter().collect(),
        }
    }

    /// How it ended, where not well.
    #[must_use]
    pub fn outcome(mut self, outcome: impl Into<String>) -> Self {
        self.outcome = outcome.into();
        self
    }

    /// Something else worth knowing. Never a secret.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.details.insert(key, value.to_string());
        self
    }
}

/// An entry with its time.
#[derive(Debug, Clone)]
struct Timed {
    entry: Entry,
    at: DateTime<Utc>,
}

/// An entry on its way, and who waits for it.
struct Waiting {
    timed: Timed,
    /// Nobody, where the entry is only noted.
    told: Option<oneshot::Sender<Result<(), Unwritten>>>,
}

/// The entry was not written: what it is about must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written just now, so that nothing that belongs in it is done")]
pub struct Unwritten;

/// The way into the audit log. Clones lead to the same writer.
#[derive(Clone)]
pub struct Audit {
    key: Arc<AuditKey>,
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Waiting>,
}

/// The writer of an audit log; ends when the last way into it is gone.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

impl Writer {
    /// Waits, for a bounded time, until everything that was noted is written. Drop every [`Audit`] before.
    pub async fn drained(self) {
        match tokio::time::timeout(DRAIN, self.0).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("the writer of the audit log crashed"),
            Err(_) => tracing::error!("denials may be missing in the audit log: it was not closed in time"),
        }
    }
}

impl Audit {
    /// Starts the writer.
    pub fn start(store: Store, key: AuditKey, clock: Arc<dyn Clock>) -> (Self, Writer) {
        let (queue, waiting) = mpsc::channel(WAITING);
        let key = Arc::new(key);
        let writer = tokio::spawn(writer::run(store, Arc::clone(&key), waiting));
        (Self { key, clock, queue }, Writer(writer))
    }

    /// Writes an entry within the transaction of its effect. As the last step before the commit: it locks the
    /// organization's chain.
    pub async fn append(&self, tx: &Tx, entry: Entry) -> tidemark_store::Result<()> {
        let timed = self.timed(entry);
        chain::append(tx, &self.key, std::slice::from_ref(&timed)).await
    }

    /// Writes an entry and waits until it is committed, together with those of others.
    pub async fn record(&self, entry: Entry) -> Result<(), Unwritten> {
        let (told, written) = oneshot::channel();
        let waiting = Waiting { timed: self.timed(entry), told: Some(told) };
        self.queue.send(waiting).await.map_err(|_| Unwritten)?;
        written.await.map_err(|_| Unwritten)?
    }

    /// Has an entry written soon. For what needs no permission to have happened: a denial.
    pub fn note(&self, entry: Entry) {
        let waiting = Waiting { timed: self.timed(entry), told: None };
        if let Err(error) = self.queue.try_send(waiting) {
            tracing::error!(%error, "an entry of the audit log was lost");
        }
    }

    fn timed(&self, entry: Entry) -> Timed {
        // As precise as every database keeps it.
        Timed { entry, at: self.clock.now().trunc_subsecs(6) }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("key", &self.key).finish_non_exhaustive()
    }
}
