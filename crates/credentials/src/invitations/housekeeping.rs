//! What happens to invitations without anybody's doing: mails leave, and days end.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tidemark_domain::{id::InvitationId, invitation::Step};
use tidemark_runtime::{Shutdown, tasks::rounds};

use super::{Desk, InvitationService, life};
use crate::refusal::{Fault, item};

const IDLE: Duration = Duration::from_secs(1);
const BETWEEN_CLEANUPS: Duration = Duration::from_secs(60);
const BATCH: u64 = 100;

impl InvitationService {
    /// Sends mails and keeps house until the shutdown. Any number of replicas may run it.
    pub async fn run(&self, shutdown: Shutdown) {
        tokio::join!(
            rounds("mails", &shutdown, || async {
                self.deliver_next().await.map(|was_due| if was_due { Duration::ZERO } else { IDLE })
            }),
            rounds("invitations", &shutdown, || async { self.keep_house().await.map(|()| BETWEEN_CLEANUPS) }),
        );
    }

    /// Tries the mail that is due the longest once; tells whether there was one.
    pub async fn deliver_next(&self) -> tidemark_store::Result<bool> {
        self.desk().deliver_next().await
    }

    /// Marks what has expired.
    pub async fn keep_house(&self) -> tidemark_store::Result<()> {
        let desk = self.desk();
        let now = desk.parts.clock.now();
        desk.expire_overdue(now).await
    }
}

impl Desk {
    /// One after the other, past those that fail: these stay where they are in the list and are stepped over.
    async fn expire_overdue(&self, now: DateTime<Utc>) -> tidemark_store::Result<()> {
        let failed = AtomicU64::new(0);
        loop {
            let skipped = failed.load(Ordering::Relaxed);
            let overdue = self.parts.store.overdue_invitations(now, skipped, BATCH).await?;
            for id in &overdue {
                failed.fetch_add(1, Ordering::Relaxed);
                let expire = async {
                    match self.expire(id).await {
                        Ok(true) => drop(failed.fetch_sub(1, Ordering::Relaxed)),
                        Ok(false) | Err(Fault::Overtaken | Fault::Refused(_)) => {
                            tracing::debug!(invitation = %id, "an overdue invitation was not as it had been");
                        }
                        Err(fault) => return Err(fault),
                    }
                    Ok(())
                };
                item("invitations", id, expire).await;
            }
            if (overdue.len() as u64) < BATCH {
                return Ok(());
            }
        }
    }

    /// `false` where somebody else ended it or sent it again at the same time.
    async fn expire(&self, id: &InvitationId) -> Result<bool, Fault> {
        let now = self.parts.clock.now();
        let tx = self.parts.store.begin().await?;
        let Some(mut invitation) = tx.take_invitation(id).await? else { return Ok(false) };
        if !invitation.state.is_open() || life::check_open(&invitation, now).is_ok() {
            return Ok(false);
        }
        life::step(&mut invitation, Step::Expired, life::CLOCK, None, now)?;
        tx.drop_invitation_mail(id).await?;
        if !tx.update_invitation(&invitation).await? {
            return Err(Fault::Overtaken);
        }
        tx.commit().await?;
        tracing::info!(invitation = %id, "invitation expired");
        Ok(true)
    }
}
