//! Hosted connect links: a hash that is redeemed once, then the hash of a session that makes one connection.

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::id::{ConnectLinkId, ConnectionId, OrganizationId};

use crate::{
    error::Result,
    statement::{Row, execute, placeholders, row},
    store::{Store, Tx},
};

const COLUMNS: &str = "id, organization_id, organization_name, application, connection_id, return_url, created_by, \
     created_at, expires_at, redeemed_at, session_expires_at, used_at, made_connection_id";

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectLink {
    /// Its name in logs.
    pub id: ConnectLinkId,
    /// For whom a connection is to be made.
    pub organization_id: OrganizationId,
    /// What the organization is called.
    pub organization_name: String,
    /// Which application is to be connected.
    pub application: String,
    /// The connection that is to be reconnected, if there is one.
    pub connection_id: Option<ConnectionId>,
    /// Where the person goes afterwards.
    pub return_url: String,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Until when it can be redeemed.
    pub expires_at: DateTime<Utc>,
    /// When it was redeemed.
    pub redeemed_at: Option<DateTime<Utc>>,
    /// Until when its session lasts.
    pub session_expires_at: Option<DateTime<Utc>>,
    /// When a connection was made with it.
    pub used_at: Option<DateTime<Utc>>,
    /// The connection that came of it.
    pub made_connection_id: Option<ConnectionId>,
}

impl ConnectLink {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.parsed("id", |text| text.parse().ok())?,
            organization_id: row.parsed("organization_id", |text| text.parse().ok())?,
            organization_name: row.get("organization_name")?,
            application: row.get("application")?,
            connection_id: row.id("connection_id")?,
            return_url: row.get("return_url")?,
            created_by: row.get("created_by")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            redeemed_at: row.get("redeemed_at")?,
            session_expires_at: row.get("session_expires_at")?,
            used_at: row.get("used_at")?,
            made_connection_id: row.id("made_connection_id")?,
        })
    }
}

impl Store {
    /// Stores a new link under the hash of what it holds.
    pub async fn insert_connect_link(&self, link: &ConnectLink, token_hash: &[u8]) -> Result<()> {
        let sql = format!(
            "insert into connect_links (id, organization_id, organization_name, application, connection_id,
                 return_url, created_by, created_at, expires_at, token_hash) values ({})",
            placeholders(1, 10)
        );
        let values: [Value; 10] = [
            link.id.as_str().into(),
            link.organization_id.as_str().into(),
            link.organization_name.clone().into(),
            link.application.clone().into(),
            link.connection_id.as_ref().map(ConnectionId::as_str).into(),
            link.return_url.clone().into(),
            link.created_by.clone().into(),
            link.created_at.into(),
            link.expires_at.into(),
            token_hash.to_vec().into(),
        ];
        execute(&self.db, "insert a connect link", sql, values).await.map(drop)
    }

    /// Who a link that can be redeemed now is for. Redeems nothing.
    pub async fn connect_link_of_token(
        &self,
        token_hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<ConnectLink>> {
        let sql = format!("select {COLUMNS} from connect_links where token_hash = $1 and expires_at > $2");
        let values = [token_hash.to_vec().into(), now.into()];
        let row = row(&self.db, "read a connect link", sql, values).await?;
        row.as_ref().map(ConnectLink::read).transpose()
    }

    /// Redeems a link for a session. Of any number of callers one gets it.
    pub async fn redeem_connect_link(
        &self,
        token_hash: &[u8],
        session_hash: &[u8],
        now: DateTime<Utc>,
        session_expires_at: DateTime<Utc>,
    ) -> Result<Option<ConnectLink>> {
        let sql = format!(
            "update connect_links set token_hash = null, session_hash = $2, redeemed_at = $3, session_expires_at = $4
             where token_hash = $1 and redeemed_at is null and expires_at > $3 returning {COLUMNS}"
        );
        let values: [Value; 4] =
            [token_hash.to_vec().into(), session_hash.to_vec().into(), now.into(), session_expires_at.into()];
        let row = row(&self.db, "redeem a connect link", sql, values).await?;
        row.as_ref().map(ConnectLink::read).transpose()
    }

    /// The link whose session this is, while it lasts and is not used up.
    pub async fn connect_link_of_session(
        &self,
        session_hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<ConnectLink>> {
        let sql = format!(
            "select {COLUMNS} from connect_links
             where session_hash = $1 and used_at is null and session_expires_at > $2"
        );
        let values = [session_hash.to_vec().into(), now.into()];
        let row = row(&self.db, "read a connect session", sql, values).await?;
        row.as_ref().map(ConnectLink::read).transpose()
    }
}

impl Tx {
    /// Uses a session up for the connection that this transaction makes; `false` when it is over or used.
    pub async fn use_connect_session(
        &self,
        session_hash: &[u8],
        connection: &ConnectionId,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let sql = "update connect_links set session_hash = null, used_at = $3, made_connection_id = $2
            where session_hash = $1 and used_at is null and session_expires_at > $3";
        let values = [session_hash.to_vec().into(), connection.as_str().into(), now.into()];
        Ok(execute(&self.tx, "use a connect session up", sql, values).await? == 1)
    }
}
