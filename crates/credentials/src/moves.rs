//! Moves a connection from how it stands to how it stands next: the row, its episodes and exactly one event per change,
//! in one transaction, or nothing of it.

use chrono::{DateTime, Utc};
use tidemark_domain::{
    capability::{Availability, Finding},
    connection::{Change, CredentialKind, Signal},
    event::{
        Connected, Data, Degraded, Disconnected, Event, Expiring, ReconnectRequired, Reconnected, Recovered,
    },
};
use tidemark_store::{Connection, Result, Tx};

use crate::service::Parts;

/// How often a write is tried again because somebody was faster.
pub(crate) const TRIES: usize = 8;

/// What a move's events tell beside the change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Telling {
    /// The credential that was refused.
    pub(crate) refused_generation: i64,
    /// The credential that ends, and when.
    pub(crate) ending: Option<(CredentialKind, DateTime<Utc>)>,
    /// What could not be revoked.
    pub(crate) not_revoked: Vec<CredentialKind>,
}

/// A connection on its way.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) to: Connection,
    changes: Vec<Change>,
    events: Vec<Event>,
}

impl Move {
    /// Writes it, unless the connection is not as `from` any more. Then nothing is written, and the transaction must be
    /// dropped.
    pub(crate) async fn write(&self, tx: &Tx, from: &Connection) -> Result<bool> {
        if !tx.update_connection(&self.to, from).await? {
            return Ok(false);
        }
        self.announce(tx).await
    }

    /// Writes it as a new connection.
    pub(crate) async fn insert(&self, tx: &Tx) -> Result<bool> {
        tx.insert_connection(&self.to).await?;
        self.announce(tx).await
    }

    async fn announce(&self, tx: &Tx) -> Result<bool> {
        let Connection { id, updated_at, .. } = &self.to;
        for (change, event) in self.changes.iter().zip(&self.events) {
            match change {
                Change::ReconnectRequired(reason) => {
                    let Data::ReconnectRequired(told) = &event.data else { continue };
                    if !tx.open_episode(id, *reason, told.generation, *updated_at).await? {
                        return Ok(false);
                    }
                }
                Change::Reconnected | Change::Disconnected => tx.close_episode(id, *updated_at).await?,
                _ => {}
            }
            tx.emit(event).await?;
        }
        Ok(true)
    }

    /// Tells the operator, once it is written.
    pub(crate) fn log(&self) {
        let Connection { id: connection, organization_id: organization, workspace, generation, .. } =
            &self.to;
        let workspace = workspace.as_deref().unwrap_or("unknown");
        for change in &self.changes {
            match change {
                Change::Connected => {
                    tracing::info!(%connection, %organization, workspace, generation, "connection created");
                }
                Change::Reconnected => {
                    tracing::info!(%connection, %organization, workspace, generation, "connection reconnected");
                }
                Change::Expiring(days) => {
                    tracing::warn!(%connection, %organization, workspace, days, "connection ends soon");
                }
                Change::Degraded(capability) => {
                    let capability = capability.as_str();
                    tracing::warn!(%connection, %organization, workspace, capability, "connection lost a capability");
                }
                Change::Recovered(_) => {
                    let state = self.to.state.as_str();
                    tracing::info!(%connection, %organization, workspace, state, "connection recovered");
                }
                Change::ReconnectRequired(reason) => {
                    let reason = reason.as_str();
                    tracing::warn!(
                        %connection, %organization, workspace, reason, "connection lost, it needs a reconnect"
                    );
                }
                Change::Disconnected => {
                    tracing::info!(%connection, %organization, workspace, "connection ended by a person");
                }
            }
        }
    }
}

impl Parts {
    /// Applies signals, one after the other.
    pub(crate) fn moved(
        &self,
        connection: Connection,
        signals: impl IntoIterator<Item = Signal>,
        telling: &Telling,
    ) -> Move {
        let now = self.clock.now();
        let mut moving = Move {
            to: Connection { updated_at: now, ..connection },
            changes: Vec::new(),
            events: Vec::new(),
        };
        for signal in signals {
            let (standing, change) = moving.to.standing().on(signal);
            let Some(change) = change else { continue };
            moving.to = moving.to.standing_as(standing);
            moving.events.push(self.event(&moving.to, told(&moving.to, change, telling)));
            moving.changes.push(change);
        }
        moving
    }
}

/// The signals of a matrix that was looked at again.
pub(crate) fn signals(old: &Connection, matrix: &[Finding]) -> Vec<Signal> {
    let was_available = |finding: &Finding| {
        let known = old.capabilities.iter().find(|known| known.capability == finding.capability);
        known.is_some_and(|known| known.availability == Availability::Available)
    };
    let signal = |finding: &Finding| match finding.availability {
        Availability::Available => {
            old.lost.contains(&finding.capability).then_some(Signal::Regained(finding.capability))
        }
        refused if refused.is_refused() && was_available(finding) => Some(Signal::Lost(finding.capability)),
        _ => None,
    };
    matrix.iter().filter_map(signal).collect()
}

fn told(connection: &Connection, change: Change, telling: &Telling) -> Data {
    let organization_id = connection.organization_id.clone();
    let lost = || connection.lost.iter().copied().collect();
    match change {
        Change::Connected => {
            Data::Connected(Connected { organization_id, workspace: connection.workspace.clone() })
        }
        Change::Reconnected => {
            Data::Reconnected(Reconnected { organization_id, generation: connection.generation })
        }
        Change::Expiring(days) => {
            let (credential, expires_at) = telling.ending.unzip();
            let credential = credential.unwrap_or(CredentialKind::Oauth);
            Data::Expiring(Expiring { organization_id, credential, expires_at, days: Some(days) })
        }
        Change::Degraded(capability) => {
            let consequence = capability.consequence().to_owned();
            Data::Degraded(Degraded { organization_id, capability, consequence, lost: lost() })
        }
        Change::Recovered(capability) => {
            let state = connection.state;
            Data::Recovered(Recovered { organization_id, capability, state, lost: lost() })
        }
        Change::ReconnectRequired(reason) => {
            let generation = telling.refused_generation;
            Data::ReconnectRequired(ReconnectRequired { organization_id, reason, generation })
        }
        Change::Disconnected => Data::Disconnected(Disconnected {
            organization_id,
            reason: tidemark_domain::connection::Reason::DisconnectedByPerson,
            facts_purged: connection.purge.is_some(),
            not_revoked: telling.not_revoked.clone(),
        }),
    }
}
