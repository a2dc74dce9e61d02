//! A credential service that invites, the mail server it uses, and its callers.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use secrecy::SecretString;
use tidemark_credentials::{InvitationService, InvitationSettings, Mailer, ReturnUrls};
use tidemark_domain::{Clock as _, id::OrganizationId};
use tidemark_rpc::{
    client::Caller,
    connections::{
        AcceptInvitationRequest, Connection, CreateInvitationRequest, GetInvitationRequest, Invitation,
        InvitationState, InvitationStep, OpenInvitationRequest, OpenInvitationResponse, Region,
        ResendInvitationRequest, RevokeInvitationRequest,
    },
    identity::Identity,
    inproc,
};
use tidemark_runtime::server::Value;
use tidemark_store::{Aging, Retention};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status, service::Routes, service::interceptor::InterceptedService};

use crate::{post::Post, world::World};

pub(crate) const CONSOLE: &str = "https://app.example.com/tidemark";
pub(crate) const RETURN: &str = "https://platform.example.com/apps";
pub(crate) const ADA: &str = "ada@example.com";

pub(crate) struct Office {
    pub(crate) world: World,
    pub(crate) post: Post,
    pub(crate) service: InvitationService,
    pub(crate) caller: Caller,
    _stop: DropGuard,
}

impl Office {
    pub(crate) async fn new() -> Self {
        Self::in_world(World::new().await).await
    }

    pub(crate) async fn in_world(world: World) -> Self {
        let post = Post::open().await;
        let mailer = mailer(&post.url("smtp"));
        Self::with(world, post, |settings| settings.mailer = Some(mailer)).await
    }

    /// Without a mail server, and then as told.
    pub(crate) async fn with(
        world: World,
        post: Post,
        settings: impl FnOnce(&mut InvitationSettings),
    ) -> Self {
        let mut own = InvitationSettings {
            console_url: Some(CONSOLE.parse().unwrap()),
            return_urls: ReturnUrls::new(vec![RETURN.parse().unwrap()]),
            per_day: 50,
            mailer: None,
        };
        settings(&mut own);
        let service = world.service.invitations(own);
        let (caller, stop) = serve(&service, None);
        Self { world, post, service, caller, _stop: stop }
    }

    /// A caller that may see no organization but these.
    pub(crate) fn limited(&self, organizations: &[&OrganizationId]) -> (Caller, DropGuard) {
        serve(&self.service, Some(organizations.iter().copied().cloned().collect()))
    }

    pub(crate) fn request(&self) -> CreateInvitationRequest {
        CreateInvitationRequest {
            organization_id: self.world.organization.to_string(),
            organization_name: "Acme".to_owned(),
            invitee_email: ADA.to_owned(),
            invitee_name: "Ada".to_owned(),
            invited_by: "Grace".to_owned(),
            ..Default::default()
        }
    }

    /// The invitation and what its link holds.
    pub(crate) async fn create(
        &self,
        request: CreateInvitationRequest,
    ) -> Result<(Invitation, String), Status> {
        let response = self.caller.invitations().create_invitation(request).await?.into_inner();
        Ok((response.invitation.unwrap(), held(&response.link)))
    }

    pub(crate) async fn invited(&self) -> (Invitation, String) {
        self.create(self.request()).await.unwrap()
    }

    pub(crate) async fn get(&self, id: &str) -> Invitation {
        let request = GetInvitationRequest { invitation_id: id.to_owned() };
        let response = self.caller.invitations().get_invitation(request).await.unwrap();
        response.into_inner().invitation.unwrap()
    }

    pub(crate) async fn open(&self, token: &str) -> Result<OpenInvitationResponse, Status> {
        let request = OpenInvitationRequest { token: token.to_owned() };
        Ok(self.caller.invitations().open_invitation(request).await?.into_inner())
    }

    pub(crate) async fn accept(&self, token: &str, key: &str) -> Result<Connection, Status> {
        let (token, api_key, region) = (token.to_owned(), key.to_owned(), Region::Us.into());
        let request = AcceptInvitationRequest { token, api_key, region };
        let response = self.caller.invitations().accept_invitation(request).await?;
        Ok(response.into_inner().connection.unwrap())
    }

    pub(crate) async fn resend(&self, id: &str) -> Result<(Invitation, String), Status> {
        let request = ResendInvitationRequest { invitation_id: id.to_owned(), actor: "Linus".to_owned() };
        let response = self.caller.invitations().resend_invitation(request).await?.into_inner();
        Ok((response.invitation.unwrap(), held(&response.link)))
    }

    pub(crate) async fn revoke(&self, id: &str) -> Result<Invitation, Status> {
        let request = RevokeInvitationRequest { invitation_id: id.to_owned(), actor: String::new() };
        let response = self.caller.invitations().revoke_invitation(request).await?;
        Ok(response.into_inner().invitation.unwrap())
    }

    /// Deletes what is kept no longer, as the process does every hour.
    pub(crate) async fn forget(&self) {
        let retention =
            Retention { messages_days: 14, links_days: 30, invitations_days: 180, history_days: 400 };
        for aging in Aging::all() {
            let now = self.world.clock.now();
            self.world.store.forget_old(aging, now, &retention, 1_000).await.unwrap();
        }
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        self.world.clock.advance(by);
    }

    /// Tries the mails that are due; tells how many.
    pub(crate) async fn deliver(&self) -> usize {
        let mut tried = 0;
        while self.service.deliver_next().await.unwrap() {
            tried += 1;
        }
        tried
    }
}

pub(crate) fn mailer(url: &str) -> Mailer {
    let from = "Tidemark <no-reply@tidemark.example>";
    Mailer::new(&Value::Text(url.into()), from, "Help <help@tidemark.example>").unwrap()
}

/// The last part of a link.
pub(crate) fn held(link: &str) -> String {
    assert!(link.starts_with(CONSOLE), "{link}");
    link.rsplit('/').next().unwrap().to_owned()
}

pub(crate) fn steps(invitation: &Invitation) -> Vec<(InvitationStep, &str)> {
    invitation.history.iter().map(|entry| (entry.step(), entry.by.as_str())).collect()
}

pub(crate) fn is(invitation: &Invitation, state: InvitationState) {
    assert_eq!(invitation.state(), state, "{invitation:?}");
}

fn serve(
    service: &InvitationService,
    organizations: Option<BTreeSet<OrganizationId>>,
) -> (Caller, DropGuard) {
    let identity = Identity::new("platform", organizations);
    let known = move |mut request: Request<()>| {
        request.extensions_mut().insert(identity.clone());
        Ok(request)
    };
    let routes = Routes::new(InterceptedService::new(service.invitations_server(), known.clone()))
        .add_service(InterceptedService::new(service.connect_links_server(), known.clone()))
        .add_service(InterceptedService::new(service.console_server(), known));
    let (channel, incoming) = inproc::pair();
    let stop = CancellationToken::new();
    let server = tonic::transport::Server::builder().add_routes(routes);
    tokio::spawn(server.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned()));
    (Caller::over(channel, &SecretString::from("a-service-token")).unwrap(), stop.drop_guard())
}
