//! Releases the key of a connection, and gives the verdict on a reported 401.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tidemark_domain::{
    connection::{Change, Reason, Signal, State},
    event::{Data, ReconnectRequired},
    id::ConnectionId,
};
use tidemark_rpc::{
    self as rpc,
    credentials::{
        GetAccessTokenRequest, GetAccessTokenResponse, ReportRejectedRequest, ReportRejectedResponse,
        Verdict, credentials_service_server::CredentialsService,
    },
    identity::Identity,
    status::Refusal,
};
use tidemark_store::Connection;
use tonic::{Request, Response, Status};
use tracing::{Instrument as _, info_span};

use crate::{
    CredentialService,
    audit::{Action, Entry},
    present::Working,
    probe::{self, Acceptance},
    refusal::{Fault, reconnect_required},
    service::Parts,
};

/// A reconnect can replace the credential between the two reads; it does not do so three times in a row.
const READS: usize = 3;

#[tonic::async_trait]
impl CredentialsService for CredentialService {
    async fn get_access_token(
        &self,
        request: Request<GetAccessTokenRequest>,
    ) -> Result<Response<GetAccessTokenResponse>, Status> {
        let caller = Identity::of(&request)?;
        let request = request.into_inner();
        self.answer("GetAccessToken", |parts| async move {
            let id = rpc::parse("connection_id", &request.connection_id)?;
            parts.token(&caller, &id).await
        })
        .await
    }

    async fn report_rejected(
        &self,
        request: Request<ReportRejectedRequest>,
    ) -> Result<Response<ReportRejectedResponse>, Status> {
        let caller = Identity::of(&request)?;
        let request = request.into_inner();
        self.answer("ReportRejected", |parts| async move {
            let id = rpc::parse("connection_id", &request.connection_id)?;
            let verdict = parts.verdict(&caller, &id, request.generation).await?;
            Ok(ReportRejectedResponse { verdict: verdict.into() })
        })
        .await
    }
}

impl Parts {
    async fn token(&self, caller: &Identity, id: &ConnectionId) -> Result<GetAccessTokenResponse, Fault> {
        let (connection, key) = self.present(caller, id).await?;
        caller.admit_release(&connection.organization_id)?;
        let Some(key) = key else {
            return Err(reconnect_required(connection.reason.unwrap_or(Reason::KeyRejected)).into());
        };
        let entry = Entry::new(Some(&connection.organization_id), caller.actor(), Action::Release, id);
        self.audit.entrust(entry.with("generation", connection.generation)).await?;
        Ok(GetAccessTokenResponse {
            access_token: key.expose_secret().to_owned(),
            generation: connection.generation,
            base_url: self.settings.base_url(connection.region).to_string(),
        })
    }

    /// The connection and its key as they are now, or were less than a second ago in another process; no key while a
    /// reconnect is required.
    async fn present(
        &self,
        caller: &Identity,
        id: &ConnectionId,
    ) -> Result<(Connection, Option<SecretString>), Fault> {
        if let Some(working) = self.present.get(id) {
            caller.check(&working.connection.organization_id, "connection")?;
            return self.opened(&working);
        }
        let before = self.present.before();
        let mut connection = self.seen(caller, id).await?;
        for _ in 0..READS {
            if connection.state == State::ReconnectRequired {
                return Ok((connection, None));
            }
            if let Some(credential) = self.store.credential(id, connection.generation).await? {
                let working = Arc::new(Working { connection, sealed: credential.sealed });
                self.present.keep(&working, before);
                return self.opened(&working);
            }
            connection = self.connection(id).await?;
        }
        Err(Fault::Missing { connection: id.clone(), generation: connection.generation })
    }

    fn opened(&self, working: &Working) -> Result<(Connection, Option<SecretString>), Fault> {
        let Working { connection, sealed } = working;
        let key = self.vault.open(connection.into(), sealed);
        let key = key.map_err(|error| Fault::Sealed { connection: connection.id.clone(), error })?;
        Ok((connection.clone(), Some(key)))
    }

    async fn verdict(&self, caller: &Identity, id: &ConnectionId, generation: i64) -> Result<Verdict, Fault> {
        let (connection, key) = self.present(caller, id).await?;
        if let Some(verdict) = known(&connection, generation)? {
            return Ok(verdict);
        }
        let Some(key) = key else { return Ok(Verdict::ReconnectRequired) };
        let client = self.client(connection.region, &key)?;
        let span = info_span!("verdict", connection = %id);
        match probe::acceptance(&client).instrument(span).await {
            Acceptance::Accepted => Ok(Verdict::StillValid),
            Acceptance::Undecided => Ok(Verdict::Undecided),
            Acceptance::Rejected => self.confirm(connection).await,
        }
    }

    /// Ends the connection, unless somebody was faster; then says what is true now.
    async fn confirm(&self, old: Connection) -> Result<Verdict, Fault> {
        let (state, change) = old.state.on(Signal::Rejected(Reason::KeyRejected));
        let Some(Change::ReconnectRequired(reason)) = change else { return Ok(Verdict::ReconnectRequired) };
        let new = Connection { state, reason: Some(reason), updated_at: self.clock.now(), ..old.clone() };
        let data = ReconnectRequired {
            organization_id: new.organization_id.clone(),
            reason,
            generation: new.generation,
        };
        let tx = self.store.begin().await?;
        if tx.update_connection(&new, old.state, old.generation).await? {
            tx.emit(&self.event(&new, Data::ReconnectRequired(data))).await?;
            tx.commit().await?;
            self.present.forget(&new.id);
            let workspace = new.workspace.as_deref().unwrap_or("unknown");
            let (connection, organization) = (&new.id, &new.organization_id);
            let reason = reason.as_str();
            tracing::info!(%connection, %organization, workspace, reason, "connection lost, it needs a reconnect");
            return Ok(Verdict::ReconnectRequired);
        }
        // The transaction goes back before the next read: on SQLite it holds the only connection.
        drop(tx);
        let now = self.connection(&old.id).await?;
        Ok(known(&now, old.generation)?.unwrap_or(Verdict::Undecided))
    }
}

/// The verdict that needs no probe, if there is one.
fn known(connection: &Connection, generation: i64) -> Result<Option<Verdict>, Refusal> {
    let present = connection.generation;
    if generation < present {
        return Ok(Some(Verdict::Superseded));
    }
    if generation > present {
        let expected =
            format!("the connection's present credential is {present}; name the one that was refused");
        return Err(Refusal::invalid("generation", expected));
    }
    Ok((connection.state == State::ReconnectRequired).then_some(Verdict::ReconnectRequired))
}
