//! Making, resending and revoking invitations. Each link that is made counts against the organization's day.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use tidemark_domain::{
    id::InvitationId,
    invitation::{APPLICATION, Entry, State, Step},
};
use tidemark_rpc::{self as rpc, connections as wire, identity::Identity, status::Refusal};
use tidemark_store::{Invitation, Tx};

use super::{Desk, fields, life};
use crate::{
    audit::{self, Action},
    refusal::Fault,
    token::Token,
};

const DEFAULT_DAYS: u32 = 7;
const MOST_DAYS: u32 = 30;
/// The first link, and five resends.
pub(super) const MOST_ISSUES: i64 = 6;
/// One mail a minute.
pub(super) const BETWEEN_ISSUES: TimeDelta = TimeDelta::minutes(1);
/// A mail that no server has taken by then is given up.
const GIVE_UP_AFTER: TimeDelta = TimeDelta::hours(24);

const NO_MAILER: &str = "No mail was sent, because this installation has no mail server. \
                         Copy the link and send it yourself.";

impl Desk {
    pub(super) async fn create(
        &self,
        identity: &Identity,
        request: &wire::CreateInvitationRequest,
    ) -> Result<wire::CreateInvitationResponse, Fault> {
        self.console()?;
        let mut invitation = self.new_invitation(identity, request).await?;
        let now = invitation.created_at;
        let tx = self.parts.store.begin().await?;
        self.count(&tx, &invitation, now).await?;
        self.announce(&mut invitation);
        tx.insert_invitation(&invitation).await?;
        let link = self.issue(&tx, &invitation, now).await?;
        self.parts.audit.append(&tx, entry(&invitation, identity, Action::CreateLink)).await?;
        tx.commit().await?;
        log(&invitation, "invitation created");
        let link = link.expose_secret().to_owned();
        Ok(wire::CreateInvitationResponse { invitation: Some(self.shown(invitation)), link })
    }

    async fn new_invitation(
        &self,
        identity: &Identity,
        request: &wire::CreateInvitationRequest,
    ) -> Result<Invitation, Fault> {
        let organization_id = self.organization(identity, &request.organization_id)?;
        let organization_name = fields::name("organization_name", &request.organization_name)?;
        let invited_by = fields::name("invited_by", &request.invited_by)?;
        fields::application(&request.application)?;
        let invitee_email = fields::address("invitee_email", &request.invitee_email)?;
        let invitee_name = fields::optional_name("invitee_name", &request.invitee_name)?;
        let ttl_days = fields::within("ttl_days", request.ttl_days, DEFAULT_DAYS, MOST_DAYS)?;
        let connection_id = self.bound(&organization_id, &request.connection_id).await?;
        let (clock, entropy) = (&*self.parts.clock, &*self.parts.entropy);
        let now = clock.now();
        Ok(Invitation {
            id: InvitationId::generate(clock, entropy),
            organization_id,
            organization_name,
            application: APPLICATION.to_owned(),
            connection_id,
            invitee_email,
            invitee_name,
            history: vec![Entry { at: now, step: Step::Created, by: invited_by.clone(), note: None }],
            invited_by,
            state: State::Created,
            ttl_days,
            expires_at: now + TimeDelta::days(ttl_days),
            issues: 1,
            issued_at: now,
            delivery_note: None,
            made_connection_id: None,
            revision: 0,
            created_at: now,
            updated_at: now,
        })
    }

    pub(super) async fn resend(
        &self,
        identity: &Identity,
        request: &wire::ResendInvitationRequest,
    ) -> Result<wire::ResendInvitationResponse, Fault> {
        self.console()?;
        let id = rpc::parse("invitation_id", &request.invitation_id)?;
        let actor = fields::actor(identity, &request.actor)?;
        self.visible(identity, &id).await?;
        let now = self.parts.clock.now();
        let tx = self.parts.store.begin().await?;
        let taken = tx.take_invitation(&id).await?;
        let mut invitation = taken.ok_or(Refusal::NotFound { what: "invitation" })?;
        life::step(&mut invitation, Step::Resent, &actor, None, now)?;
        check_pace(&invitation, now)?;
        self.count(&tx, &invitation, now).await?;
        invitation.issues += 1;
        invitation.issued_at = now;
        invitation.expires_at = now + TimeDelta::days(invitation.ttl_days);
        self.announce(&mut invitation);
        tx.delete_invitation_tokens(&id).await?;
        let link = self.issue(&tx, &invitation, now).await?;
        if !tx.update_invitation(&invitation).await? {
            return Err(Fault::Overtaken);
        }
        self.parts.audit.append(&tx, entry(&invitation, identity, Action::CreateLink)).await?;
        tx.commit().await?;
        log(&invitation, "invitation resent");
        let link = link.expose_secret().to_owned();
        Ok(wire::ResendInvitationResponse { invitation: Some(self.shown(invitation)), link })
    }

    pub(super) async fn revoke(
        &self,
        identity: &Identity,
        request: &wire::RevokeInvitationRequest,
    ) -> Result<wire::RevokeInvitationResponse, Fault> {
        let id = rpc::parse("invitation_id", &request.invitation_id)?;
        let actor = fields::actor(identity, &request.actor)?;
        self.visible(identity, &id).await?;
        let now = self.parts.clock.now();
        let tx = self.parts.store.begin().await?;
        let taken = tx.take_invitation(&id).await?;
        let mut invitation = taken.ok_or(Refusal::NotFound { what: "invitation" })?;
        if invitation.state != State::Revoked {
            life::check_open(&invitation, now)?;
            life::step(&mut invitation, Step::Revoked, &actor, None, now)?;
            tx.drop_invitation_mail(&id).await?;
            if !tx.update_invitation(&invitation).await? {
                return Err(Fault::Overtaken);
            }
            self.parts.audit.append(&tx, entry(&invitation, identity, Action::RevokeLink)).await?;
            tx.commit().await?;
            log(&invitation, "invitation revoked");
        }
        Ok(wire::RevokeInvitationResponse { invitation: Some(self.shown(invitation)) })
    }

    /// Takes one of the organization's links of the day, or says when there are new ones.
    async fn count(&self, tx: &Tx, invitation: &Invitation, now: DateTime<Utc>) -> Result<(), Fault> {
        let limit = self.settings.per_day;
        let today = now.date_naive();
        if tx.take_invitation_quota(&invitation.organization_id, today, limit).await? {
            return Ok(());
        }
        let tomorrow = today.and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::days(1);
        let sentence = format!(
            "This organization has made {limit} invitation links today, which is the limit. \
             Revoke what is not needed, and try again tomorrow (UTC)."
        );
        Err(Refusal::Exhausted { sentence, retry_after: until(tomorrow, now) }.into())
    }

    /// Says beforehand where no mail will come of it.
    fn announce(&self, invitation: &mut Invitation) {
        let wanted = invitation.invitee_email.is_some() && self.settings.mailer.is_none();
        invitation.delivery_note = wanted.then(|| NO_MAILER.to_owned());
    }

    /// Makes a link, and asks for the mail with one of its own.
    async fn issue(
        &self,
        tx: &Tx,
        invitation: &Invitation,
        now: DateTime<Utc>,
    ) -> Result<SecretString, Fault> {
        let token = Token::generate(&*self.parts.entropy);
        tx.insert_invitation_token(&invitation.id, &token.hash()).await?;
        if invitation.invitee_email.is_some() && self.settings.mailer.is_some() {
            let give_up_at = (now + GIVE_UP_AFTER).min(invitation.expires_at);
            tx.ask_for_invitation_mail(&invitation.id, invitation.issues, now, give_up_at).await?;
        }
        Ok(super::link(self.console()?, &token))
    }
}

fn check_pace(invitation: &Invitation, now: DateTime<Utc>) -> Result<(), Refusal> {
    if invitation.issues >= MOST_ISSUES {
        let sentence = format!(
            "This invitation was sent {MOST_ISSUES} times, which is the limit. Its last link works until it ends; \
             for another one, make a new invitation."
        );
        return Err(Refusal::Precondition { reason: "RESEND_LIMIT", sentence });
    }
    let next = invitation.issued_at + BETWEEN_ISSUES;
    if now < next {
        let sentence = "This invitation was sent less than a minute ago. Wait a minute, then resend it.";
        return Err(Refusal::Exhausted { sentence: sentence.to_owned(), retry_after: until(next, now) });
    }
    Ok(())
}

fn until(then: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (then - now).to_std().unwrap_or(Duration::ZERO)
}

fn entry(invitation: &Invitation, by: &Identity, action: Action) -> audit::Entry {
    audit::Entry::new(Some(&invitation.organization_id), by.actor(), action, &invitation.id)
}

fn log(invitation: &Invitation, what: &'static str) {
    let Invitation { id, organization_id, issues, .. } = invitation;
    tracing::info!(invitation = %id, organization = %organization_id, issues, "{what}");
}
