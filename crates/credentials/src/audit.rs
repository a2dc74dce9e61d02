//! The audit log: who got, changed or was denied what, in one chain per organization.
//!
//! Each entry's HMAC covers the entry and the one before it, so that nobody without the key can alter, insert or drop
//! one unnoticed; the ends of the chains can be kept elsewhere (`tidemark audit head`), so that even the owner of the
//! key cannot shorten one. Old entries may be pruned before such an end ([`prune`]): the chain itself records it.
//!
//! An effect on the database has its entry in its own transaction ([`Audit::append`]). A release has no transaction: it
//! is answered when the writer has taken its entry over ([`Audit::entrust`]), some tens of milliseconds before the entry
//! is committed, together with others; the same secret given to the same caller again within them is one entry that
//! counts. The trade: a process that is killed, or a machine that loses its power, takes the entries of these
//! milliseconds with it; in return a release does not wait for a commit, which costs more than all the rest of it. An
//! orderly stop writes everything. As soon as a write fails, or takes longer than 1 s, nothing more is released until
//! everything that was taken over is written: what cannot be written down does not happen. Where it is one chain that cannot
//! be written, that is so for its organization alone.

mod chain;
mod check;
mod prune;
mod repeats;
#[cfg(test)]
mod tests;
mod writer;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound as _, Utc};
use tidemark_domain::{Clock, id::OrganizationId};
use tidemark_rpc::request_id;
use tidemark_store::{Store, Tx};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use writer::{Health, Task};

pub use chain::{AuditKey, InvalidAuditKey};
pub use check::{Anchor, Broken, Checked, anchors, verify};
pub use prune::{NotPruned, Pruned, prune};

/// The chain of what belongs to no organization.
pub const PLATFORM: &str = "platform";
/// Entries that wait for the writer; whoever comes then waits for a place.
const WAITING: usize = 4_096;

/// A process has 25 s to stop, of which open calls may take 20.
const DRAIN: Duration = Duration::from_secs(3);

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A secret was given to a caller.
    Release,
    /// A token was renewed at the vendor.
    Refresh,
    /// The vendor refuses a credential for good.
    Reject,
    /// A caller was refused.
    Deny,
    /// A connection was made.
    Connect,
    /// A connection got another credential.
    Reconnect,
    /// A connection was ended.
    Disconnect,
    /// A signing secret of a webhook endpoint was made.
    CreateWebhookSecret,
    /// An endpoint was deleted with its signing secrets.
    DeleteWebhook,
    /// A link was made: an invitation, one sent again, the platform's, or one into the console.
    CreateLink,
    /// Such a link was opened by whoever holds it, and is used up.
    RedeemLink,
    /// Such a link was taken back.
    RevokeLink,
    /// A service token was made.
    CreateToken,
    /// A service token was taken back.
    RevokeToken,
    /// Secrets were sealed again with another key.
    RotateKeys,
    /// Entries of this chain that were old were deleted, up to one that is kept.
    Prune,
}

impl Action {
    /// As it is written down.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "secret.release",
            Self::Refresh => "secret.refresh",
            Self::Reject => "secret.reject",
            Self::Deny => "call.deny",
            Self::Connect => "connection.connect",
            Self::Reconnect => "connection.reconnect",
            Self::Disconnect => "connection.disconnect",
            Self::CreateWebhookSecret => "webhook_secret.create",
            Self::DeleteWebhook => "webhook.delete",
            Self::CreateLink => "link.create",
            Self::RedeemLink => "link.redeem",
            Self::RevokeLink => "link.revoke",
            Self::CreateToken => "token.create",
            Self::RevokeToken => "token.revoke",
            Self::RotateKeys => "keys.rotate",
            Self::Prune => "audit.prune",
        }
    }
}

/// What is to be written down.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    chain: String,
    actor: String,
    action: Action,
    subject: String,
    outcome: Cow<'static, str>,
    details: Vec<(&'static str, String)>,
}

impl Entry {
    /// Who did what to what, with success; in the organization's chain, or the platform's.
    pub fn new(
        organization: Option<&OrganizationId>,
        actor: &str,
        action: Action,
        subject: impl fmt::Display,
    ) -> Self {
        Self {
            chain: organization.map_or(PLATFORM, OrganizationId::as_str).to_owned(),
            actor: actor.to_owned(),
            action,
            subject: subject.to_string(),
            outcome: Cow::Borrowed("ok"),
            details: Vec::new(),
        }
    }

    /// How it ended, where not well.
    #[must_use]
    pub fn outcome(mut self, outcome: impl Into<Cow<'static, str>>) -> Self {
        self.outcome = outcome.into();
        self
    }

    /// Something else worth knowing. Never a secret.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.details.push((key, value.to_string()));
        self
    }
}

/// An entry with its time, or times.
#[derive(Debug, Clone)]
struct Timed {
    entry: Entry,
    /// One, or as often as the same was done within a moment. Never none.
    times: Vec<Moment>,
}

impl Timed {
    /// When it was done first.
    fn at(&self) -> DateTime<Utc> {
        self.times[0].at
    }
}

/// When something was done, and in which call.
#[derive(Debug, Clone)]
struct Moment {
    at: DateTime<Utc>,
    request: Option<String>,
}

/// An entry on its way, and who waits for it.
struct Waiting {
    timed: Timed,
    told: Told,
}

/// Who waits for an entry.
enum Told {
    /// Somebody, until it is committed or refused.
    Waits(oneshot::Sender<Result<(), Unwritten>>),
    /// Nobody any more, for the writer has answered for it.
    Later,
    /// Nobody ever did.
    Never,
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
    health: Arc<Health>,
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
        let health = Arc::new(Health::default());
        let task = Task { store, key: Arc::clone(&key), health: Arc::clone(&health) };
        let writer = tokio::spawn(task.run(waiting));
        (Self { key, clock, queue, health }, Writer(writer))
    }

    /// Writes an entry within the transaction of its effect. As the last step before the commit: it locks the
    /// organization's chain.
    pub async fn append(&self, tx: &Tx, entry: Entry) -> tidemark_store::Result<()> {
        let timed = self.timed(entry);
        chain::append(tx, &self.key, std::iter::once(&timed)).await
    }

    /// Has the writer take an entry over. Refused while the writer does not keep up: then what the entry is about must
    /// not happen.
    pub async fn entrust(&self, entry: Entry) -> Result<(), Unwritten> {
        if !self.health.is_good(&entry.chain) {
            return Err(Unwritten);
        }
        let waiting = Waiting { timed: self.timed(entry), told: Told::Later };
        self.queue.send(waiting).await.map_err(|_| Unwritten)
    }

    /// Writes an entry and waits until it is committed, together with those of others.
    pub async fn record(&self, entry: Entry) -> Result<(), Unwritten> {
        let (told, written) = oneshot::channel();
        let waiting = Waiting { timed: self.timed(entry), told: Told::Waits(told) };
        self.queue.send(waiting).await.map_err(|_| Unwritten)?;
        written.await.map_err(|_| Unwritten)?
    }

    /// Has an entry written soon. For what needs no permission to have happened: a denial.
    pub fn note(&self, entry: Entry) {
        let waiting = Waiting { timed: self.timed(entry), told: Told::Never };
        if let Err(error) = self.queue.try_send(waiting) {
            tracing::error!(%error, "an entry of the audit log was lost");
        }
    }

    fn timed(&self, entry: Entry) -> Timed {
        // As precise as every database keeps it.
        let at = self.clock.now().trunc_subsecs(6);
        Timed { entry, times: vec![Moment { at, request: request_id() }] }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("key", &self.key).finish_non_exhaustive()
    }
}
