//! Service tokens: who may call, with which scopes, for whom. Only the hash of a secret is kept.

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::id::{OrganizationId, TokenId};

use crate::{
    error::Result,
    statement::{Row, corrupt, execute, row, rows},
    store::Store,
};

const COLUMNS: &str =
    "id, name, hash, scopes, organizations, created_at, expires_at, revoked_at, last_used_at";

/// What is kept of a service token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceToken {
    /// Part of the token's text, and no secret.
    pub id: TokenId,
    /// For people.
    pub name: String,
    /// Of the secret.
    pub hash: Vec<u8>,
    /// What it may do, in the words of the gRPC side.
    pub scopes: Vec<String>,
    /// Whom it may see; everybody, where there is no list.
    pub organizations: Option<Vec<OrganizationId>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself, if it does.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was taken back, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ServiceToken {
    fn read(row: &Row) -> Result<Self> {
        let organizations: Option<String> = row.get("organizations")?;
        let organizations = organizations
            .map(|text| serde_json::from_str(&text).map_err(|_| corrupt("organizations")))
            .transpose()?;
        Ok(Self {
            id: row.parsed("id", |text| text.parse().ok())?,
            name: row.get("name")?,
            hash: row.get("hash")?,
            scopes: row.json("scopes")?,
            organizations,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            revoked_at: row.get("revoked_at")?,
            last_used_at: row.get("last_used_at")?,
        })
    }
}

impl Store {
    /// Inserts a new token.
    pub async fn insert_service_token(&self, token: &ServiceToken) -> Result<()> {
        let sql =
            format!("insert into service_tokens ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
        let organizations = token.organizations.as_ref().map(|list| serde_json::json!(list).to_string());
        let values: [Value; 9] = [
            token.id.as_str().into(),
            token.name.as_str().into(),
            token.hash.clone().into(),
            serde_json::json!(token.scopes).to_string().into(),
            organizations.into(),
            token.created_at.into(),
            token.expires_at.into(),
            token.revoked_at.into(),
            token.last_used_at.into(),
        ];
        execute(&self.db, "insert a service token", sql, values).await.map(drop)
    }

    /// Has a token do what a later version of its role needs.
    pub async fn set_service_token_scopes(&self, id: &TokenId, scopes: &[String]) -> Result<()> {
        let sql = "update service_tokens set scopes = $2 where id = $1";
        let values = [id.as_str().into(), serde_json::json!(scopes).to_string().into()];
        execute(&self.db, "set a service token's scopes", sql, values).await.map(drop)
    }

    /// The token of that id.
    pub async fn service_token(&self, id: &TokenId) -> Result<Option<ServiceToken>> {
        let sql = format!("select {COLUMNS} from service_tokens where id = $1");
        let row = row(&self.db, "read a service token", sql, [id.as_str().into()]).await?;
        row.as_ref().map(ServiceToken::read).transpose()
    }

    /// All tokens, oldest first.
    pub async fn service_tokens(&self) -> Result<Vec<ServiceToken>> {
        let sql = format!("select {COLUMNS} from service_tokens order by id");
        let rows = rows(&self.db, "list service tokens", sql, []).await?;
        rows.iter().map(ServiceToken::read).collect()
    }

    /// Takes a token back, for good; `false` when there is none that was not taken back before.
    pub async fn revoke_service_token(&self, id: &TokenId, now: DateTime<Utc>) -> Result<bool> {
        let sql = "update service_tokens set revoked_at = $2 where id = $1 and revoked_at is null";
        let values = [id.as_str().into(), now.into()];
        Ok(execute(&self.db, "revoke a service token", sql, values).await? == 1)
    }

    /// Remembers that a token was used, unless that is known since `unless_since`.
    pub async fn service_token_used(
        &self,
        id: &TokenId,
        now: DateTime<Utc>,
        unless_since: DateTime<Utc>,
    ) -> Result<()> {
        let sql = "update service_tokens set last_used_at = $2
            where id = $1 and (last_used_at is null or last_used_at < $3)";
        let values = [id.as_str().into(), now.into(), unless_since.into()];
        execute(&self.db, "note a service token's use", sql, values).await.map(drop)
    }
}
