//! Looks at what credentials can read, and writes it down: a capability that was lost or came back changes how the
//! connection stands.

use std::sync::Arc;

use tidemark_domain::{
    capability::{Capability, Finding, renewed},
    connection::{AuthScheme, CredentialKind, Region},
    expiry,
    id::ConnectionId,
};
use tidemark_store::{Connection, SealedCredential};
use tracing::{Instrument as _, info_span};

use crate::{
    holding::Holding,
    moves::{TRIES, Telling, signals},
    probe::{self, Look},
    refusal::Fault,
    secret::Secret,
    service::Parts,
};

impl Parts {
    pub(crate) async fn look(
        &self,
        region: Region,
        kind: CredentialKind,
        secret: &Secret,
    ) -> Result<Look, Fault> {
        let client = self.client(region, kind, AuthScheme::Bearer, secret)?;
        Ok(probe::look(&client, self.clock.today()).await)
    }

    /// Tries every credential of a connection, writes down what they can read, and judges those that are refused.
    pub(crate) async fn probe(self: &Arc<Self>, id: &ConnectionId) -> Result<(), Fault> {
        let holding = self.holding(id).await?;
        for version in holding.accepted().cloned().collect::<Vec<_>>() {
            let span = info_span!("probe", connection = %id, kind = version.kind.as_str());
            self.probe_one(&holding.connection, &version).instrument(span).await?;
        }
        let now = self.clock.now();
        let next = expiry::next_probe(now, self.settings.probe_interval, self.share());
        Ok(self.store.schedule_probe(id, next, Some(now)).await?)
    }

    async fn probe_one(
        self: &Arc<Self>,
        connection: &Connection,
        version: &SealedCredential,
    ) -> Result<(), Fault> {
        let (version, secret) = match self.usable(connection, version).await {
            Ok(usable) => usable,
            // What is to be told of it is written already, or the vendor is away: a probe has nothing to add.
            Err(Fault::Refused(_)) => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let client = self.client_of(connection, &version, &secret)?;
        let look = probe::look(&client, self.clock.today()).await;
        if look.is_rejected() {
            self.judge(&connection.id, version.generation).await?;
            return Ok(());
        }
        if look.is_accepted() {
            self.store.prove_credential(&version, self.clock.now()).await?;
        }
        self.observe(&connection.id, version.kind, version.generation, &look.findings()).await
    }

    /// Asks about one capability after a 403 was reported; gives what the connection can read now.
    pub(crate) async fn forbidden(
        self: &Arc<Self>,
        id: &ConnectionId,
        generation: i64,
        capability: Capability,
    ) -> Result<Finding, Fault> {
        let holding = self.holding(id).await?;
        let version = holding.of_generation(generation).filter(|version| version.rejected.is_none());
        if let Some(version) = version {
            let (version, secret) = self.usable(&holding.connection, version).await?;
            let client = self.client_of(&holding.connection, &version, &secret)?;
            let span = info_span!("forbidden", connection = %id, capability = capability.as_str());
            let answer = probe::ask(&client, capability, self.clock.today()).instrument(span).await;
            let finding = answer.finding(capability);
            self.observe(id, version.kind, version.generation, &[finding]).await?;
        }
        let connection = self.connection(id).await?;
        let known = connection.capabilities.iter().find(|finding| finding.capability == capability).copied();
        Ok(known.unwrap_or(Finding {
            capability,
            availability: tidemark_domain::capability::Availability::Unknown,
        }))
    }

    /// Writes down what a version was seen to read. One that was replaced meanwhile says nothing any more.
    pub(crate) async fn observe(
        &self,
        id: &ConnectionId,
        kind: CredentialKind,
        generation: i64,
        seen: &[Finding],
    ) -> Result<(), Fault> {
        for _ in 0..TRIES {
            let holding = self.holding(id).await?;
            let Some(version) = holding.present(kind).filter(|version| version.generation == generation)
            else {
                return Ok(());
            };
            if self.observed(&holding, version, seen).await? {
                return Ok(());
            }
        }
        Err(Fault::Overtaken)
    }

    async fn observed(
        &self,
        holding: &Holding,
        version: &SealedCredential,
        seen: &[Finding],
    ) -> Result<bool, Fault> {
        let old = &holding.connection;
        let findings = renewed(&version.capabilities, seen);
        let matrix = renewed(&old.capabilities, &holding.matrix_with(version.kind, Some(&findings)));
        if findings == version.capabilities && matrix == old.capabilities {
            return Ok(true);
        }
        let signals = signals(old, &matrix);
        let to = Connection { capabilities: matrix, ..old.clone() };
        let moved = self.moved(to, signals, &Telling::default());
        let tx = self.store.begin().await?;
        if !moved.write(&tx, old).await?
            || !tx.put_capabilities(&old.id, version.generation, &findings).await?
        {
            return Ok(false);
        }
        tx.commit().await?;
        self.done(&moved);
        Ok(true)
    }
}
