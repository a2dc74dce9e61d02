//! The server of `tidemark.credentials.v1`: releases what can be called with, and hears what callers saw refused.

use std::{borrow::Cow, sync::Arc};

use secrecy::ExposeSecret;
use tidemark_domain::{
    connection::{AuthScheme, CredentialKind},
    expiry,
};
use tidemark_rpc::{
    self as rpc, connections as wire,
    credentials::{
        GetAccessTokenRequest, GetAccessTokenResponse, ReportForbiddenRequest, ReportForbiddenResponse,
        ReportRejectedRequest, ReportRejectedResponse, credentials_service_server::CredentialsService,
    },
    identity::Identity,
    status::Refusal,
};
use tidemark_store::{Connection, SealedCredential};
use tonic::{Request, Response, Status};

use crate::{
    CredentialService,
    audit::{Action, Entry},
    refresh::{Patience, Unrefreshed},
    refusal::{Fault, reconnect_required},
    secret::Secret,
    service::Parts,
};

#[tonic::async_trait]
impl CredentialsService for CredentialService {
    async fn get_access_token(
        &self,
        request: Request<GetAccessTokenRequest>,
    ) -> Result<Response<GetAccessTokenResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        // Not detached as others are: what must not be cut short here, the renewal, has a task of its own.
        let answer = self.0.token(&caller, &request).await;
        answer.map(Response::new).map_err(|fault| fault.into_status("GetAccessToken"))
    }

    async fn report_rejected(
        &self,
        request: Request<ReportRejectedRequest>,
    ) -> Result<Response<ReportRejectedResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("ReportRejected", |parts| async move {
            let id = rpc::parse("connection_id", &request.connection_id)?;
            parts.visible(&caller, &id).await?;
            let verdict = parts.judge(&id, request.generation).await?;
            Ok(ReportRejectedResponse { verdict: verdict.into() })
        })
        .await
    }

    async fn report_forbidden(
        &self,
        request: Request<ReportForbiddenRequest>,
    ) -> Result<Response<ReportForbiddenResponse>, Status> {
        let (caller, request) = (Identity::of(&request)?, request.into_inner());
        self.answer("ReportForbidden", |parts| async move {
            let id = rpc::parse("connection_id", &request.connection_id)?;
            let capability = rpc::capability(request.capability)?
                .ok_or_else(|| Refusal::invalid("capability", "expected what could not be read"))?;
            parts.visible(&caller, &id).await?;
            let finding = parts.forbidden(&id, request.generation, capability).await?;
            Ok(ReportForbiddenResponse { finding: Some(finding.into()) })
        })
        .await
    }
}

impl Parts {
    async fn token(
        self: &Arc<Self>,
        caller: &Identity,
        request: &GetAccessTokenRequest,
    ) -> Result<GetAccessTokenResponse, Fault> {
        let id = rpc::parse("connection_id", &request.connection_id)?;
        let wanted = rpc::capability(request.capability)?;
        let holding = self.just_held(&id).await?;
        let connection = &holding.connection;
        caller.check(&connection.organization_id, "connection")?;
        caller.admit_release(&connection.organization_id)?;
        let best = holding.credential_for(wanted)?;
        let (version, secret) = if self.is_fresh(best) {
            (Cow::Borrowed(best), holding.secret(best, || self.open(connection, best))?)
        } else {
            let (version, secret) = self.usable(connection, best).await?;
            (version, Arc::new(secret))
        };
        let scheme = match version.kind {
            CredentialKind::ApiKey => connection.auth_scheme,
            CredentialKind::Oauth | CredentialKind::Assertion => AuthScheme::Bearer,
        };
        let entry = Entry::new(Some(&connection.organization_id), caller.actor(), Action::Release, id);
        let entry = entry.with("generation", version.generation).with("kind", version.kind.as_str());
        self.audit.entrust(entry).await?;
        Ok(GetAccessTokenResponse {
            access_token: secret.access.expose_secret().to_owned(),
            generation: version.generation,
            base_url: self.settings.base_url(connection.region).to_string(),
            expires_at: version.access_expires_at.map(rpc::timestamp),
            auth_scheme: wire::AuthScheme::from(scheme).into(),
        })
    }

    /// Whether a version can be called with now, and needs no renewal yet.
    fn is_fresh(&self, version: &SealedCredential) -> bool {
        let Some(life) = version.life() else { return true };
        let (now, made) = (self.clock.now(), version.created_at);
        // What a clock wrote that has been set back since cannot be trusted to be that far from its end.
        let is_odd = made.signed_duration_since(now) > expiry::GUARD;
        let is_due = version.renews() && (is_odd || now >= expiry::refresh_at(made, life, 0.0));
        self.is_usable(version) && !is_due
    }

    /// Whether a version can be called with now, as far as the clocks tell.
    fn is_usable(&self, version: &SealedCredential) -> bool {
        let ends = version.access_expires_at.zip(version.life());
        ends.is_none_or(|(end, life)| expiry::is_usable(self.clock.now(), end, life))
    }

    /// A version that can be called with now, renewed if its end is near. Never one whose end may be behind us: where it
    /// cannot be renewed, the caller is told when to come again.
    pub(crate) async fn usable<'a>(
        self: &Arc<Self>,
        connection: &Connection,
        version: &'a SealedCredential,
    ) -> Result<(Cow<'a, SealedCredential>, Secret), Fault> {
        if self.is_fresh(version) {
            return Ok((Cow::Borrowed(version), self.open(connection, version)?));
        }
        let is_usable = self.is_usable(version);
        // Who has a token that is sure does not wait long for the next one.
        let patience = if is_usable { Patience::SHORT } else { Patience::LONG };
        match self.renewed(connection, version, patience).await {
            Ok(renewed) => {
                let secret = self.open(connection, &renewed)?;
                Ok((Cow::Owned(renewed), secret))
            }
            Err(Unrefreshed::Later(_) | Unrefreshed::Fault(_)) if is_usable => {
                Ok((Cow::Borrowed(version), self.open(connection, version)?))
            }
            Err(Unrefreshed::Later(retry_after)) => {
                Err(Refusal::Unavailable { what: "the renewal of the access".into(), retry_after }.into())
            }
            Err(Unrefreshed::Ended(reason)) => Err(reconnect_required(reason).into()),
            Err(Unrefreshed::Gone) => Err(Fault::Overtaken),
            Err(Unrefreshed::Fault(fault)) => Err(fault),
        }
    }
}
