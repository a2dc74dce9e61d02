//! Finds out what nobody reports: connections that nobody uses are tried, grants are renewed before they end, warnings are
//! given, abandoned consents forgotten, and the facts of disconnected workspaces deleted.
//!
//! Any number of replicas run it. What is due is claimed from the database, so that one of them does it; a replica that
//! dies with a claim loses it after a while, and what fails or panics waits as long and keeps nothing else from its turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use futures::{StreamExt, stream};
use tidemark_domain::{
    connection::{CredentialKind, Signal},
    event::{Data, Expiring},
    expiry,
    id::ConnectionId,
};
use tidemark_runtime::{Shutdown, tasks::rounds};
use tidemark_store::{self as store, Connection, SealedCredential};

use crate::{
    CredentialService,
    holding::Holding,
    moves::Telling,
    probe::Acceptance,
    refresh::{Patience, Unrefreshed},
    refusal::{Fault, item},
    service::Parts,
};

const BATCH: u64 = 64;
const AT_ONCE: usize = 16;
const IDLE: Duration = Duration::from_secs(1);
const CLAIM: Duration = Duration::from_secs(300);
/// How often everything is asked for, and not only whether the credential is accepted.
const BETWEEN_MATRICES: TimeDelta = TimeDelta::hours(24);
const ABANDONED: TimeDelta = TimeDelta::hours(1);
const BETWEEN_TIDINGS: Duration = Duration::from_secs(60);
const FACTS_AT_ONCE: u32 = 5_000;

/// What one round found to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Connections that were tried.
    pub probes: usize,
    /// Credentials that were due for a renewal.
    pub renewals: usize,
    /// Facts that were deleted.
    pub purged: u64,
}

impl CredentialService {
    /// Runs until the shutdown. Each kind of work goes its own way: none waits for another.
    pub async fn run(&self, shutdown: Shutdown) {
        let (parts, stop) = (&self.0, &shutdown);
        tokio::join!(
            rounds("renewals", stop, || async { parts.renew_due(stop).await.map(until_next) }),
            rounds("probes", stop, || async { parts.probe_due(stop).await.map(until_next) }),
            rounds("purges", stop, || async {
                parts.purge_due(stop).await.map(|purged| if purged == 0 { IDLE } else { Duration::ZERO })
            }),
            rounds("consents", stop, || async {
                let deleted = parts.store.delete_abandoned(parts.clock.now() - ABANDONED).await;
                deleted.map(|_| BETWEEN_TIDINGS)
            }),
        );
    }

    /// One round: a batch of whatever is due.
    pub async fn detect(&self) -> store::Result<Round> {
        let (parts, stop) = (&self.0, Shutdown::new());
        let renewals = parts.renew_due(&stop).await;
        let probes = parts.probe_due(&stop).await;
        let purged = parts.purge_due(&stop).await;
        parts.store.delete_abandoned(parts.clock.now() - ABANDONED).await?;
        Ok(Round { probes: probes?, renewals: renewals?, purged: purged? })
    }
}

/// Where a whole batch was due, there is more.
fn until_next(due: usize) -> Duration {
    if due as u64 == BATCH { Duration::ZERO } else { IDLE }
}

/// What a stop leaves undone comes again when its claim has run out.
impl Parts {
    async fn renew_due(self: &Arc<Self>, shutdown: &Shutdown) -> store::Result<usize> {
        let due = self.store.claim_refreshes(self.clock.now(), BATCH, CLAIM).await?;
        let number = due.len();
        let renewing = stream::iter(due).for_each_concurrent(AT_ONCE, |(id, generation)| async move {
            if !shutdown.soft().is_cancelled() {
                item("renewals", &id, self.renew(&id, generation)).await;
            }
        });
        renewing.await;
        Ok(number)
    }

    async fn probe_due(self: &Arc<Self>, shutdown: &Shutdown) -> store::Result<usize> {
        let due = self.store.claim_probes(self.clock.now(), BATCH, CLAIM).await?;
        let number = due.len();
        let probing = stream::iter(due).for_each_concurrent(AT_ONCE, |id| async move {
            if !shutdown.soft().is_cancelled() {
                item("probes", &id, self.visit(&id)).await;
            }
        });
        probing.await;
        Ok(number)
    }

    /// A batch of each workspace at a time, so that a large one keeps no other waiting.
    async fn purge_due(&self, shutdown: &Shutdown) -> store::Result<u64> {
        let purged = AtomicU64::new(0);
        for id in self.store.claim_purges(self.clock.now(), BATCH, CLAIM).await? {
            if shutdown.soft().is_cancelled() {
                break;
            }
            let purge = async {
                purged.fetch_add(self.store.purge_facts(&id, FACTS_AT_ONCE).await?, Ordering::Relaxed);
                // The claim is given back: there may be more of it.
                Ok(self.store.schedule_probe(&id, self.clock.now(), None).await?)
            };
            item("purges", &id, purge).await;
        }
        Ok(purged.into_inner())
    }

    async fn renew(self: &Arc<Self>, id: &ConnectionId, generation: i64) -> Result<(), Fault> {
        let holding = self.holding(id).await?;
        // A caller may have renewed it since it was due.
        let Some(version) = holding.of_generation(generation) else { return Ok(()) };
        match self.renewed(&holding.connection, version, Patience::DETECTOR).await {
            Ok(_) | Err(Unrefreshed::Ended(_) | Unrefreshed::Gone) => {}
            Err(Unrefreshed::Later(_)) => self.warn(&holding).await?,
            Err(Unrefreshed::Fault(fault)) => return Err(fault),
        }
        Ok(())
    }

    /// Tries a connection: once a day everything it can read, else whether its credentials are accepted.
    async fn visit(self: &Arc<Self>, id: &ConnectionId) -> Result<(), Fault> {
        let holding = self.holding(id).await?;
        self.warn(&holding).await?;
        self.remind(&holding).await?;
        let now = self.clock.now();
        if holding.connection.probed_at.is_none_or(|at| now - at >= BETWEEN_MATRICES) {
            return self.probe(id).await;
        }
        for version in holding.accepted().cloned().collect::<Vec<_>>() {
            let version = match self.usable(&holding.connection, &version).await {
                Ok((version, _)) => version,
                Err(Fault::Refused(_)) => continue,
                Err(fault) => return Err(fault),
            };
            if self.acceptance(&holding.connection, &version).await? == Acceptance::Rejected {
                self.judge(id, version.generation).await?;
            }
        }
        let next = expiry::next_probe(now, self.settings.probe_interval, self.share());
        Ok(self.store.schedule_probe(id, next, None).await?)
    }

    /// Warns of a known end, or takes a warning back.
    async fn warn(&self, holding: &Holding) -> Result<(), Fault> {
        let old = &holding.connection;
        let ends = holding.accepted().filter_map(|version| Some((version.kind, end_of(version)?)));
        let Some(ending) = ends.min_by_key(|(_, end)| *end) else { return Ok(()) };
        let now = self.clock.now();
        let signal = match expiry::warning(now, ending.1, old.warned_days) {
            Some(days) => Signal::ExpiryNear(days),
            None if expiry::is_far(now, ending.1) => Signal::Refreshed,
            None => return Ok(()),
        };
        if old.standing().on(signal).1.is_none() {
            return Ok(());
        }
        let telling = Telling { ending: Some(ending), ..Telling::default() };
        let moved = self.moved(old.clone(), [signal], &telling);
        let tx = self.store.begin().await?;
        // Somebody who was faster wrote something newer; the next round looks again.
        if moved.write(&tx, old).await? {
            tx.commit().await?;
            self.done(&moved);
        }
        Ok(())
    }

    /// Reminds of keys that have grown old. Nothing about the connection changes.
    async fn remind(&self, holding: &Holding) -> Result<(), Fault> {
        let now = self.clock.now();
        let Connection { id, organization_id, workspace, .. } = &holding.connection;
        let Some(version) = holding.present(CredentialKind::ApiKey) else { return Ok(()) };
        let is_due = expiry::is_reminder_due(now, version.created_at, version.reminded_at);
        if version.rejected.is_some() || !is_due {
            return Ok(());
        }
        let organization_id = organization_id.clone();
        let (credential, expires_at, days) = (version.kind, None, None);
        let data = Data::Expiring(Expiring { organization_id, credential, expires_at, days });
        let tx = self.store.begin().await?;
        if tx.remind(version, now).await? {
            tx.emit(&self.event(&holding.connection, data)).await?;
            tx.commit().await?;
            let (age_days, workspace) = ((now - version.created_at).num_days(), workspace.as_deref());
            tracing::info!(connection = %id, workspace, age_days, "an API key is old, it should be changed");
        }
        Ok(())
    }
}

/// When a credential ends unless a person acts: one that renews itself ends with its refresh token.
fn end_of(version: &SealedCredential) -> Option<chrono::DateTime<chrono::Utc>> {
    match version.kind {
        CredentialKind::Oauth => version
            .refresh_expires_at
            .or(version.access_expires_at.filter(|_| version.refresh_due_at.is_none())),
        CredentialKind::ApiKey | CredentialKind::Assertion => None,
    }
}
