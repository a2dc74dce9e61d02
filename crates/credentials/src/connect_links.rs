//! Hosted connect links: the platform sends its user to a page of the console, and gets them back connected.
//!
//! A link is redeemed once, for a session that makes one connection. Whatever cannot be redeemed is not found.

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use tidemark_domain::{id::ConnectLinkId, invitation::APPLICATION};
use tidemark_rpc::{
    self as rpc,
    connections::{self as wire, connect_links_service_server::ConnectLinksService},
    identity::Identity,
    status::Refusal,
};
use tidemark_store::ConnectLink;
use tonic::{Request, Response, Status};

use crate::{
    InvitationService,
    audit::{Action, Entry},
    connections,
    invitations::{Desk, name, within},
    refusal::Fault,
    ticket::Ticket,
    token::Token,
};

const DEFAULT_MINUTES: u32 = 15;
const MOST_MINUTES: u32 = 60;
const SESSION: TimeDelta = TimeDelta::minutes(15);

#[tonic::async_trait]
impl ConnectLinksService for InvitationService {
    async fn create_connect_link(
        &self,
        request: Request<wire::CreateConnectLinkRequest>,
    ) -> Result<Response<wire::CreateConnectLinkResponse>, Status> {
        self.answer("CreateConnectLink", request, |desk, identity, request| async move {
            desk.create_link(&identity, &request).await
        })
        .await
    }

    async fn redeem_connect_link(
        &self,
        request: Request<wire::RedeemConnectLinkRequest>,
    ) -> Result<Response<wire::RedeemConnectLinkResponse>, Status> {
        self.answer("RedeemConnectLink", request, |desk, identity, request| async move {
            desk.redeem_link(&identity, request.token).await
        })
        .await
    }

    async fn connect_through_link(
        &self,
        request: Request<wire::ConnectThroughLinkRequest>,
    ) -> Result<Response<wire::ConnectThroughLinkResponse>, Status> {
        self.answer("ConnectThroughLink", request, |desk, identity, request| async move {
            desk.connect_through_link(&identity, request).await
        })
        .await
    }
}

impl Desk {
    async fn create_link(
        &self,
        identity: &Identity,
        request: &wire::CreateConnectLinkRequest,
    ) -> Result<wire::CreateConnectLinkResponse, Fault> {
        let console = self.console()?;
        let organization_id = self.organization(identity, &request.organization_id)?;
        let organization_name = name("organization_name", &request.organization_name)?;
        let return_url = self.settings.return_urls.allow(&request.return_url).ok_or_else(|| {
            let expected = "expected an address that the operator has listed in `console.return_urls`";
            Refusal::invalid("return_url", expected)
        })?;
        let minutes = within("ttl_minutes", request.ttl_minutes, DEFAULT_MINUTES, MOST_MINUTES)?;
        let connection_id = self.bound(&organization_id, &request.connection_id).await?;
        let (clock, entropy) = (&*self.parts.clock, &*self.parts.entropy);
        let now = clock.now();
        let link = ConnectLink {
            id: ConnectLinkId::generate(clock, entropy),
            organization_id,
            organization_name,
            application: APPLICATION.to_owned(),
            connection_id,
            return_url: return_url.into(),
            created_by: identity.name().to_owned(),
            created_at: now,
            expires_at: now + TimeDelta::minutes(minutes),
            redeemed_at: None,
            session_expires_at: None,
            used_at: None,
            made_connection_id: None,
        };
        let token = Token::generate(entropy);
        let entry = Entry::new(Some(&link.organization_id), identity.actor(), Action::CreateLink, &link.id);
        self.parts.audit.record(entry).await?;
        self.parts.store.insert_connect_link(&link, &token.hash()).await?;
        log(&link, "connect link created");
        let url = token.link(console, "connect").expose_secret().to_owned();
        Ok(wire::CreateConnectLinkResponse { url, expires_at: Some(rpc::timestamp(link.expires_at)) })
    }

    async fn redeem_link(
        &self,
        identity: &Identity,
        token: String,
    ) -> Result<wire::RedeemConnectLinkResponse, Fault> {
        let missing = || Refusal::NotFound { what: "connect link" };
        let hash = Token::parse(token).ok_or_else(missing)?.hash();
        let store = &self.parts.store;
        let now = self.parts.clock.now();
        // A caller that may not see the organization must not be able to burn its link.
        let found = store.connect_link_of_token(&hash, now).await?;
        found
            .filter(|found| identity.check(&found.organization_id, "connect link").is_ok())
            .ok_or_else(missing)?;
        let session = Token::generate(&*self.parts.entropy);
        let end = now + SESSION;
        let redeemed = store.redeem_connect_link(&hash, &session.hash(), now, end).await?;
        let link = redeemed.ok_or_else(missing)?;
        let entry = Entry::new(Some(&link.organization_id), identity.actor(), Action::RedeemLink, &link.id);
        self.parts.audit.note(entry);
        log(&link, "connect link redeemed");
        let workspace = self.workspace(link.connection_id.as_ref()).await?;
        Ok(wire::RedeemConnectLinkResponse {
            session: session.expose_secret().to_owned(),
            session_expires_at: Some(rpc::timestamp(end)),
            application: link.application,
            organization_id: link.organization_id.to_string(),
            organization_name: link.organization_name,
            reconnect: link.connection_id.is_some(),
            workspace: workspace.unwrap_or_default(),
            return_url: link.return_url,
        })
    }

    async fn connect_through_link(
        &self,
        identity: &Identity,
        request: wire::ConnectThroughLinkRequest,
    ) -> Result<wire::ConnectThroughLinkResponse, Fault> {
        let missing = || Refusal::NotFound { what: "connect session" };
        let hash = Token::parse(request.session).ok_or_else(missing)?.hash();
        let found = self.parts.store.connect_link_of_session(&hash, self.parts.clock.now()).await?;
        let link = found
            .filter(|found| identity.check(&found.organization_id, "connect link").is_ok())
            .ok_or_else(missing)?;
        let ticket = Ticket::Session(hash);
        let ConnectLink { organization_id, connection_id, .. } = &link;
        let (region, key) = (request.region, request.api_key);
        let by = format!("{} by {}", identity.actor(), link.id);
        let made = self.connect(&by, organization_id, connection_id.as_ref(), region, key, &ticket).await?;
        log(&link, "connect link used");
        let connection = Some(connections::shown(made));
        Ok(wire::ConnectThroughLinkResponse { connection, return_url: link.return_url })
    }
}

fn log(link: &ConnectLink, what: &'static str) {
    tracing::info!(link = %link.id, organization = %link.organization_id, "{what}");
}
