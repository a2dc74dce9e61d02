//! The verdict on a credential: immediate and sure. A reported 401 is confirmed with one probe of the same version, for a
//! grant after a renewal; only then the connection needs a person.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tidemark_domain::{
    capability::{Availability, Finding},
    connection::{CredentialKind, Reason, Signal, State},
    id::ConnectionId,
};
use tidemark_ports::Lease;
use tidemark_rpc::{credentials::Verdict, status::Refusal};
use tidemark_store::{Connection, SealedCredential};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};
use tracing::{Instrument as _, info_span};

use crate::{
    audit::{Action, Entry},
    holding::Holding,
    moves::{TRIES, Telling},
    probe::{self, Acceptance},
    refresh::{Patience, Unrefreshed},
    refusal::Fault,
    service::Parts,
};

/// A turn lasts as long as a probe with its second attempt, and callers have 20 s.
const TURN: Duration = Duration::from_secs(11);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The verdicts that are being found in this process. Those who report the same credential wait for the same one.
#[derive(Default)]
pub(crate) struct Judgements(Mutex<HashMap<(ConnectionId, i64), Weak<Judgement>>>);

type Judgement = OnceCell<Verdict>;

impl Judgements {
    fn of(&self, connection: &ConnectionId, generation: i64) -> Arc<Judgement> {
        let key = (connection.clone(), generation);
        let mut judgements = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(judgement) = judgements.get(&key).and_then(Weak::upgrade) {
            return judgement;
        }
        judgements.retain(|_, judgement| judgement.strong_count() > 0);
        let judgement = Arc::default();
        judgements.insert(key, Arc::downgrade(&judgement));
        judgement
    }
}

impl Parts {
    /// Judges the credential of that generation, which somebody saw refused.
    pub(crate) async fn judge(
        self: &Arc<Self>,
        id: &ConnectionId,
        generation: i64,
    ) -> Result<Verdict, Fault> {
        let judgement = self.judgements.of(id, generation);
        judgement.get_or_try_init(|| self.judge_alone(id, generation)).await.copied()
    }

    /// The vendor is asked by one process at a time. Those that waited find what the first one found: a credential that is
    /// over is not asked about again.
    async fn judge_alone(self: &Arc<Self>, id: &ConnectionId, generation: i64) -> Result<Verdict, Fault> {
        // Most reports are late, and need no turn.
        if let Err(verdict) = known(&self.holding(id).await?, generation)? {
            return Ok(verdict);
        }
        let turn = self.turn(&format!("verdict:{id}:{generation}")).await;
        let verdict = self.judge_now(id, generation).await;
        self.release(turn).await;
        verdict
    }

    async fn judge_now(self: &Arc<Self>, id: &ConnectionId, generation: i64) -> Result<Verdict, Fault> {
        let holding = self.holding(id).await?;
        let version = match known(&holding, generation)? {
            Ok(version) => version,
            Err(verdict) => return Ok(verdict),
        };
        let span = info_span!("verdict", connection = %id, kind = version.kind.as_str());
        self.judged(&holding, version).instrument(span).await
    }

    /// Waits for a lease; goes on without one where none can be had.
    async fn turn(&self, key: &str) -> Option<Lease> {
        let until = Instant::now() + TURN;
        loop {
            match self.leases.acquire(key, TURN).await {
                Ok(Some(lease)) => return Some(lease),
                Ok(None) if Instant::now() < until => sleep(LOOK_AGAIN).await,
                Ok(None) => return None,
                Err(error) => {
                    tracing::debug!(key, %error, "no lease for a verdict, several processes may ask");
                    return None;
                }
            }
        }
    }

    async fn judged(
        self: &Arc<Self>,
        holding: &Holding,
        version: &SealedCredential,
    ) -> Result<Verdict, Fault> {
        let connection = &holding.connection;
        if version.renews() {
            // A short token may have been ended alone, or lived shorter than the vendor said: the grant decides.
            return match self.renewed(connection, version, Patience::LONG).await {
                Ok(_) => Ok(Verdict::Superseded),
                Err(Unrefreshed::Ended(_)) => Ok(Verdict::ReconnectRequired),
                Err(Unrefreshed::Gone) => self.verdict_now(&connection.id, version.generation).await,
                // It was renewed just now, or a pause holds: the token itself is asked.
                Err(Unrefreshed::Later(_)) => self.tried(connection, version).await,
                Err(Unrefreshed::Fault(fault)) => Err(fault),
            };
        }
        // It cannot be renewed: a second refusal is the vendor's word.
        let reason = match version.kind {
            CredentialKind::ApiKey => Reason::KeyRejected,
            CredentialKind::Oauth | CredentialKind::Assertion => Reason::ConsentWithdrawn,
        };
        match self.acceptance(connection, version).await? {
            Acceptance::Accepted => Ok(Verdict::StillValid),
            Acceptance::Undecided => Ok(Verdict::Undecided),
            Acceptance::Rejected => self.reject(&connection.id, version.generation, reason).await,
        }
    }

    /// A refused access token of a grant that cannot be renewed just now decides nothing.
    async fn tried(&self, connection: &Connection, version: &SealedCredential) -> Result<Verdict, Fault> {
        Ok(match self.acceptance(connection, version).await? {
            Acceptance::Accepted => Verdict::StillValid,
            Acceptance::Rejected | Acceptance::Undecided => Verdict::Undecided,
        })
    }

    pub(crate) async fn acceptance(
        &self,
        connection: &Connection,
        version: &SealedCredential,
    ) -> Result<Acceptance, Fault> {
        let secret = self.open(connection, version)?;
        let client = self.client_of(connection, version, &secret)?;
        let acceptance = probe::acceptance(&client).await;
        if acceptance == Acceptance::Accepted {
            self.store.prove_credential(version, self.clock.now()).await?;
        }
        Ok(acceptance)
    }

    /// Ends a credential for good, unless it was replaced meanwhile. The connection needs a person, unless its other
    /// credentials can read everything that it could.
    pub(crate) async fn reject(
        &self,
        id: &ConnectionId,
        generation: i64,
        reason: Reason,
    ) -> Result<Verdict, Fault> {
        for _ in 0..TRIES {
            let holding = self.holding(id).await?;
            let version = match known(&holding, generation)? {
                Ok(version) => version,
                Err(verdict) => return Ok(verdict),
            };
            if let Some(verdict) = self.rejected(&holding, version, reason).await? {
                return Ok(verdict);
            }
        }
        Err(Fault::Overtaken)
    }

    async fn rejected(
        &self,
        holding: &Holding,
        version: &SealedCredential,
        reason: Reason,
    ) -> Result<Option<Verdict>, Fault> {
        let old = &holding.connection;
        let rest = holding.matrix_with(version.kind, None);
        let is_covered = is_covered(old, &rest);
        let signal = (!is_covered).then_some(Signal::Rejected(reason));
        let telling = Telling { refused_generation: version.generation, ..Telling::default() };
        let moved = self.moved(old.clone(), signal, &telling);
        let tx = self.store.begin().await?;
        if !tx.reject_credential(&old.id, version.generation, reason).await? || !moved.write(&tx, old).await?
        {
            return Ok(None);
        }
        let entry = Entry::new(Some(&old.organization_id), "tidemark", Action::Reject, &old.id);
        let entry = entry.with("generation", version.generation).with("kind", version.kind.as_str());
        self.audit.append(&tx, entry.outcome(reason.as_str())).await?;
        tx.commit().await?;
        self.done(&moved);
        if is_covered {
            let (connection, kind, reason) = (&old.id, version.kind.as_str(), reason.as_str());
            tracing::warn!(%connection, kind, reason, "a credential was refused, another one of the connection goes on");
            return Ok(Some(Verdict::Superseded));
        }
        Ok(Some(Verdict::ReconnectRequired))
    }

    async fn verdict_now(&self, id: &ConnectionId, generation: i64) -> Result<Verdict, Fault> {
        Ok(known(&self.holding(id).await?, generation)?.err().unwrap_or(Verdict::Undecided))
    }
}

/// Whether the rest can read everything that the connection could.
fn is_covered(connection: &Connection, rest: &[Finding]) -> bool {
    let can = |matrix: &[Finding], wanted| {
        matrix.iter().any(|line| line.capability == wanted && line.availability == Availability::Available)
    };
    let mut had = connection.capabilities.iter().filter(|line| line.availability == Availability::Available);
    !rest.is_empty() && had.all(|line| can(rest, line.capability))
}

/// The version in question, or the verdict that needs no probe.
fn known(holding: &Holding, generation: i64) -> Result<Result<&SealedCredential, Verdict>, Refusal> {
    let present = holding.connection.generation;
    if generation > present {
        let expected =
            format!("the connection's present credential is {present}; name the one that was refused");
        return Err(Refusal::invalid("generation", expected));
    }
    if !holding.connection.state.is_live() && holding.connection.state != State::ReconnectRequired {
        return Ok(Err(Verdict::ReconnectRequired));
    }
    Ok(match holding.of_generation(generation) {
        None => Err(Verdict::Superseded),
        Some(version) if version.rejected.is_none() => Ok(version),
        Some(_) if holding.connection.state == State::ReconnectRequired => Err(Verdict::ReconnectRequired),
        Some(_) => Err(Verdict::Superseded),
    })
}
