//! Sessions of the console: the hash of a link that is redeemed once, then the hash of a session whose secret changes.

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::id::{ConsoleSessionId, OrganizationId};

use crate::{
    error::Result,
    statement::{Row, execute, placeholders, row},
    store::{Store, Tx},
};

const COLUMNS: &str = "id, organization_id, organization_name, person, role, path, created_by, form_token, \
     created_at, expires_at, rotated_at, seen_at, session_expires_at";

/// One session, or the link that it will begin with.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsoleSession {
    /// Its name in logs.
    pub id: ConsoleSessionId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// What the organization is called.
    pub organization_name: String,
    /// What the person is called.
    pub person: String,
    /// What the person may do, in the service's words.
    pub role: String,
    /// The page to begin with.
    pub path: String,
    /// Who let the person in.
    pub created_by: String,
    /// What every form of the session carries.
    pub form_token: String,
    /// When the link was made.
    pub created_at: DateTime<Utc>,
    /// Until when the link can be redeemed.
    pub expires_at: DateTime<Utc>,
    /// When the session got its present secret.
    pub rotated_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub seen_at: Option<DateTime<Utc>>,
    /// When it ends, however much it is used.
    pub session_expires_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for ConsoleSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsoleSession")
            .field("id", &self.id)
            .field("organization_id", &self.organization_id)
            .field("role", &self.role)
            .field("session_expires_at", &self.session_expires_at)
            .finish_non_exhaustive()
    }
}

impl ConsoleSession {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.parsed("id", |text| text.parse().ok())?,
            organization_id: row.parsed("organization_id", |text| text.parse().ok())?,
            organization_name: row.get("organization_name")?,
            person: row.get("person")?,
            role: row.get("role")?,
            path: row.get("path")?,
            created_by: row.get("created_by")?,
            form_token: row.get("form_token")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            rotated_at: row.get("rotated_at")?,
            seen_at: row.get("seen_at")?,
            session_expires_at: row.get("session_expires_at")?,
        })
    }
}

/// By which times a session counts.
#[derive(Debug, Clone, Copy)]
pub struct SessionTimes {
    /// Now.
    pub now: DateTime<Utc>,
    /// Sessions that were last seen before have been left.
    pub seen_since: DateTime<Utc>,
    /// Secrets that were replaced before are dead.
    pub replaced_since: DateTime<Utc>,
}

impl Store {
    /// Whose a link is that can be redeemed now. Redeems nothing.
    pub async fn console_link(
        &self,
        token_hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<ConsoleSession>> {
        let sql = format!("select {COLUMNS} from console_sessions where token_hash = $1 and expires_at > $2");
        let row = row(&self.db, "read a console link", sql, [token_hash.to_vec().into(), now.into()]).await?;
        row.as_ref().map(ConsoleSession::read).transpose()
    }

    /// The session with this secret, and whether the secret is its present one.
    pub async fn console_session(
        &self,
        session_hash: &[u8],
        times: SessionTimes,
    ) -> Result<Option<(ConsoleSession, bool)>> {
        let sql = format!(
            "select {COLUMNS}, case when session_hash = $1 then 1 else 0 end as present from console_sessions
             where (session_hash = $1 or (previous_hash = $1 and rotated_at > $4))
                 and ended_at is null and session_expires_at > $2 and seen_at > $3"
        );
        let SessionTimes { now, seen_since, replaced_since } = times;
        let values: [Value; 4] =
            [session_hash.to_vec().into(), now.into(), seen_since.into(), replaced_since.into()];
        let row = row(&self.db, "read a console session", sql, values).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((ConsoleSession::read(&row)?, row.get::<i32>("present")? == 1)))
    }

    /// Notes that a session is used.
    pub async fn console_session_seen(&self, id: &ConsoleSessionId, now: DateTime<Utc>) -> Result<()> {
        let sql = "update console_sessions set seen_at = $2 where id = $1 and ended_at is null";
        execute(&self.db, "note the use of a session", sql, [id.as_str().into(), now.into()]).await.map(drop)
    }

    /// Gives a session another secret; `false` when somebody else did, or it has ended.
    pub async fn rotate_console_session(
        &self,
        session_hash: &[u8],
        next_hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let sql = "update console_sessions
            set previous_hash = session_hash, session_hash = $2, rotated_at = $3, seen_at = $3
            where session_hash = $1 and ended_at is null";
        let values = [session_hash.to_vec().into(), next_hash.to_vec().into(), now.into()];
        Ok(execute(&self.db, "rotate a console session", sql, values).await? == 1)
    }

    /// Ends the session with this secret, or with this one as the secret before.
    pub async fn end_console_session(&self, session_hash: &[u8], now: DateTime<Utc>) -> Result<()> {
        let sql = "update console_sessions set session_hash = null, previous_hash = null, ended_at = $2
            where (session_hash = $1 or previous_hash = $1) and ended_at is null";
        let values = [session_hash.to_vec().into(), now.into()];
        execute(&self.db, "end a console session", sql, values).await.map(drop)
    }
}

impl Tx {
    /// Stores a new link under the hash of what it holds.
    pub async fn insert_console_link(&self, link: &ConsoleSession, token_hash: &[u8]) -> Result<()> {
        let sql = format!(
            "insert into console_sessions (id, organization_id, organization_name, person, role, path, created_by,
                 form_token, created_at, expires_at, token_hash) values ({})",
            placeholders(1, 11)
        );
        let values: [Value; 11] = [
            link.id.as_str().into(),
            link.organization_id.as_str().into(),
            link.organization_name.clone().into(),
            link.person.clone().into(),
            link.role.clone().into(),
            link.path.clone().into(),
            link.created_by.clone().into(),
            link.form_token.clone().into(),
            link.created_at.into(),
            link.expires_at.into(),
            token_hash.to_vec().into(),
        ];
        execute(&self.tx, "insert a console link", sql, values).await.map(drop)
    }

    /// Redeems a link for a session. Of any number of callers one gets it.
    pub async fn redeem_console_link(
        &self,
        token_hash: &[u8],
        session_hash: &[u8],
        now: DateTime<Utc>,
        session_expires_at: DateTime<Utc>,
    ) -> Result<Option<ConsoleSession>> {
        let sql = format!(
            "update console_sessions set token_hash = null, session_hash = $2, redeemed_at = $3, rotated_at = $3,
                 seen_at = $3, session_expires_at = $4
             where token_hash = $1 and redeemed_at is null and expires_at > $3 returning {COLUMNS}"
        );
        let values: [Value; 4] =
            [token_hash.to_vec().into(), session_hash.to_vec().into(), now.into(), session_expires_at.into()];
        let row = row(&self.tx, "redeem a console link", sql, values).await?;
        row.as_ref().map(ConsoleSession::read).transpose()
    }
}
