//! Ends a connection: revokes at the vendor what can be revoked, deletes every secret here, and keeps or deletes the
//! facts as told. What still works at the vendor is said, so that a person can end it there.

use tidemark_domain::connection::{CredentialKind, Signal, State};
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity, status::Refusal};
use tidemark_store::{Connection, Purge, SealedCredential};

use crate::{
    audit::{Action, Entry},
    holding::Holding,
    moves::{TRIES, Telling},
    refusal::Fault,
    service::Parts,
};

const HOLDER: &str = "disconnect";

impl Parts {
    pub(crate) async fn disconnect(
        &self,
        caller: &Identity,
        request: &wire::DisconnectConnectionRequest,
    ) -> Result<(Connection, Vec<wire::NotRevoked>), Fault> {
        let facts = wire::Facts::try_from(request.facts)
            .map_err(|_| Refusal::invalid("facts", "expected FACTS_KEEP or FACTS_PURGE"))?;
        let purge = (facts == wire::Facts::Purge).then_some(Purge::Asked);
        let connection = self.visible(caller, &rpc::parse("connection_id", &request.connection_id)?).await?;
        let flight = self.flights.of(&connection.id);
        let _flying = flight.lock().await;
        for _ in 0..TRIES {
            let holding = match self.holding(&connection.id).await {
                Err(Fault::Missing { .. }) => Holding::bare(self.connection(&connection.id).await?),
                holding => holding?,
            };
            if holding.connection.state == State::Disconnected {
                match self.purged_later(&holding.connection, purge).await? {
                    Some(ended) => return Ok((ended, Vec::new())),
                    None => continue,
                }
            }
            let not_revoked = self.revoke(&holding).await;
            if let Some(ended) = self.end(caller.actor(), &holding.connection, purge, &not_revoked).await? {
                let told = not_revoked.into_iter().map(still_working).collect();
                return Ok((ended, told));
            }
        }
        Err(Fault::Overtaken)
    }

    /// Revokes what can be revoked; gives the rest.
    async fn revoke(&self, holding: &Holding) -> Vec<CredentialKind> {
        let mut left = Vec::new();
        for version in holding.accepted().cloned().collect::<Vec<_>>() {
            if !self.is_revoked(&holding.connection, &version).await {
                left.push(version.kind);
            }
        }
        left
    }

    async fn is_revoked(&self, connection: &Connection, version: &SealedCredential) -> bool {
        if version.kind == CredentialKind::ApiKey {
            return false;
        }
        let (Ok(secret), Ok(oauth)) = (self.open(connection, version), self.oauth(connection.region)) else {
            return false;
        };
        match oauth.revoke(secret.refresh.as_ref().unwrap_or(&secret.access)).await {
            Ok(()) => true,
            Err(error) => {
                let (id, kind) = (&connection.id, version.kind.as_str());
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(connection = %id, kind, error, "a credential could not be revoked at Productboard");
                false
            }
        }
    }

    /// Nothing where somebody changed the connection at the same time.
    async fn end(
        &self,
        by: &str,
        old: &Connection,
        purge: Option<Purge>,
        not_revoked: &[CredentialKind],
    ) -> Result<Option<Connection>, Fault> {
        let telling = Telling { not_revoked: not_revoked.to_vec(), ..Telling::default() };
        let to = Connection { purge, capabilities: Vec::new(), ..old.clone() };
        let moved = self.moved(to, [Signal::Disconnected], &telling);
        let tx = self.store.begin().await?;
        if !moved.write(&tx, old).await? {
            return Ok(None);
        }
        tx.delete_credentials(&old.id).await?;
        // Nothing is tried any more: from now on this says when its facts are to be deleted.
        tx.schedule_probe(&old.id, self.clock.now(), None).await?;
        // A worker that is in the middle of a sync writes nothing more.
        tx.break_fence(&old.id, HOLDER, self.clock.now()).await?;
        let kept: Vec<_> = not_revoked.iter().map(|kind| kind.as_str()).collect();
        let entry = Entry::new(Some(&old.organization_id), by, Action::Disconnect, &old.id)
            .with("facts", if purge.is_some() { "purge" } else { "keep" })
            .with("not_revoked", kept.join(" "));
        self.audit.append(&tx, entry).await?;
        tx.commit().await?;
        self.done(&moved);
        Ok(Some(moved.to))
    }

    /// Whoever kept the facts of an ended connection may still want them deleted. Nothing where somebody changed the
    /// connection at the same time.
    async fn purged_later(
        &self,
        old: &Connection,
        purge: Option<Purge>,
    ) -> Result<Option<Connection>, Fault> {
        if purge.is_none() || old.purge.is_some() {
            return Ok(Some(old.clone()));
        }
        let moved = self.moved(Connection { purge, ..old.clone() }, [], &Telling::default());
        let tx = self.store.begin().await?;
        if !moved.write(&tx, old).await? {
            return Ok(None);
        }
        tx.schedule_probe(&old.id, self.clock.now(), None).await?;
        tx.commit().await?;
        self.done(&moved);
        tracing::info!(connection = %old.id, "the facts of an ended connection are to be deleted");
        Ok(Some(moved.to))
    }
}

fn still_working(kind: CredentialKind) -> wire::NotRevoked {
    let sentence = match kind {
        CredentialKind::ApiKey => {
            "Productboard lets nobody revoke an API key from outside. It was deleted here; delete it in Productboard, \
             too (profile menu, Integrations, Public APIs)."
        }
        CredentialKind::Oauth => {
            "Productboard did not take the revocation of the consent just now. The tokens were deleted here; remove \
             the application in Productboard, too (profile menu, Integrations)."
        }
        CredentialKind::Assertion => {
            "Productboard did not take the revocation of the last access token. It was deleted here and ends by \
             itself within five minutes."
        }
    };
    wire::NotRevoked { kind: wire::CredentialKind::from(kind).into(), sentence: sentence.to_owned() }
}
