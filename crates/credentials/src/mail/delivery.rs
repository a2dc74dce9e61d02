//! Delivers the mails that wait in the record. An attempt is claimed, so that of any number of replicas one makes it; a
//! mail whose fate is unknown is sent again, under the same id.
//!
//! Each attempt makes a link of its own, since the record keeps no link that could be sent. No transaction is open while
//! a server is talked to.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lettre::message::Mailbox;
use secrecy::SecretString;
use tidemark_domain::invitation::Step;
use tidemark_runtime::metrics::credentials as metrics;
use tidemark_store::{self as store, ClaimedMail, Invitation};

use super::{
    Letter, Mailer, Posted,
    outcome::{Outcome, Problem},
};
use crate::{
    invitations::{self, Desk, life},
    refusal::{Fault, item},
    token::Token,
};

/// Longer than an attempt can take.
const CLAIM: Duration = Duration::from_secs(120);
const FIRST_PAUSE: TimeDelta = TimeDelta::minutes(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);

const INSTEAD: &str = "Check the address and invite again, or copy a link and send it yourself.";

impl Desk {
    /// Tries the mail that is due the longest; tells whether there was one.
    pub(crate) async fn deliver_next(&self) -> tidemark_store::Result<bool> {
        // Without a mail server here, mails wait for a process that has one.
        let Some(mailer) = &self.settings.mailer else { return Ok(false) };
        let now = self.parts.clock.now();
        // One at a time: a process that is told to stop leaves no claim behind.
        let claimed = self.parts.store.claim_invitation_mails(now, 1, CLAIM).await?;
        let Some(mail) = claimed.first() else { return Ok(false) };
        let (mut is_done, mut outage) = (false, None);
        let deliver = async {
            match self.deliver(mailer, mail).await {
                // The others would fare no better; this one comes again when its claim has run out.
                Err(Fault::Store(error @ store::Error::Unavailable(_))) => outage = Some(error),
                outcome => {
                    outcome?;
                    is_done = true;
                }
            }
            Ok(())
        };
        item("mails", &mail.invitation_id, deliver).await;
        if let Some(error) = outage {
            return Err(error);
        }
        if is_done {
            return Ok(true);
        }
        // What is wrong is this mail's: it waits longer each time, and not in front of the others.
        let tx = self.parts.store.begin().await?;
        tx.postpone_invitation_mail(mail, next_attempt(mail, self.parts.clock.now())).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn deliver(&self, mailer: &Mailer, mail: &ClaimedMail) -> Result<(), Fault> {
        let Some((invitation, to, link)) = self.prepare(mail).await? else { return Ok(()) };
        let workspace = self.workspace(invitation.connection_id.as_ref()).await?;
        let letter = Letter {
            organization: &invitation.organization_name,
            invited_by: &invitation.invited_by,
            invitee: invitation.invitee_name.as_deref(),
            reconnect: invitation.connection_id.is_some(),
            workspace: workspace.as_deref(),
            link: &link,
            expires_at: invitation.expires_at,
        };
        let id = format!("{}.{}", mail.invitation_id, mail.issue);
        let posted = Posted { to, letter: &letter, id, date: self.parts.clock.now() };
        let outcome = mailer.send(posted).await;
        log(mail, &outcome);
        self.record(mail, outcome).await
    }

    /// The mail with a link of its own, if it is still wanted.
    async fn prepare(
        &self,
        mail: &ClaimedMail,
    ) -> Result<Option<(Invitation, Mailbox, SecretString)>, Fault> {
        let console = self.console()?;
        let now = self.parts.clock.now();
        let tx = self.parts.store.begin().await?;
        let Some(invitation) = tx.take_invitation(&mail.invitation_id).await? else { return Ok(None) };
        if !tx.holds_invitation_mail(mail).await? {
            return Ok(None);
        }
        let address = invitation.invitee_email.as_deref().and_then(|address| address.parse().ok());
        let Some(address) = address.filter(|_| life::check_open(&invitation, now).is_ok()) else {
            tx.finish_invitation_mail(mail).await?;
            tx.commit().await?;
            return Ok(None);
        };
        let token = Token::generate(&*self.parts.entropy);
        tx.insert_invitation_token(&invitation.id, &token.hash()).await?;
        tx.commit().await?;
        let to = Mailbox::new(invitation.invitee_name.clone(), address);
        let link = invitations::link(console, &token);
        Ok(Some((invitation, to, link)))
    }

    /// Remembers what became of an attempt. Whoever lost the claim meanwhile has nothing to say any more.
    async fn record(&self, mail: &ClaimedMail, outcome: Outcome) -> Result<(), Fault> {
        let now = self.parts.clock.now();
        let tx = self.parts.store.begin().await?;
        let Some(mut invitation) = tx.take_invitation(&mail.invitation_id).await? else { return Ok(()) };
        let next = next_attempt(mail, now);
        let kept = match &outcome {
            Outcome::Later(_) if next <= mail.give_up_at => tx.postpone_invitation_mail(mail, next).await?,
            _ => tx.finish_invitation_mail(mail).await?,
        };
        if !kept {
            return Ok(());
        }
        let followed = match &outcome {
            Outcome::Taken => "taken",
            Outcome::Later(_) if next <= mail.give_up_at => "retried",
            Outcome::Later(_) | Outcome::Refused(_) => "given_up",
        };
        metrics::mail(followed);
        match outcome {
            Outcome::Taken => {
                invitation.delivery_note = None;
                life::step(&mut invitation, Step::Sent, life::MAIL, None, now)?;
            }
            Outcome::Later(problem) if next <= mail.give_up_at => {
                let end = mail.give_up_at.format("%-d %B %Y, %H:%M UTC");
                let note = format!("{} The mail is tried again until {end}.", problem.sentence);
                invitation.delivery_note = Some(note);
            }
            Outcome::Later(problem) | Outcome::Refused(problem) => {
                invitation.delivery_note = Some(format!("{} {INSTEAD}", problem.sentence));
                life::step(&mut invitation, Step::DeliveryFailed, life::MAIL, Some(problem.sentence), now)?;
            }
        }
        if !tx.update_invitation(&invitation).await? {
            return Err(Fault::Overtaken);
        }
        Ok(tx.commit().await?)
    }
}

/// One minute, two, four… up to an hour.
fn next_attempt(mail: &ClaimedMail, now: DateTime<Utc>) -> DateTime<Utc> {
    let doublings = u32::try_from(mail.attempt - 1).unwrap_or(0).min(6);
    now + (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE)
}

fn log(mail: &ClaimedMail, outcome: &Outcome) {
    let ClaimedMail { invitation_id, issue, attempt, .. } = mail;
    match outcome {
        Outcome::Taken => {
            tracing::info!(invitation = %invitation_id, issue, attempt, "invitation mail sent");
        }
        Outcome::Later(Problem { code, cause, .. }) => {
            tracing::warn!(invitation = %invitation_id, issue, attempt, code, cause, "mail not taken yet");
        }
        Outcome::Refused(Problem { code, cause, .. }) => {
            tracing::warn!(invitation = %invitation_id, issue, attempt, code, cause, "mail refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_domain::id::InvitationId;
    use tidemark_testkit::{ManualClock, SeededEntropy};

    use super::*;

    #[test]
    fn attempts_come_at_growing_distances_up_to_an_hour() {
        let clock = ManualClock::noon("2026-08-12".parse().unwrap());
        let now = tidemark_domain::Clock::now(&clock);
        let pause = |attempt| {
            let invitation_id = InvitationId::generate(&clock, &SeededEntropy::new(1));
            let mail = ClaimedMail { invitation_id, issue: 1, attempt, give_up_at: now };
            (next_attempt(&mail, now) - now).num_minutes()
        };
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 900].map(pause), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
