//! Sessions of the console. The platform knows its people and lets one in by a link; there is no user database here.
//!
//! A link is redeemed once. A session ends an hour after its last use and twelve hours after it began, and changes its
//! secret every quarter of an hour: what was copied from a browser does not work for long.

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use tidemark_domain::id::ConsoleSessionId;
use tidemark_rpc::{
    self as rpc,
    connections::{
        self as wire, ConsoleRole,
        console_service_server::{ConsoleService, ConsoleServiceServer},
    },
    identity::Identity,
    status::Refusal,
};
use tidemark_store::{ConsoleSession, SessionTimes};
use tonic::{Request, Response, Status};

use crate::{
    InvitationService,
    audit::{Action, Entry},
    invitations::{Desk, name, within},
    refusal::Fault,
    token::{Hash, Token},
};

const DEFAULT_MINUTES: u32 = 5;
const MOST_MINUTES: u32 = 60;
const ABSOLUTE: TimeDelta = TimeDelta::hours(12);
const IDLE: TimeDelta = TimeDelta::hours(1);
const ROTATED_EVERY: TimeDelta = TimeDelta::minutes(15);
/// Answers that were on their way when the secret changed.
const GRACE: TimeDelta = TimeDelta::minutes(1);
/// A use is noted at most this often.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);
const LONGEST_PATH: usize = 512;

impl InvitationService {
    /// The server of the console's sessions. Whoever serves it puts a guard in front.
    pub fn console_server(&self) -> ConsoleServiceServer<Self> {
        ConsoleServiceServer::new(self.clone())
    }
}

#[tonic::async_trait]
impl ConsoleService for InvitationService {
    async fn create_console_link(
        &self,
        request: Request<wire::CreateConsoleLinkRequest>,
    ) -> Result<Response<wire::CreateConsoleLinkResponse>, Status> {
        self.answer("CreateConsoleLink", request, |desk, identity, request| async move {
            desk.let_in(&identity, &request).await
        })
        .await
    }

    async fn redeem_console_link(
        &self,
        request: Request<wire::RedeemConsoleLinkRequest>,
    ) -> Result<Response<wire::RedeemConsoleLinkResponse>, Status> {
        self.answer("RedeemConsoleLink", request, |desk, identity, request| async move {
            desk.enter(&identity, request.token).await
        })
        .await
    }

    async fn touch_console_session(
        &self,
        request: Request<wire::TouchConsoleSessionRequest>,
    ) -> Result<Response<wire::TouchConsoleSessionResponse>, Status> {
        self.answer("TouchConsoleSession", request, |desk, identity, request| async move {
            desk.touch(&identity, request).await
        })
        .await
    }

    async fn end_console_session(
        &self,
        request: Request<wire::EndConsoleSessionRequest>,
    ) -> Result<Response<wire::EndConsoleSessionResponse>, Status> {
        self.answer("EndConsoleSession", request, |desk, identity, request| async move {
            desk.leave(&identity, request.session).await
        })
        .await
    }
}

impl Desk {
    async fn let_in(
        &self,
        identity: &Identity,
        request: &wire::CreateConsoleLinkRequest,
    ) -> Result<wire::CreateConsoleLinkResponse, Fault> {
        let console = self.console()?;
        let organization_id = self.organization(identity, &request.organization_id)?;
        let minutes = within("ttl_minutes", request.ttl_minutes, DEFAULT_MINUTES, MOST_MINUTES)?;
        let (clock, entropy) = (&*self.parts.clock, &*self.parts.entropy);
        let now = clock.now();
        let link = ConsoleSession {
            id: ConsoleSessionId::generate(clock, entropy),
            organization_id,
            organization_name: name("organization_name", &request.organization_name)?,
            person: name("person", &request.person)?,
            role: role_name(request.role())?.to_owned(),
            path: page(&request.path)?,
            created_by: identity.name().to_owned(),
            form_token: Token::generate(entropy).expose_secret().to_owned(),
            created_at: now,
            expires_at: now + TimeDelta::minutes(minutes),
            rotated_at: None,
            seen_at: None,
            session_expires_at: None,
        };
        let token = Token::generate(entropy);
        let entry = Entry::new(Some(&link.organization_id), identity.actor(), Action::CreateLink, &link.id);
        let tx = self.parts.store.begin().await?;
        tx.insert_console_link(&link, &token.hash()).await?;
        self.parts.audit.append(&tx, entry.with("role", &link.role)).await?;
        tx.commit().await?;
        log(&link, "console link created");
        let url = token.link(console, "enter").expose_secret().to_owned();
        Ok(wire::CreateConsoleLinkResponse { url, expires_at: Some(rpc::timestamp(link.expires_at)) })
    }

    async fn enter(
        &self,
        identity: &Identity,
        token: String,
    ) -> Result<wire::RedeemConsoleLinkResponse, Fault> {
        let missing = || Refusal::NotFound { what: "console link" };
        let hash = Token::parse(token).ok_or_else(missing)?.hash();
        let now = self.parts.clock.now();
        // A caller that may not see the organization must not be able to burn its link.
        let found = self.parts.store.console_link(&hash, now).await?;
        found.filter(|found| may_see(identity, found)).ok_or_else(missing)?;
        let session = Token::generate(&*self.parts.entropy);
        let tx = self.parts.store.begin().await?;
        let redeemed = tx.redeem_console_link(&hash, &session.hash(), now, now + ABSOLUTE).await?;
        let link = redeemed.ok_or_else(missing)?;
        let entry = Entry::new(Some(&link.organization_id), identity.actor(), Action::RedeemLink, &link.id);
        self.parts.audit.append(&tx, entry.with("role", &link.role)).await?;
        tx.commit().await?;
        log(&link, "console session begun");
        let path = link.path.clone();
        let session = session.expose_secret().to_owned();
        Ok(wire::RedeemConsoleLinkResponse { session, claims: Some(claims(link)), path })
    }

    async fn touch(
        &self,
        identity: &Identity,
        request: wire::TouchConsoleSessionRequest,
    ) -> Result<wire::TouchConsoleSessionResponse, Fault> {
        let missing = || Refusal::NotFound { what: "console session" };
        let hash = Token::parse(request.session).ok_or_else(missing)?.hash();
        let store = &self.parts.store;
        let now = self.parts.clock.now();
        let times = SessionTimes { now, seen_since: now - IDLE, replaced_since: now - GRACE };
        let found = store.console_session(&hash, times).await?;
        let (found, is_present) = found.filter(|(found, _)| may_see(identity, found)).ok_or_else(missing)?;
        let older = |at: Option<chrono::DateTime<chrono::Utc>>, than| at.is_none_or(|at| now - at >= than);
        let mut session = String::new();
        if !request.passive {
            if is_present && older(found.rotated_at, ROTATED_EVERY) {
                session = self.rotate(&hash).await?;
            }
            if session.is_empty() && older(found.seen_at, NOTED_EVERY) {
                store.console_session_seen(&found.id, now).await?;
            }
        }
        Ok(wire::TouchConsoleSessionResponse { claims: Some(claims(found)), session })
    }

    /// The session's next secret; empty where another call was faster.
    async fn rotate(&self, hash: &Hash) -> Result<String, Fault> {
        let next = Token::generate(&*self.parts.entropy);
        let now = self.parts.clock.now();
        let rotated = self.parts.store.rotate_console_session(hash, &next.hash(), now).await?;
        Ok(if rotated { next.expose_secret().to_owned() } else { String::new() })
    }

    async fn leave(
        &self,
        identity: &Identity,
        session: String,
    ) -> Result<wire::EndConsoleSessionResponse, Fault> {
        let done = wire::EndConsoleSessionResponse {};
        let token = Token::parse(session);
        let token = token.ok_or_else(|| Refusal::invalid("session", "expected a session as it was given"))?;
        let now = self.parts.clock.now();
        let times = SessionTimes { now, seen_since: now - IDLE, replaced_since: now - GRACE };
        let found = self.parts.store.console_session(&token.hash(), times).await?;
        if let Some((session, _)) = found.filter(|(found, _)| may_see(identity, found)) {
            self.parts.store.end_console_session(&token.hash(), now).await?;
            log(&session, "console session ended");
        }
        Ok(done)
    }
}

fn may_see(identity: &Identity, session: &ConsoleSession) -> bool {
    identity.check(&session.organization_id, "console session").is_ok()
}

fn claims(session: ConsoleSession) -> wire::ConsoleClaims {
    let role = if session.role == "admin" { ConsoleRole::Admin } else { ConsoleRole::Viewer };
    wire::ConsoleClaims {
        organization_id: session.organization_id.to_string(),
        organization_name: session.organization_name,
        person: session.person,
        role: role.into(),
        form_token: session.form_token,
        expires_at: session.session_expires_at.map(rpc::timestamp),
    }
}

fn role_name(role: ConsoleRole) -> Result<&'static str, Refusal> {
    match role {
        ConsoleRole::Admin => Ok("admin"),
        ConsoleRole::Viewer => Ok("viewer"),
        ConsoleRole::Unspecified => {
            Err(Refusal::invalid("role", "expected CONSOLE_ROLE_VIEWER or CONSOLE_ROLE_ADMIN"))
        }
    }
}

/// A page of the console itself: a link of ours must not lead to somebody else's.
fn page(text: &str) -> Result<String, Refusal> {
    if text.is_empty() {
        return Ok("/".to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.?=&~".contains(c);
    let local = text.starts_with('/') && !text.starts_with("//") && !text.contains("..");
    if local && text.len() <= LONGEST_PATH && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Refusal::invalid("path", "expected a page of the console, such as `/connections`"))
}

fn log(session: &ConsoleSession, what: &'static str) {
    tracing::info!(session = %session.id, organization = %session.organization_id, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_page_of_the_console_only() {
        assert_eq!(page("").unwrap(), "/");
        for good in ["/", "/connections", "/connections/conn_1?tab=2"] {
            assert_eq!(page(good).unwrap(), good);
        }
        for evil in
            ["//evil.example", "https://evil.example", "/\\evil", "/../x", "connections", "/a b", "/#x"]
        {
            assert!(page(evil).is_err(), "{evil}");
        }
    }
}
