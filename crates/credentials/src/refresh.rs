//! Renews a grant, and never loses what comes of it. Refresh tokens rotate: each is sent by one process at a time.
//!
//! In this process callers of one connection wait for each other. Between processes a lease keeps the others from asking,
//! and where no lease can be had, the database alone decides: who writes the beginning of the refresh owns it, and that
//! write proves, before the token is spent, that its successor can be written, too. No transaction is open meanwhile.
//!
//! A beginning without an end means that the token may be spent: it is tried once more, since the vendor takes it again
//! for an hour, and only the vendor's `invalid_grant` ends the grant. Trouble of any other kind never does.
//!
//! A renewal runs in a task of its own, which an orderly stop waits for. Two renewals of a grant lie at least a minute
//! apart, by the time at which its present version was written: whatever life the vendor gives it, and however many
//! processes are asked for it.

mod flight;
mod outcome;
mod request;

pub(crate) use flight::Flights;
pub use flight::Renewals;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::{connection::Reason, expiry};
use tidemark_ports::Lease;
use tidemark_rpc as rpc;
use tidemark_store::{Connection, SealedCredential};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{refusal::Fault, service::Parts};

const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Longer than a refresh with its second try.
const LEASE: Duration = Duration::from_secs(30);

/// How long a caller waits for a renewal, which goes on without it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// While somebody else is at it.
    another: Duration,
    /// In all.
    answer: Duration,
}

impl Patience {
    /// Of a caller that could do without.
    pub(crate) const SHORT: Self = Self { another: Duration::from_secs(1), answer: Duration::from_secs(1) };
    /// Of a caller with a deadline of 20 s.
    pub(crate) const LONG: Self = Self { another: Duration::from_secs(15), answer: Duration::from_secs(18) };
    /// Of the detector, which leaves to others what others are at.
    pub(crate) const DETECTOR: Self =
        Self { another: Duration::from_secs(1), answer: Duration::from_secs(18) };
}

/// Why there is no renewed version.
#[derive(Debug)]
pub(crate) enum Unrefreshed {
    /// The grant has ended; a person has been asked for.
    Ended(Reason),
    /// Not now; come again after this.
    Later(Duration),
    /// The credential or its connection is gone.
    Gone,
    /// Something here failed.
    Fault(Fault),
}

impl Unrefreshed {
    fn in_a_second() -> Self {
        Self::Later(Duration::from_secs(1))
    }
}

impl<E: Into<Fault>> From<E> for Unrefreshed {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// What is to be done about a version just now.
enum Next {
    /// Somebody renewed it.
    Renewed(SealedCredential),
    /// Somebody is at it.
    Wait,
    /// Nobody is: it can be begun.
    Begin(SealedCredential),
}

impl Parts {
    /// The version after `seen`: renewed here, or by somebody else.
    pub(crate) async fn renewed(
        self: &Arc<Self>,
        connection: &Connection,
        seen: &SealedCredential,
        patience: Patience,
    ) -> Result<SealedCredential, Unrefreshed> {
        let (parts, connection, seen) = (Arc::clone(self), connection.clone(), seen.clone());
        let renewal = async move { parts.renewed_here(&connection, &seen, patience.another).await };
        let renewal = rpc::spawned(self.renewals.tracked(renewal));
        match timeout(patience.answer, renewal).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(Unrefreshed::in_a_second()),
        }
    }

    async fn renewed_here(
        &self,
        connection: &Connection,
        seen: &SealedCredential,
        patience: Duration,
    ) -> Result<SealedCredential, Unrefreshed> {
        let until = Instant::now() + patience;
        let flight = self.flights.of(&connection.id);
        let Ok(_flying) = timeout_at(until, flight.lock()).await else {
            return Err(Unrefreshed::in_a_second());
        };
        loop {
            if let Next::Renewed(version) = self.next(seen).await? {
                return Ok(version);
            }
            if let Some(outcome) = self.leased(connection, seen).await? {
                return Ok(outcome);
            }
            if Instant::now() >= until {
                return Err(Unrefreshed::in_a_second());
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Tries it under the lease; nothing where somebody else has it.
    async fn leased(
        &self,
        connection: &Connection,
        seen: &SealedCredential,
    ) -> Result<Option<SealedCredential>, Unrefreshed> {
        let key = format!("refresh:{}:{}", connection.id, seen.kind.as_str());
        let lease = match self.leases.acquire(&key, LEASE).await {
            Ok(Some(lease)) => Some(lease),
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::debug!(connection = %connection.id, %error, "no lease for a refresh, the database decides alone");
                None
            }
        };
        let outcome = self.begun_and_spent(connection, seen).await;
        self.release(lease).await;
        outcome
    }

    pub(crate) async fn release(&self, lease: Option<Lease>) {
        let Some(lease) = lease else { return };
        if let Err(error) = self.leases.release(&lease).await {
            tracing::debug!(key = lease.key, %error, "lease not released, it will run out");
        }
    }

    async fn begun_and_spent(
        &self,
        connection: &Connection,
        seen: &SealedCredential,
    ) -> Result<Option<SealedCredential>, Unrefreshed> {
        // Read again under the lease: until now it was another's to change.
        let version = match self.next(seen).await? {
            Next::Renewed(version) => return Ok(Some(version)),
            Next::Wait => return Ok(None),
            Next::Begin(version) => version,
        };
        // Before it is begun, everything that can be wrong here: a secret whose key another process has, a configuration
        // that names no server. A beginning that nothing can follow would look like a token that may be spent.
        let secret = self.open(connection, &version)?;
        let request = self.request(connection, &version, &secret)?;
        if !self.store.begin_refresh(&version, self.clock.now()).await? {
            return Ok(None);
        }
        let is_in_doubt = version.in_doubt || version.refresh_started_at.is_some();
        let begun = SealedCredential {
            refresh_attempt: version.refresh_attempt + 1,
            in_doubt: is_in_doubt,
            ..version
        };
        if is_in_doubt {
            let connection = &connection.id;
            tracing::warn!(%connection, "a refresh is in doubt, its token is tried once more");
        }
        self.spend(connection, begun, secret, request).await.map(Some)
    }

    async fn next(&self, seen: &SealedCredential) -> Result<Next, Unrefreshed> {
        let holding = self.holding(&seen.connection_id).await?;
        let Some(version) = holding.present(seen.kind) else { return Err(Unrefreshed::Gone) };
        if let Some(reason) = version.rejected {
            return Err(Unrefreshed::Ended(reason));
        }
        if version.generation > seen.generation {
            return Ok(Next::Renewed(version.clone()));
        }
        let now = self.clock.now();
        let cooldown = version.cooldown_until.and_then(|until| expiry::cooldown_left(now, until));
        let floor = expiry::not_yet_renewable(now, version.created_at, version.life());
        if let Some(left) = cooldown.max(floor) {
            return Err(Unrefreshed::Later(left));
        }
        Ok(if is_under_way(version, now) { Next::Wait } else { Next::Begin(version.clone()) })
    }
}

/// Whether somebody may still be at it. Whoever died with it is waited for as long as two clocks can differ.
fn is_under_way(version: &SealedCredential, now: DateTime<Utc>) -> bool {
    let longest = expiry::GUARD + TimeDelta::from_std(LEASE).unwrap_or_default();
    version.refresh_started_at.is_some_and(|at| now.signed_duration_since(at).abs() < longest)
}
