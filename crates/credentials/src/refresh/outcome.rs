//! A refresh that this process owns: the request, and what becomes of every possible answer.

use std::{error::Error as StdError, time::Duration};

use chrono::{DateTime, Utc};
use tidemark_domain::{
    connection::{CredentialKind, Reason, Signal, State},
    expiry,
};
use tidemark_productboard::oauth::{Error, Grant};
use tidemark_rpc::credentials::Verdict;
use tidemark_runtime::metrics::credentials as metrics;
use tidemark_store::{self as store, Attempted, Connection, SealedCredential};

use super::Unrefreshed;
use crate::{
    audit::{Action, Entry},
    install::Life,
    moves::Telling,
    refusal::Fault,
    secret::Secret,
    service::Parts,
};

/// How often a grant that the vendor gave is written, should the database fail. It exists nowhere else.
const WRITES: u32 = 40;
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
    ) -> Result<SealedCredential, Unrefreshed> {
        let mut answer = self.ask(connection, &begun, &secret).await?;
        if let Err(Error::InDoubt { status: None, .. }) = &answer {
            // The answer was lost: the vendor takes the same token again, and is asked at once.
            tracing::warn!(connection = %connection.id, "the answer to a refresh was lost, its token is tried once more");
            begun.in_doubt = true;
            answer = self.ask(connection, &begun, &secret).await?;
        }
        match answer {
            Ok(grant) => self.keep(connection, &begun, &Secret::granted(&grant, Some(&secret)), &grant).await,
            Err(Error::InvalidGrant { .. }) => self.refused(connection, begun).await,
            Err(error) => self.failed(connection, &begun, &error).await,
        }
    }

    async fn ask(
        &self,
        connection: &Connection,
        version: &SealedCredential,
        secret: &Secret,
    ) -> Result<Result<Grant, Error>, Fault> {
        match (version.kind, &secret.refresh, &secret.subject) {
            (CredentialKind::Assertion, _, Some(subject)) => self.assert(connection.region, subject).await,
            (_, Some(token), _) => Ok(self.oauth(connection.region)?.refresh(token).await),
            // A grant without a refresh token ends with its access token, and is not renewed before.
            _ => Ok(Err(Error::InvalidGrant { attempted: "refresh a token", said: String::new() })),
        }
    }

    /// Writes the new version. It is tried until it is in: nobody else has it.
    async fn keep(
        &self,
        connection: &Connection,
        begun: &SealedCredential,
        secret: &Secret,
        grant: &Grant,
    ) -> Result<SealedCredential, Unrefreshed> {
        let mut pause = FIRST_PAUSE;
        for _ in 0..WRITES {
            match self.kept(begun, secret, grant).await {
                Ok(Some(version)) => {
                    metrics::refreshed("renewed");
                    return Ok(version);
                }
                Ok(None) => {}
                Err(Unrefreshed::Fault(Fault::Store(store::Error::Unavailable(cause)))) => {
                    let connection = &connection.id;
                    tracing::warn!(%connection, %cause, "a renewed grant could not be written, trying again");
                }
                Err(Unrefreshed::Gone) => {
                    // Somebody disconnected it: what was granted here has no home.
                    self.revoke_quietly(connection.region, grant).await;
                    return Err(Unrefreshed::Gone);
                }
                Err(other) => return Err(other),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let id = &connection.id;
        metrics::refreshed("unwritten");
        tracing::error!(connection = %id, "a renewed grant could not be written and is lost, the refresh is in doubt");
        Err(Unrefreshed::Later(expiry::cooldown(1)))
    }

    /// One write; nothing where somebody else changed the connection at the same time.
    async fn kept(
        &self,
        begun: &SealedCredential,
        secret: &Secret,
        grant: &Grant,
    ) -> Result<Option<SealedCredential>, Unrefreshed> {
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
            return present.cloned().map(Some).ok_or(Unrefreshed::Gone);
        }
        let now = self.clock.now();
        let to = Connection { generation: old.generation + 1, ..old.clone() };
        let life = Life::of(grant);
        let mut version = self.version(&to, begun.kind, to.generation, secret, life);
        version.capabilities = present.map(|version| version.capabilities.clone()).unwrap_or_default();
        version.refresh_expires_at = version.refresh_expires_at.or(begun.refresh_expires_at);
        let is_far = version.refresh_expires_at.is_none_or(|end| expiry::is_far(now, end));
        let signal = is_far.then_some(Signal::Refreshed);
        let moved = self.moved(to, signal, &Telling::default());
        let tx = self.store.begin().await?;
        if !moved.write(&tx, old).await? {
            return Ok(None);
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
        Ok(Some(version))
    }

    /// `invalid_grant`: somebody else may have renewed it, or the version before may still be good. Else it is over.
    async fn refused(
        &self,
        connection: &Connection,
        begun: SealedCredential,
    ) -> Result<SealedCredential, Unrefreshed> {
        let holding = self.holding(&connection.id).await?;
        let now = self.clock.now();
        match holding.present(begun.kind) {
            None => return Err(Unrefreshed::Gone),
            Some(present) if present.generation > begun.generation => return Ok(present.clone()),
            Some(_) => {}
        }
        let previous = holding.previous(begun.kind).filter(|_| begun.proven_at.is_none());
        if let Some(previous) = previous.filter(|_| now - begun.created_at < expiry::GRACE) {
            let secret = self.open(connection, previous)?;
            match self.ask(connection, previous, &secret).await? {
                Ok(grant) => {
                    tracing::warn!(connection = %connection.id, "a renewed grant did not work, the one before it did");
                    let renewed = Secret::granted(&grant, Some(&secret));
                    return self.keep(connection, &begun, &renewed, &grant).await;
                }
                Err(Error::InvalidGrant { .. }) => {}
                // Nobody has said yet that it is over.
                Err(error) => return self.failed(connection, &begun, &error).await,
            }
        }
        self.ended(connection, &begun, now).await
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
        let reason = if end.is_some_and(|end| now >= end - expiry::GUARD) {
            Reason::RefreshExpired
        } else if begun.in_doubt {
            Reason::RefreshInDoubt
        } else {
            Reason::ConsentWithdrawn
        };
        match self.reject(&connection.id, begun.generation, reason).await? {
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
        let failures = begun.failures.saturating_add(1);
        let asked = match error {
            Error::RateLimited { retry_after, .. } => *retry_after,
            _ => Duration::ZERO,
        };
        let in_doubt = begun.in_doubt || matches!(error, Error::InDoubt { .. });
        let mut pause = expiry::cooldown(failures).max(asked);
        if in_doubt {
            // The vendor takes the token again for an hour: whenever it is back within that, the grant lives.
            pause = pause.min(LONGEST_IN_DOUBT);
        }
        metrics::refreshed(if in_doubt { "in_doubt" } else { "failed" });
        let cooldown_until = self.clock.now() + pause;
        self.store.end_refresh(begun, Attempted { in_doubt, failures, cooldown_until }).await?;
        let (connection, pause_ms) = (&connection.id, pause.as_millis());
        let error: &(dyn StdError + 'static) = error;
        tracing::warn!(%connection, failures, in_doubt, pause_ms, error, "a credential could not be renewed");
        Err(Unrefreshed::Later(pause))
    }
}
