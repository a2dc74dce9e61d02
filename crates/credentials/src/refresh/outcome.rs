//! A refresh that this process owns: the request, and what becomes of every possible answer.

use std::{error::Error as StdError, panic::AssertUnwindSafe, time::Duration};

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use tidemark_domain::{
    connection::{Reason, Signal, State},
    expiry,
};
use tidemark_productboard::oauth::{Error, Grant};
use tidemark_rpc::credentials::Verdict;
use tidemark_runtime::metrics::credentials as metrics;
use tidemark_store::{Attempted, Connection, SealedCredential};
use tokio::time::Instant;

use super::{Unrefreshed, request::Request};
use crate::{
    audit::{Action, Entry},
    install::Life,
    moves::Telling,
    refusal::Fault,
    secret::Secret,
    service::Parts,
};

/// How long a grant that the vendor gave is held and its writing tried again. It exists nowhere else; when this is over,
/// the vendor still takes the old token again for a while.
const KEEP_FOR: Duration = Duration::from_secs(50 * 60);
/// The same for any other outcome, which the vendor can be asked for once more.
const WRITE_FOR: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Between two tries of a refresh whose token may be spent.
const LONGEST_IN_DOUBT: Duration = Duration::from_secs(300);

impl Parts {
    /// Asks the vendor and writes down what it answers.
    pub(super) async fn spend(
        &self,
        connection: &Connection,
        mut begun: SealedCredential,
        secret: Secret,
        request: Request,
    ) -> Result<SealedCredential, Unrefreshed> {
        let mut answer = request.send().await;
        if let Err(Error::InDoubt { status: None, .. }) = &answer {
            // The answer was lost: the vendor takes the same token again, and is asked at once.
            tracing::warn!(connection = %connection.id, "the answer to a refresh was lost, its token is tried once more");
            begun.in_doubt = true;
            answer = request.send().await;
        }
        match answer {
            Ok(grant) => self.keep(connection, &begun, &Secret::granted(&grant, Some(&secret)), &grant).await,
            Err(Error::InvalidGrant { .. }) => self.refused(connection, begun).await,
            Err(error) => self.failed(connection, &begun, &error).await,
        }
    }

    /// Writes the new version before anything else is done with it. It is tried until it is in: nobody else has it.
    async fn keep(
        &self,
        connection: &Connection,
        begun: &SealedCredential,
        secret: &Secret,
        grant: &Grant,
    ) -> Result<SealedCredential, Unrefreshed> {
        let id = &connection.id;
        match self.insist(KEEP_FOR, || self.kept(begun, secret, grant)).await {
            Ok(version) => {
                metrics::refreshed("renewed");
                Ok(version)
            }
            Err(Unrefreshed::Gone) => {
                // Somebody disconnected it: what was granted here has no home.
                self.revoke_quietly(connection.region, grant).await;
                Err(Unrefreshed::Gone)
            }
            Err(_) => {
                metrics::refreshed("unwritten");
                tracing::error!(connection = %id, "a renewed grant could not be written and is lost, the refresh is in doubt");
                Err(Unrefreshed::Later(expiry::cooldown(1, Duration::ZERO)))
            }
        }
    }

    /// Tries something again until it is done or its time is up, whatever fails, be it by a panic: only a connection that
    /// is gone is a reason to stop.
    async fn insist<T, F>(
        &self,
        time: Duration,
        attempt: impl Fn() -> F + Send + Sync,
    ) -> Result<T, Unrefreshed>
    where
        T: Send,
        F: Future<Output = Result<T, Unrefreshed>> + Send,
    {
        let until = Instant::now() + time;
        let mut pause = FIRST_PAUSE;
        loop {
            let failed = match AssertUnwindSafe(attempt()).catch_unwind().await {
                Ok(Err(Unrefreshed::Fault(fault))) => Unrefreshed::Fault(fault),
                Ok(outcome) => return outcome,
                Err(_) => Unrefreshed::in_a_second(),
            };
            if Instant::now() >= until {
                return Err(failed);
            }
            if let Unrefreshed::Fault(Fault::Store(error)) = &failed {
                let error: &(dyn StdError + 'static) = error;
                tracing::warn!(error, "the outcome of a renewal could not be written, trying again");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One write.
    async fn kept(
        &self,
        begun: &SealedCredential,
        secret: &Secret,
        grant: &Grant,
    ) -> Result<SealedCredential, Unrefreshed> {
        let holding = self.holding(&begun.connection_id).await?;
        let old = &holding.connection;
        let present = holding.present(begun.kind);
        let is_ours = present.is_some_and(|version| version.generation == begun.generation);
        if old.state == State::Disconnected {
            return Err(Unrefreshed::Gone);
        }
        if present.is_some_and(|version| version.rejected.is_some()) {
            // It was ended meanwhile, and a person was told: what was granted here must not live on unseen.
            return Err(Unrefreshed::Gone);
        }
        if !is_ours {
            // This very write, whose commit was not confirmed, or another's: a renewal of the same grant is not to be
            // revoked, that would end the other's with it.
            return present.cloned().ok_or(Unrefreshed::Gone);
        }
        let now = self.clock.now();
        let to = Connection { generation: old.generation + 1, ..old.clone() };
        let mut version = self.version(&to, begun.kind, to.generation, secret, Life::of(grant, begun.kind));
        version.capabilities = present.map(|version| version.capabilities.clone()).unwrap_or_default();
        version.refresh_expires_at = version.refresh_expires_at.or(begun.refresh_expires_at);
        let is_far = version.refresh_expires_at.is_none_or(|end| expiry::is_far(now, end));
        let signal = is_far.then_some(Signal::Refreshed);
        let moved = self.moved(to, signal, &Telling::default());
        let tx = self.store.begin().await?;
        if !moved.write(&tx, old).await? {
            // Somebody else changed the connection at the same time.
            return Err(Unrefreshed::Fault(Fault::Overtaken));
        }
        tx.insert_credential(&version).await?;
        // The one before stays, in case this one does not work; it is not due for anything any more.
        tx.delete_credentials_before(&old.id, begun.kind, begun.generation).await?;
        tx.retire_credential(&old.id, begun.generation).await?;
        let entry = Entry::new(Some(&old.organization_id), "tidemark", Action::Refresh, &old.id);
        let entry = entry.with("generation", version.generation).with("kind", begun.kind.as_str());
        self.audit.append(&tx, entry).await?;
        tx.commit().await?;
        self.done(&moved);
        let (connection, kind, generation) = (&old.id, begun.kind.as_str(), version.generation);
        tracing::debug!(%connection, kind, generation, "credential renewed");
        Ok(version)
    }

    /// `invalid_grant`: somebody else may have renewed it, or the version before may still be good. Else it is over.
    async fn refused(
        &self,
        connection: &Connection,
        begun: SealedCredential,
    ) -> Result<SealedCredential, Unrefreshed> {
        let holding = self.insist(WRITE_FOR, || async { Ok(self.holding(&connection.id).await?) }).await?;
        let now = self.clock.now();
        match holding.present(begun.kind) {
            None => return Err(Unrefreshed::Gone),
            Some(present) if present.generation > begun.generation => return Ok(present.clone()),
            Some(_) => {}
        }
        let is_young = now.signed_duration_since(begun.created_at) < expiry::GRACE;
        let previous = holding.previous(begun.kind).filter(|_| begun.proven_at.is_none() && is_young);
        let Some(previous) = previous else { return self.ended(connection, &begun, now).await };
        let prepared = self.open(connection, previous);
        let prepared = prepared.and_then(|secret| Ok((self.request(connection, previous, &secret)?, secret)));
        let (request, secret) = match prepared {
            Ok(prepared) => prepared,
            Err(fault) => {
                // Another process may have its key: nobody has said yet that it is over.
                self.written_off(&begun, begun.in_doubt, Duration::ZERO).await?;
                return Err(Unrefreshed::Fault(fault));
            }
        };
        match request.send().await {
            Ok(grant) => {
                tracing::warn!(connection = %connection.id, "a renewed grant did not work, the one before it did");
                let renewed = Secret::granted(&grant, Some(&secret));
                self.keep(connection, &begun, &renewed, &grant).await
            }
            Err(Error::InvalidGrant { .. }) => self.ended(connection, &begun, now).await,
            // Nobody has said yet that it is over.
            Err(error) => self.failed(connection, &begun, &error).await,
        }
    }

    /// The vendor's word: the grant is over.
    async fn ended(
        &self,
        connection: &Connection,
        begun: &SealedCredential,
        now: DateTime<Utc>,
    ) -> Result<SealedCredential, Unrefreshed> {
        // Without a refresh token, the access token's end is the grant's.
        let end = begun.refresh_expires_at.or(begun.access_expires_at.filter(|_| !begun.renews()));
        let reason = if end.is_some_and(|end| end.signed_duration_since(now) <= expiry::GUARD) {
            Reason::RefreshExpired
        } else if begun.in_doubt {
            Reason::RefreshInDoubt
        } else {
            Reason::ConsentWithdrawn
        };
        let rejected = || async { Ok(self.reject(&connection.id, begun.generation, reason).await?) };
        match self.insist(WRITE_FOR, rejected).await? {
            Verdict::ReconnectRequired => {
                metrics::refreshed("refused");
                Err(Unrefreshed::Ended(reason))
            }
            _ => Err(Unrefreshed::Gone),
        }
    }

    /// Trouble: nothing ends by it. The next try comes after a pause.
    async fn failed(
        &self,
        connection: &Connection,
        begun: &SealedCredential,
        error: &Error,
    ) -> Result<SealedCredential, Unrefreshed> {
        let asked = match error {
            Error::RateLimited { retry_after, .. } => *retry_after,
            _ => Duration::ZERO,
        };
        let in_doubt = begun.in_doubt || matches!(error, Error::InDoubt { .. });
        metrics::refreshed(if in_doubt { "in_doubt" } else { "failed" });
        let pause = self.written_off(begun, in_doubt, asked).await?;
        let (connection, pause_ms) = (&connection.id, pause.as_millis());
        let failures = begun.failures.saturating_add(1);
        let error: &(dyn StdError + 'static) = error;
        tracing::warn!(%connection, failures, in_doubt, pause_ms, error, "a credential could not be renewed");
        Err(Unrefreshed::Later(pause))
    }

    /// Writes the end of a refresh that gave nothing, and gives the pause before the next one. A beginning that stays
    /// without its end would be a doubt.
    async fn written_off(
        &self,
        begun: &SealedCredential,
        in_doubt: bool,
        asked: Duration,
    ) -> Result<Duration, Unrefreshed> {
        let failures = begun.failures.saturating_add(1);
        let mut pause = expiry::cooldown(failures, asked);
        if in_doubt {
            // The vendor takes the token again for an hour: whenever it is back within that, the grant lives.
            pause = pause.min(LONGEST_IN_DOUBT);
        }
        let attempted =
            Attempted { in_doubt, failures, cooldown_until: expiry::after(self.clock.now(), pause) };
        self.insist(WRITE_FOR, || async { Ok(self.store.end_refresh(begun, attempted).await?) }).await?;
        Ok(pause)
    }
}
