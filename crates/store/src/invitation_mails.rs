//! Mails of invitations that wait to be sent. A claim counts the attempt; whoever lost the claim writes nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::id::InvitationId;

use crate::{
    dialect,
    error::Result,
    statement::{Row, execute, int, readable, rows},
    store::{Store, Tx},
};

/// A mail that was claimed for an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedMail {
    /// Whose mail it is.
    pub invitation_id: InvitationId,
    /// Which of the invitation's issues it tells of.
    pub issue: i64,
    /// Which attempt this is, from 1.
    pub attempt: i64,
    /// After this, it is not tried again.
    pub give_up_at: DateTime<Utc>,
}

impl ClaimedMail {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            invitation_id: row.parsed("invitation_id", |text| text.parse().ok())?,
            issue: row.get("issue")?,
            attempt: row.get("attempts")?,
            give_up_at: row.get("give_up_at")?,
        })
    }

    /// Names the claim in a `where`.
    fn values(&self) -> [Value; 3] {
        [self.invitation_id.as_str().into(), self.issue.into(), self.attempt.into()]
    }
}

impl Store {
    /// Claims mails that are due for `claim_for`, the longest waiting first. A claim that ends without a word is
    /// claimed again.
    pub async fn claim_invitation_mails(
        &self,
        now: DateTime<Utc>,
        limit: u64,
        claim_for: Duration,
    ) -> Result<Vec<ClaimedMail>> {
        let sql = format!(
            "with due as materialized (
                select invitation_id as due_id, attempts as seen from invitation_mails
                where next_attempt_at <= $1 and (claimed_until is null or claimed_until <= $1)
                order by next_attempt_at limit $2 {})
            update invitation_mails set claimed_until = $3, attempts = attempts + 1
            from due where invitation_id = due.due_id and attempts = due.seen
            returning invitation_id, issue, attempts, give_up_at",
            dialect::skip_locked(sea_orm::ConnectionTrait::get_database_backend(&self.db)),
        );
        let values = [now.into(), int(limit), (now + claim_for).into()];
        let rows = rows(&self.db, "claim mails", sql, values).await?;
        readable(&rows, "invitation_mails", ClaimedMail::read)
    }
}

impl Tx {
    /// Asks for a mail of the invitation's present issue, instead of one that waits.
    pub async fn ask_for_invitation_mail(
        &self,
        id: &InvitationId,
        issue: i64,
        now: DateTime<Utc>,
        give_up_at: DateTime<Utc>,
    ) -> Result<()> {
        let sql = "insert into invitation_mails (invitation_id, issue, attempts, next_attempt_at, give_up_at)
            values ($1, $2, 0, $3, $4)
            on conflict (invitation_id) do update set issue = excluded.issue, attempts = 0,
                next_attempt_at = excluded.next_attempt_at, give_up_at = excluded.give_up_at, claimed_until = null";
        let values = [id.as_str().into(), issue.into(), now.into(), give_up_at.into()];
        execute(&self.tx, "ask for a mail", sql, values).await.map(drop)
    }

    /// Whether the claim still holds; others wait for the end of this transaction.
    pub async fn holds_invitation_mail(&self, mail: &ClaimedMail) -> Result<bool> {
        let sql = "update invitation_mails set attempts = attempts
            where invitation_id = $1 and issue = $2 and attempts = $3";
        Ok(execute(&self.tx, "hold a mail", sql, mail.values()).await? == 1)
    }

    /// The mail needs no more attempts; `false` when the claim is lost.
    pub async fn finish_invitation_mail(&self, mail: &ClaimedMail) -> Result<bool> {
        let sql = "delete from invitation_mails where invitation_id = $1 and issue = $2 and attempts = $3";
        Ok(execute(&self.tx, "finish a mail", sql, mail.values()).await? == 1)
    }

    /// Puts a claimed mail off; `false` when the claim is lost.
    pub async fn postpone_invitation_mail(&self, mail: &ClaimedMail, until: DateTime<Utc>) -> Result<bool> {
        let sql = "update invitation_mails set next_attempt_at = $4, claimed_until = null
            where invitation_id = $1 and issue = $2 and attempts = $3";
        let values = mail.values().into_iter().chain([until.into()]);
        Ok(execute(&self.tx, "put a mail off", sql, values).await? == 1)
    }

    /// The invitation's mail, if one waits, is not wanted any more.
    pub async fn drop_invitation_mail(&self, id: &InvitationId) -> Result<()> {
        let sql = "delete from invitation_mails where invitation_id = $1";
        execute(&self.tx, "drop a mail", sql, [id.as_str().into()]).await.map(drop)
    }
}
