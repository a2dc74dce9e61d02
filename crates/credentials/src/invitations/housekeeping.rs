//! What happens to invitations by itself: mails leave, days end, links of ended ones are forgotten.

use std::{error::Error as StdError, time::Duration};

use chrono::TimeDelta;
use tidemark_domain::{id::InvitationId, invitation::Step};
use tidemark_runtime::Shutdown;

use super::{Desk, InvitationService, life};
use crate::refusal::Fault;

const IDLE: Duration = Duration::from_secs(1);
const AFTER_A_FAULT: Duration = Duration::from_secs(5);
const ROUNDS_BETWEEN_CLEANUPS: u32 = 60;
/// So long the holder of a link that has ended can learn how it ended.
const REMEMBERED: TimeDelta = TimeDelta::days(30);
const BATCH: u64 = 100;

impl InvitationService {
    /// Sends mails and keeps house until the shutdown. Any number of replicas may run it.
    pub async fn run(&self, shutdown: Shutdown) {
        let mut rounds = 0_u32;
        loop {
            let pause = match self.deliver_next().await {
                Ok(true) => Duration::ZERO,
                Ok(false) => IDLE,
                Err(error) => {
                    warn(&error, "waiting mails not read or not written, trying again");
                    AFTER_A_FAULT
                }
            };
            if rounds.is_multiple_of(ROUNDS_BETWEEN_CLEANUPS)
                && let Err(error) = self.keep_house().await
            {
                warn(&error, "ended invitations not tidied, trying again later");
            }
            rounds = rounds.wrapping_add(1);
            if !shutdown.pause(pause).await {
                return;
            }
        }
    }

    /// Tries the mail that is due the longest once; tells whether there was one.
    pub async fn deliver_next(&self) -> tidemark_store::Result<bool> {
        self.desk().deliver_next().await
    }

    /// Marks what has expired, and forgets the links of what ended long ago.
    pub async fn keep_house(&self) -> tidemark_store::Result<()> {
        let desk = self.desk();
        let store = &desk.parts.store;
        let now = desk.parts.clock.now();
        for id in store.overdue_invitations(now, BATCH).await? {
            match desk.expire(&id).await {
                Ok(()) => {}
                Err(Fault::Store(error)) => return Err(error),
                // Somebody else ended or resent it meanwhile.
                Err(_) => tracing::debug!(invitation = %id, "an overdue invitation was not as it had been"),
            }
        }
        store.delete_ended_tokens(now - REMEMBERED).await?;
        store.delete_connect_links_before(now - REMEMBERED).await?;
        store.delete_console_sessions_before(now - REMEMBERED).await?;
        Ok(())
    }
}

impl Desk {
    async fn expire(&self, id: &InvitationId) -> Result<(), Fault> {
        let now = self.parts.clock.now();
        let tx = self.parts.store.begin().await?;
        let Some(mut invitation) = tx.take_invitation(id).await? else { return Ok(()) };
        if !invitation.state.is_open() || life::check_open(&invitation, now).is_ok() {
            return Ok(());
        }
        life::step(&mut invitation, Step::Expired, life::CLOCK, None, now)?;
        tx.drop_invitation_mail(id).await?;
        if !tx.update_invitation(&invitation).await? {
            return Err(Fault::Overtaken);
        }
        tx.commit().await?;
        tracing::info!(invitation = %id, "invitation expired");
        Ok(())
    }
}

fn warn(error: &tidemark_store::Error, what: &'static str) {
    let error: &(dyn StdError + 'static) = error;
    tracing::warn!(error, "{what}");
}
