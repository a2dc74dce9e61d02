//! Endpoints and their sealed secrets.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, Value};
use tidemark_domain::{
    id::{OrganizationId, WebhookEndpointId},
    webhook::{DisabledReason, EventPattern},
};

use crate::{
    credentials::Sealed,
    dialect,
    error::Result,
    statement::{Row, corrupt, execute, int, page, readable, row, rows},
    store::{Store, Tx},
};

const COLUMNS: &str = "id, organization_id, url, event_types, disabled_reason, secret_version, dead_in_a_row, \
     created_at, updated_at";

/// Where events are posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Stays through every change.
    pub id: WebhookEndpointId,
    /// Whose events; [`OrganizationId::everybody`] for those of all.
    pub organization_id: OrganizationId,
    /// Where to. May hold a secret of the receiver.
    pub url: String,
    /// Which events.
    pub event_types: Vec<EventPattern>,
    /// Why nothing is sent; nothing while it is enabled.
    pub disabled: Option<DisabledReason>,
    /// Which of its secrets is the present one.
    pub secret_version: i64,
    /// Deliveries given up since the last one that was taken.
    pub dead_in_a_row: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// One of an endpoint's secrets, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSecret {
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// Which of its secrets it is.
    pub version: i64,
    /// The secret.
    pub sealed: Sealed,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Until when it signs; nothing for the present one.
    pub signs_until: Option<DateTime<Utc>>,
}

impl Endpoint {
    fn read(row: &Row) -> Result<Self> {
        let disabled: Option<String> = row.get("disabled_reason")?;
        let reason = |code: String| DisabledReason::parse(&code).ok_or_else(|| corrupt("disabled_reason"));
        Ok(Self {
            id: row.parsed("id", |text| text.parse().ok())?,
            organization_id: row.parsed("organization_id", |text| text.parse().ok())?,
            url: row.get("url")?,
            event_types: row.known("event_types")?,
            disabled: disabled.map(reason).transpose()?,
            secret_version: row.get("secret_version")?,
            dead_in_a_row: row.get("dead_in_a_row")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }

    /// In the order of [`COLUMNS`].
    fn values(&self) -> [Value; 9] {
        [
            self.id.as_str().into(),
            self.organization_id.as_str().into(),
            self.url.as_str().into(),
            serde_json::json!(self.event_types).to_string().into(),
            self.disabled.map(DisabledReason::as_str).into(),
            self.secret_version.into(),
            self.dead_in_a_row.into(),
            self.created_at.into(),
            self.updated_at.into(),
        ]
    }

    /// Whether it wants an event.
    pub fn wants(&self, organization: &OrganizationId, kind: &str) -> bool {
        let of_it =
            self.organization_id == *organization || self.organization_id == OrganizationId::everybody();
        of_it && self.event_types.iter().any(|pattern| pattern.matches(kind))
    }
}

impl Store {
    /// The endpoint of that id.
    pub async fn webhook_endpoint(&self, id: &WebhookEndpointId) -> Result<Option<Endpoint>> {
        let sql = format!("select {COLUMNS} from webhook_endpoints where id = $1");
        let row = row(&self.db, "read a webhook endpoint", sql, [id.as_str().into()]).await?;
        row.as_ref().map(Endpoint::read).transpose()
    }

    /// A page of an organization's endpoints, by id.
    pub async fn webhook_endpoints_of(
        &self,
        organization: &OrganizationId,
        after: Option<&WebhookEndpointId>,
        limit: u64,
    ) -> Result<Vec<Endpoint>> {
        let behind = after.map_or("", WebhookEndpointId::as_str).to_owned();
        let sql = format!(
            "select {COLUMNS} from webhook_endpoints where organization_id = $1 and id > $2 order by id limit $3"
        );
        let values = |behind: &str, limit| vec![organization.as_str().into(), behind.into(), int(limit)];
        let what = ("list webhook endpoints", "webhook_endpoints");
        page(&self.db, what, &sql, (behind, limit), values, Endpoint::read).await
    }

    /// The secrets that sign now, the newest first.
    pub async fn webhook_secrets(
        &self,
        endpoint: &WebhookEndpointId,
        now: DateTime<Utc>,
    ) -> Result<Vec<EndpointSecret>> {
        let sql = "select version, algorithm, key_id, wrapped_key, ciphertext, created_at, signs_until
            from webhook_secrets where endpoint_id = $1 and (signs_until is null or signs_until > $2)
            order by version desc";
        let values = [endpoint.as_str().into(), now.into()];
        let rows = rows(&self.db, "read webhook secrets", sql, values).await?;
        let read = |row: &Row| {
            Ok(EndpointSecret {
                endpoint_id: endpoint.clone(),
                version: row.get("version")?,
                sealed: Sealed {
                    algorithm: row.get("algorithm")?,
                    key_id: row.get("key_id")?,
                    wrapped_key: row.get("wrapped_key")?,
                    ciphertext: row.get("ciphertext")?,
                },
                created_at: row.get("created_at")?,
                signs_until: row.get("signs_until")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

impl Tx {
    /// Inserts a new endpoint.
    pub async fn insert_webhook_endpoint(&self, endpoint: &Endpoint) -> Result<()> {
        let sql =
            format!("insert into webhook_endpoints ({COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
        execute(&self.tx, "insert a webhook endpoint", sql, endpoint.values()).await.map(drop)
    }

    /// The endpoint of that id; until the end of the transaction nobody else changes it.
    pub async fn lock_webhook_endpoint(&self, id: &WebhookEndpointId) -> Result<Option<Endpoint>> {
        let lock = dialect::lock(self.tx.get_database_backend());
        let sql = format!("select {COLUMNS} from webhook_endpoints where id = $1 {lock}");
        let row = row(&self.tx, "read a webhook endpoint", sql, [id.as_str().into()]).await?;
        row.as_ref().map(Endpoint::read).transpose()
    }

    /// Writes an endpoint that this transaction has locked.
    pub async fn update_webhook_endpoint(&self, endpoint: &Endpoint) -> Result<()> {
        let sql = "update webhook_endpoints set url = $2, event_types = $3, disabled_reason = $4,
                secret_version = $5, dead_in_a_row = $6, updated_at = $7
            where id = $1";
        let [id, _, url, types, disabled, version, dead, _, updated] = endpoint.values();
        let values = [id, url, types, disabled, version, dead, updated];
        execute(&self.tx, "update a webhook endpoint", sql, values).await.map(drop)
    }

    /// Deletes an endpoint with its secrets and deliveries.
    pub async fn delete_webhook_endpoint(&self, id: &WebhookEndpointId) -> Result<bool> {
        let sql = "delete from webhook_endpoints where id = $1";
        Ok(execute(&self.tx, "delete a webhook endpoint", sql, [id.as_str().into()]).await? == 1)
    }

    /// The endpoints that receive; none of them can be deleted before the end of the transaction.
    pub async fn receiving_webhook_endpoints(&self) -> Result<Vec<Endpoint>> {
        let hold = dialect::hold(self.tx.get_database_backend());
        let sql = format!(
            "select {COLUMNS} from webhook_endpoints where disabled_reason is null order by id {hold}"
        );
        let rows = rows(&self.tx, "list webhook endpoints", sql, []).await?;
        readable(&rows, "webhook_endpoints", Endpoint::read)
    }

    /// Inserts the present secret; those before it sign until that instant at most, and of them only the newest `old`.
    pub async fn insert_webhook_secret(
        &self,
        secret: &EndpointSecret,
        until: DateTime<Utc>,
        old: i64,
    ) -> Result<()> {
        let sql =
            "update webhook_secrets set signs_until = $2 where endpoint_id = $1 and signs_until is null";
        let id = || Value::from(secret.endpoint_id.as_str());
        execute(&self.tx, "replace a webhook secret", sql, [id(), until.into()]).await?;
        let sql =
            "delete from webhook_secrets where endpoint_id = $1 and (signs_until <= $2 or version < $3)";
        let values = [id(), secret.created_at.into(), (secret.version - old).into()];
        execute(&self.tx, "delete old webhook secrets", sql, values).await?;
        let sql = "insert into webhook_secrets
                (endpoint_id, version, algorithm, key_id, wrapped_key, ciphertext, created_at)
            values ($1, $2, $3, $4, $5, $6, $7)";
        let values: [Value; 7] = [
            id(),
            secret.version.into(),
            secret.sealed.algorithm.as_str().into(),
            secret.sealed.key_id.as_str().into(),
            secret.sealed.wrapped_key.clone().into(),
            secret.sealed.ciphertext.clone().into(),
            secret.created_at.into(),
        ];
        execute(&self.tx, "insert a webhook secret", sql, values).await.map(drop)
    }
}
