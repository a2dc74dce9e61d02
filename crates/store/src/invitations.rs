//! Invitations, their hashed links, and how many an organization may have made on a day.
//!
//! Whoever changes an invitation first takes its row in the transaction, so that of two who accept at once the second
//! sees what the first has done.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, Value};
use tidemark_domain::{
    id::{ConnectionId, InvitationId, OrganizationId},
    invitation::{Entry, State},
};

use crate::{
    error::Result,
    statement::{Row, execute, int, readable, row, rows},
    store::{Store, Tx},
};

const COLUMNS: &str = "id, organization_id, organization_name, application, connection_id, invitee_email, \
     invitee_name, invited_by, state, ttl_days, expires_at, issues, issued_at, delivery_note, made_connection_id, \
     history, revision, created_at, updated_at";

/// What stands for an open state in SQL; it is in the index's condition, too.
const OPEN: &str = "state in ('created', 'sent', 'delivery_failed', 'opened')";

/// One invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Stays through every resend.
    pub id: InvitationId,
    /// For whom a connection is to be made.
    pub organization_id: OrganizationId,
    /// What the organization is called.
    pub organization_name: String,
    /// Which application is to be connected.
    pub application: String,
    /// The connection that is to be reconnected, if there is one.
    pub connection_id: Option<ConnectionId>,
    /// Where its mails go; without it there is only the link.
    pub invitee_email: Option<String>,
    /// What the invited person is called.
    pub invitee_name: Option<String>,
    /// Who invites, for a person to read.
    pub invited_by: String,
    /// Where it stands.
    pub state: State,
    /// How many days a link lives.
    pub ttl_days: i64,
    /// When the present link ends.
    pub expires_at: DateTime<Utc>,
    /// How often a link was made.
    pub issues: i64,
    /// When the present link was made.
    pub issued_at: DateTime<Utc>,
    /// Why nothing was delivered, in a sentence.
    pub delivery_note: Option<String>,
    /// The connection that came of it.
    pub made_connection_id: Option<ConnectionId>,
    /// What happened, oldest first.
    pub history: Vec<Entry>,
    /// Counts the writes of the row.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Invitation {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.parsed("id", |text| text.parse().ok())?,
            organization_id: row.parsed("organization_id", |text| text.parse().ok())?,
            organization_name: row.get("organization_name")?,
            application: row.get("application")?,
            connection_id: row.id("connection_id")?,
            invitee_email: row.get("invitee_email")?,
            invitee_name: row.get("invitee_name")?,
            invited_by: row.get("invited_by")?,
            state: row.parsed("state", State::parse)?,
            ttl_days: row.get("ttl_days")?,
            expires_at: row.get("expires_at")?,
            issues: row.get("issues")?,
            issued_at: row.get("issued_at")?,
            delivery_note: row.get("delivery_note")?,
            made_connection_id: row.id("made_connection_id")?,
            history: row.json("history")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }

    /// In the order of [`COLUMNS`].
    fn values(&self) -> [Value; 19] {
        [
            self.id.as_str().into(),
            self.organization_id.as_str().into(),
            self.organization_name.clone().into(),
            self.application.clone().into(),
            self.connection_id.as_ref().map(ConnectionId::as_str).into(),
            self.invitee_email.clone().into(),
            self.invitee_name.clone().into(),
            self.invited_by.clone().into(),
            self.state.as_str().into(),
            self.ttl_days.into(),
            self.expires_at.into(),
            self.issues.into(),
            self.issued_at.into(),
            self.delivery_note.clone().into(),
            self.made_connection_id.as_ref().map(ConnectionId::as_str).into(),
            serde_json::json!(self.history).to_string().into(),
            self.revision.into(),
            self.created_at.into(),
            self.updated_at.into(),
        ]
    }
}

impl Store {
    /// The invitation of that id.
    pub async fn invitation(&self, id: &InvitationId) -> Result<Option<Invitation>> {
        let sql = format!("select {COLUMNS} from invitations where id = $1");
        let row = row(&self.db, "read an invitation", sql, [id.as_str().into()]).await?;
        row.as_ref().map(Invitation::read).transpose()
    }

    /// The invitation that one of these links belongs to, by the hash of what the link holds.
    pub async fn invitation_of_token(&self, hash: &[u8]) -> Result<Option<Invitation>> {
        let sql = format!(
            "select {COLUMNS} from invitations
             where id = (select invitation_id from invitation_tokens where hash = $1)"
        );
        let row = row(&self.db, "read an invitation", sql, [hash.to_vec().into()]).await?;
        row.as_ref().map(Invitation::read).transpose()
    }

    /// A page of an organization's invitations, by id.
    pub async fn invitations_of(
        &self,
        organization: &OrganizationId,
        after: Option<&InvitationId>,
        limit: u64,
    ) -> Result<Vec<Invitation>> {
        // Every id is greater than the empty text.
        let after = after.map_or("", InvitationId::as_str);
        let sql = format!(
            "select {COLUMNS} from invitations where organization_id = $1 and id > $2 order by id limit $3"
        );
        let values = [organization.as_str().into(), after.into(), int(limit)];
        let rows = rows(&self.db, "list invitations", sql, values).await?;
        rows.iter().map(Invitation::read).collect()
    }

    /// Invitations that still stand open although their days are over, but for the first few.
    pub async fn overdue_invitations(
        &self,
        now: DateTime<Utc>,
        but: u64,
        limit: u64,
    ) -> Result<Vec<InvitationId>> {
        let sql = format!(
            "select id from invitations where {OPEN} and expires_at <= $1
            order by expires_at, id limit $2 offset $3"
        );
        let values = [now.into(), int(limit), int(but)];
        let rows = rows(&self.db, "list overdue invitations", sql, values).await?;
        readable(&rows, "invitations", |row| row.parsed("id", |text| text.parse().ok()))
    }
}

impl Tx {
    /// Inserts a new invitation.
    pub async fn insert_invitation(&self, invitation: &Invitation) -> Result<()> {
        let places = crate::statement::placeholders(1, 19);
        let sql = format!("insert into invitations ({COLUMNS}) values ({places})");
        execute(&self.tx, "insert an invitation", sql, invitation.values()).await.map(drop)
    }

    /// Takes the invitation's row until the end of the transaction, and reads it.
    pub async fn take_invitation(&self, id: &InvitationId) -> Result<Option<Invitation>> {
        take(&self.tx, "id = $1", id.as_str().into()).await
    }

    /// The same, by the hash of what one of its links holds.
    pub async fn take_invitation_of_token(&self, hash: &[u8]) -> Result<Option<Invitation>> {
        let which = "id = (select invitation_id from invitation_tokens where hash = $1)";
        take(&self.tx, which, hash.to_vec().into()).await
    }

    /// Writes an invitation that was taken; `false` means that it is not as it was then, and nothing was written.
    /// Id, organization, people and creation never change.
    pub async fn update_invitation(&self, invitation: &Invitation) -> Result<bool> {
        let sql = "update invitations set state = $2, expires_at = $3, issues = $4, issued_at = $5,
                delivery_note = $6, made_connection_id = $7, history = $8, updated_at = $9, revision = revision + 1
            where id = $1 and revision = $10";
        let made = invitation.made_connection_id.as_ref().map(ConnectionId::as_str);
        let values: [Value; 10] = [
            invitation.id.as_str().into(),
            invitation.state.as_str().into(),
            invitation.expires_at.into(),
            invitation.issues.into(),
            invitation.issued_at.into(),
            invitation.delivery_note.clone().into(),
            made.into(),
            serde_json::json!(invitation.history).to_string().into(),
            invitation.updated_at.into(),
            invitation.revision.into(),
        ];
        Ok(execute(&self.tx, "update an invitation", sql, values).await? == 1)
    }

    /// Adds what one more link of the invitation holds, hashed.
    pub async fn insert_invitation_token(&self, id: &InvitationId, hash: &[u8]) -> Result<()> {
        let sql = "insert into invitation_tokens (hash, invitation_id) values ($1, $2)";
        let values = [hash.to_vec().into(), id.as_str().into()];
        execute(&self.tx, "insert a link's hash", sql, values).await.map(drop)
    }

    /// Makes every link of the invitation unknown.
    pub async fn delete_invitation_tokens(&self, id: &InvitationId) -> Result<u64> {
        let sql = "delete from invitation_tokens where invitation_id = $1";
        execute(&self.tx, "delete the hashes of links", sql, [id.as_str().into()]).await
    }

    /// Counts one more link of the organization on that day; `false` when it has had that many.
    pub async fn take_invitation_quota(
        &self,
        organization: &OrganizationId,
        day: NaiveDate,
        limit: u32,
    ) -> Result<bool> {
        let sql = "insert into invitation_quotas as quota (organization_id, day, issued) values ($1, $2, 1)
            on conflict (organization_id, day) do update set issued = quota.issued + 1 where quota.issued < $3";
        let values = [organization.as_str().into(), day.into(), int(limit)];
        Ok(execute(&self.tx, "count an invitation", sql, values).await? == 1)
    }
}

/// A write, so that on either database others wait for the end of this transaction, and read what it leaves.
async fn take(db: &impl ConnectionTrait, which: &str, value: Value) -> Result<Option<Invitation>> {
    let sql = format!("update invitations set revision = revision + 1 where {which} returning {COLUMNS}");
    let row = row(db, "take an invitation", sql, [value]).await?;
    row.as_ref().map(Invitation::read).transpose()
}
