//! A credential service with one connection: what the sync service sees of it, and nothing behind it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tidemark_domain::{connection::Reason, id::ConnectionId};
use tidemark_rpc::{
    connections::{
        self as wire, Capability, Connection, ConnectionState, CreateConnectionRequest,
        CreateConnectionResponse, GetConnectionRequest, GetConnectionResponse, ListConnectionsRequest,
        ListConnectionsResponse, ReconnectConnectionRequest, ReconnectConnectionResponse,
        connections_service_server::ConnectionsService,
    },
    credentials::{
        GetAccessTokenRequest, GetAccessTokenResponse, ReportForbiddenRequest, ReportForbiddenResponse,
        ReportRejectedRequest, ReportRejectedResponse, Verdict,
        credentials_service_server::CredentialsService,
    },
    status::{CAPABILITY_MISSING, DISCONNECTED, RECONNECT_REQUIRED, Refusal},
};
use tonic::{Request, Response, Status};

/// What the vault answers with.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) token: String,
    /// Tokens of other connections.
    pub(crate) others: HashMap<String, String>,
    pub(crate) generation: i64,
    /// The present credential's refusal is confirmed.
    pub(crate) is_rejected: bool,
    /// Fails on every request for a token.
    pub(crate) is_broken: bool,
    /// Overrides the verdict on reports.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) reports: u32,
    /// No credential can read this.
    pub(crate) missing: Option<Capability>,
    /// A person has ended the connection.
    pub(crate) is_disconnected: bool,
    /// What was reported as forbidden.
    pub(crate) forbidden: Vec<Capability>,
}

#[derive(Debug, Clone)]
pub(crate) struct Vault {
    connection: ConnectionId,
    base_url: String,
    answers: Arc<Mutex<Answers>>,
}

impl Vault {
    pub(crate) fn new(connection: ConnectionId, base_url: String, token: &str) -> Self {
        let answers = Answers {
            token: token.to_owned(),
            others: HashMap::new(),
            generation: 1,
            is_rejected: false,
            is_broken: false,
            verdict: None,
            reports: 0,
            missing: None,
            is_disconnected: false,
            forbidden: Vec::new(),
        };
        Self { connection, base_url, answers: Arc::new(Mutex::new(answers)) }
    }

    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap()
    }

    /// A person has pasted a new key.
    pub(crate) fn replace(&self, token: &str) -> i64 {
        let mut answers = self.answers();
        answers.token = token.to_owned();
        answers.generation += 1;
        answers.is_rejected = false;
        answers.generation
    }
}

#[tonic::async_trait]
impl CredentialsService for Vault {
    async fn get_access_token(
        &self,
        request: Request<GetAccessTokenRequest>,
    ) -> Result<Response<GetAccessTokenResponse>, Status> {
        let asked = &request.get_ref().connection_id;
        let answers = self.answers();
        let other = answers.others.get(asked);
        assert!(other.is_some() || asked == self.connection.as_str(), "{asked} is nobody's");
        if answers.is_broken {
            return Err(Refusal::Internal.into());
        }
        if answers.is_disconnected {
            let sentence = "This workspace was disconnected.".to_owned();
            return Err(Refusal::Precondition { reason: DISCONNECTED, sentence }.into());
        }
        if answers.missing == Some(request.get_ref().capability()) {
            let sentence = "No credential can read it.".to_owned();
            return Err(Refusal::Precondition { reason: CAPABILITY_MISSING, sentence }.into());
        }
        if answers.is_rejected {
            let sentence = Reason::KeyRejected.sentence().to_owned();
            return Err(Refusal::Precondition { reason: RECONNECT_REQUIRED, sentence }.into());
        }
        Ok(Response::new(GetAccessTokenResponse {
            access_token: other.unwrap_or(&answers.token).clone(),
            generation: answers.generation,
            base_url: self.base_url.clone(),
            ..GetAccessTokenResponse::default()
        }))
    }

    async fn report_rejected(
        &self,
        request: Request<ReportRejectedRequest>,
    ) -> Result<Response<ReportRejectedResponse>, Status> {
        let mut answers = self.answers();
        answers.reports += 1;
        let verdict = match answers.verdict {
            Some(verdict) => verdict,
            None if request.get_ref().generation < answers.generation => Verdict::Superseded,
            None => {
                answers.is_rejected = true;
                Verdict::ReconnectRequired
            }
        };
        Ok(Response::new(ReportRejectedResponse { verdict: verdict.into() }))
    }

    async fn report_forbidden(
        &self,
        request: Request<ReportForbiddenRequest>,
    ) -> Result<Response<ReportForbiddenResponse>, Status> {
        self.answers().forbidden.push(request.get_ref().capability());
        Ok(Response::new(ReportForbiddenResponse::default()))
    }
}

#[tonic::async_trait]
impl ConnectionsService for Vault {
    async fn get_connection(
        &self,
        request: Request<GetConnectionRequest>,
    ) -> Result<Response<GetConnectionResponse>, Status> {
        let id = request.into_inner().connection_id;
        if id != self.connection.as_str() && !self.answers().others.contains_key(&id) {
            return Err(Refusal::NotFound { what: "connection" }.into());
        }
        let state = if self.answers().is_disconnected {
            ConnectionState::Disconnected
        } else {
            ConnectionState::Connected
        };
        let connection = Some(Connection { id, state: state.into(), ..Default::default() });
        Ok(Response::new(GetConnectionResponse { connection }))
    }

    async fn create_connection(
        &self,
        _: Request<CreateConnectionRequest>,
    ) -> Result<Response<CreateConnectionResponse>, Status> {
        Err(Status::unimplemented("the sync service makes no connections"))
    }

    async fn list_connections(
        &self,
        _: Request<ListConnectionsRequest>,
    ) -> Result<Response<ListConnectionsResponse>, Status> {
        Err(Status::unimplemented("the sync service lists no connections"))
    }

    async fn reconnect_connection(
        &self,
        _: Request<ReconnectConnectionRequest>,
    ) -> Result<Response<ReconnectConnectionResponse>, Status> {
        Err(Status::unimplemented("the sync service reconnects nothing"))
    }

    async fn begin_consent(
        &self,
        _: Request<wire::BeginConsentRequest>,
    ) -> Result<Response<wire::BeginConsentResponse>, Status> {
        Err(Status::unimplemented("the sync service has no use for it"))
    }

    async fn complete_consent(
        &self,
        _: Request<wire::CompleteConsentRequest>,
    ) -> Result<Response<wire::CompleteConsentResponse>, Status> {
        Err(Status::unimplemented("the sync service has no use for it"))
    }

    async fn connect_with_assertion(
        &self,
        _: Request<wire::ConnectWithAssertionRequest>,
    ) -> Result<Response<wire::ConnectWithAssertionResponse>, Status> {
        Err(Status::unimplemented("the sync service has no use for it"))
    }

    async fn disconnect_connection(
        &self,
        _: Request<wire::DisconnectConnectionRequest>,
    ) -> Result<Response<wire::DisconnectConnectionResponse>, Status> {
        Err(Status::unimplemented("the sync service has no use for it"))
    }

    async fn probe_connection(
        &self,
        _: Request<wire::ProbeConnectionRequest>,
    ) -> Result<Response<wire::ProbeConnectionResponse>, Status> {
        Err(Status::unimplemented("the sync service has no use for it"))
    }
}
