//! A connection with the credentials it holds, as they are now: which one is present, and which one can read what.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tidemark_domain::{
    capability::{Availability, Capability, Finding, union},
    connection::{CredentialKind, State},
    id::ConnectionId,
};
use tidemark_rpc::status::{CAPABILITY_MISSING, DISCONNECTED, Refusal};
use tidemark_store::{Connection, SealedCredential};

use crate::{
    refusal::{Fault, reconnect_required},
    secret::Secret,
    service::Parts,
};

/// A connection and its credentials.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) connection: Connection,
    /// All versions, the newest first.
    versions: Vec<SealedCredential>,
    /// The secret that was released last.
    opened: Opened,
}

/// The opened secret of a generation, for as long as what was read is kept.
#[derive(Default)]
struct Opened(Mutex<Option<(i64, Arc<Secret>)>>);

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Parts {
    pub(crate) async fn holding(&self, id: &ConnectionId) -> Result<Holding, Fault> {
        let held = self.store.held(id).await?;
        let (connection, versions) = held.ok_or(Refusal::NotFound { what: "connection" })?;
        if versions.is_empty() && connection.state.is_live() {
            return Err(Fault::Missing { connection: id.clone(), generation: connection.generation });
        }
        Ok(Holding { connection, versions, opened: Opened::default() })
    }
}

impl Holding {
    /// A connection without credentials.
    pub(crate) fn bare(connection: Connection) -> Self {
        Self { connection, versions: Vec::new(), opened: Opened::default() }
    }

    /// The secret of one of the versions, opened once.
    pub(crate) fn secret(
        &self,
        version: &SealedCredential,
        open: impl FnOnce() -> Result<Secret, Fault>,
    ) -> Result<Arc<Secret>, Fault> {
        let mut opened = self.opened.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*opened {
            Some((generation, secret)) if *generation == version.generation => Ok(Arc::clone(secret)),
            _ => {
                let secret = Arc::new(open()?);
                *opened = Some((version.generation, Arc::clone(&secret)));
                Ok(secret)
            }
        }
    }

    /// The present version of a kind.
    pub(crate) fn present(&self, kind: CredentialKind) -> Option<&SealedCredential> {
        self.versions.iter().find(|version| version.kind == kind)
    }

    /// The version before the present one, while that has not been seen to work.
    pub(crate) fn previous(&self, kind: CredentialKind) -> Option<&SealedCredential> {
        self.versions.iter().filter(|version| version.kind == kind).nth(1)
    }

    /// The present version of that generation.
    pub(crate) fn of_generation(&self, generation: i64) -> Option<&SealedCredential> {
        self.all().find(|version| version.generation == generation)
    }

    /// The present version of each kind.
    pub(crate) fn all(&self) -> impl Iterator<Item = &SealedCredential> {
        CredentialKind::ALL.into_iter().filter_map(|kind| self.present(kind))
    }

    /// Those that the vendor has not refused.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = &SealedCredential> {
        self.all().filter(|version| version.rejected.is_none())
    }

    /// What the connection can read when one of its versions can read this, or is gone.
    pub(crate) fn matrix_with(&self, kind: CredentialKind, findings: Option<&[Finding]>) -> Vec<Finding> {
        let others = self.accepted().filter(|version| version.kind != kind);
        union(others.map(|version| version.capabilities.as_slice()).chain(findings))
    }

    /// The credential to call with. What is not known is tried: the vendor decides.
    pub(crate) fn credential_for(&self, wanted: Option<Capability>) -> Result<&SealedCredential, Refusal> {
        let state = self.connection.state;
        if state == State::Disconnected {
            let sentence = "This workspace was disconnected; it has no credentials any more.".to_owned();
            return Err(Refusal::Precondition { reason: DISCONNECTED, sentence });
        }
        if state == State::AwaitingConsent {
            let sentence =
                "Nobody has consented to this connection yet. Complete the consent first.".to_owned();
            return Err(Refusal::Precondition { reason: "AWAITING_CONSENT", sentence });
        }
        let dead = || {
            let reason = self.connection.reason.filter(|_| state == State::ReconnectRequired);
            let rejected = self.all().find_map(|version| version.rejected);
            reason.or(rejected).map(reconnect_required)
        };
        let best = self.accepted().min_by_key(|version| rank(version, wanted));
        let Some(best) = best else {
            return Err(dead().unwrap_or(Refusal::NotFound { what: "credential" }));
        };
        match wanted {
            Some(wanted) if rank(best, Some(wanted)) == REFUSED => {
                let was_rejected = self.all().any(|version| version.rejected.is_some());
                Err(dead().filter(|_| was_rejected).unwrap_or_else(|| missing(wanted)))
            }
            None if state == State::ReconnectRequired => {
                Err(dead().unwrap_or_else(|| missing(Capability::Members)))
            }
            _ => Ok(best),
        }
    }
}

const REFUSED: u8 = 2;

fn rank(version: &SealedCredential, wanted: Option<Capability>) -> u8 {
    let Some(wanted) = wanted else { return 0 };
    let finding = version.capabilities.iter().find(|finding| finding.capability == wanted);
    match finding.map(|finding| finding.availability) {
        Some(Availability::Available) => 0,
        Some(Availability::Unknown) | None => 1,
        Some(Availability::Forbidden | Availability::NotInPlan) => REFUSED,
    }
}

fn missing(wanted: Capability) -> Refusal {
    let sentence = format!(
        "No credential of this connection can read {}: {}.",
        wanted.as_str().replace('_', " "),
        wanted.consequence()
    );
    Refusal::Precondition { reason: CAPABILITY_MISSING, sentence }
}
