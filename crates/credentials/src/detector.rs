//! Finds out by itself what nobody reports: connections that nobody uses are tried, grants are renewed before they end,
//! warnings are given, abandoned consents forgotten, and the facts of disconnected workspaces deleted.
//!
//! Any number of replicas run it. What is due is claimed from the database, so that one of them does it; whoever dies
//! with a claim loses it after a while.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::{StreamExt, stream};
use tidemark_domain::{
    connection::{CredentialKind, Signal},
    event::{Data, Expiring},
    expiry,
    id::ConnectionId,
};
use tidemark_runtime::Shutdown;
use tidemark_store::{self as store, Connection, SealedCredential};

use crate::{
    CredentialService,
    holding::Holding,
    moves::Telling,
    probe::Acceptance,
    refresh::{Patience, Unrefreshed},
    refusal::Fault,
    service::Parts,
};

const BATCH: u64 = 64;
const AT_ONCE: usize = 8;
const IDLE: Duration = Duration::from_secs(1);
const AFTER_A_FAULT: Duration = Duration::from_secs(5);
const CLAIM: Duration = Duration::from_secs(300);
/// How often everything is asked for, and not only whether the credential is accepted.
const BETWEEN_MATRICES: TimeDelta = TimeDelta::hours(24);
const ABANDONED: TimeDelta = TimeDelta::hours(1);
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
    /// Runs until the shutdown.
    pub async fn run(&self, shutdown: Shutdown) {
        loop {
            let pause = match self.round(&shutdown).await {
                Ok(round) if round == Round::default() => IDLE,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    let error: &(dyn StdError + 'static) = &error;
                    tracing::warn!(error, "what is due could not be read, trying again");
                    AFTER_A_FAULT
                }
            };
            if !shutdown.pause(pause).await {
                return;
            }
        }
    }

    /// One round: a batch of whatever is due.
    pub async fn detect(&self) -> store::Result<Round> {
        self.round(&Shutdown::new()).await
    }

    /// What a stop leaves undone comes again when its claim has run out.
    async fn round(&self, shutdown: &Shutdown) -> store::Result<Round> {
        let parts = &self.0;
        let goes_on = || !shutdown.soft().is_cancelled();
        let now = parts.clock.now();
        let renewals = parts.store.claim_refreshes(now, BATCH, CLAIM).await?;
        let probes = parts.store.claim_probes(now, BATCH, CLAIM).await?;
        let mut round = Round { probes: probes.len(), renewals: renewals.len(), purged: 0 };
        let renewing = stream::iter(renewals).for_each_concurrent(AT_ONCE, |(id, generation)| async move {
            if goes_on() {
                parts.told(&id, parts.renew(&id, generation).await);
            }
        });
        renewing.await;
        let probing = stream::iter(probes).for_each_concurrent(AT_ONCE, |id| async move {
            if goes_on() {
                parts.told(&id, parts.visit(&id).await);
            }
        });
        probing.await;
        for id in parts.store.purges(BATCH).await? {
            round.purged += parts.store.purge_facts(&id, FACTS_AT_ONCE).await?;
        }
        parts.store.delete_abandoned(now - ABANDONED).await?;
        Ok(round)
    }
}

impl Parts {
    /// A fault of one connection is told and keeps nothing else from being done: its claim runs out.
    fn told(&self, connection: &ConnectionId, outcome: Result<(), Fault>) {
        if let Err(fault) = outcome {
            let _status = fault.into_status("detector");
            tracing::debug!(%connection, "the detector comes back to it when the claim has run out");
        }
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
