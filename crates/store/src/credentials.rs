//! Sealed credentials, version by version. The store keeps what the vault sealed and cannot open it.
//!
//! Invariant: who adds one to a version's `refresh_attempt` owns that refresh; its beginning is written before the
//! refresh token is spent.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use sea_orm::Value;
use tidemark_domain::{
    capability::Finding,
    connection::{CredentialKind, Reason},
    id::ConnectionId,
};

use crate::{
    connections::Connection,
    error::Result,
    statement::{Row, corrupt, execute, placeholders, readable, row, rows},
    store::{Store, Tx},
};

const COLUMNS: &str = "connection_id, generation, kind, algorithm, key_id, wrapped_key, ciphertext, created_at, \
     capabilities, access_expires_at, refresh_expires_at, refresh_started_at, refresh_attempt, in_doubt, \
     refresh_due_at, failures, cooldown_until, rejected, proven_at, reminded_at";

/// A secret as the vault sealed it. The store cannot open it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// How it is sealed.
    pub algorithm: String,
    /// Which key-encryption key wraps the data key.
    pub key_id: String,
    /// The data key, wrapped.
    pub wrapped_key: Vec<u8>,
    /// The secret, sealed.
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    pub(crate) fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            algorithm: row.get("algorithm")?,
            key_id: row.get("key_id")?,
            wrapped_key: row.get("wrapped_key")?,
            ciphertext: row.get("ciphertext")?,
        })
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// One version of a sealed credential, with the place it belongs to and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCredential {
    /// The connection it belongs to.
    pub connection_id: ConnectionId,
    /// Which of the connection's credentials it is.
    pub generation: i64,
    /// What it is.
    pub kind: CredentialKind,
    /// The credential.
    pub sealed: Sealed,
    /// When it was sealed.
    pub created_at: DateTime<Utc>,
    /// What it can read.
    pub capabilities: Vec<Finding>,
    /// When its access token ends; never, where there is none.
    pub access_expires_at: Option<DateTime<Utc>>,
    /// When its refresh token ends.
    pub refresh_expires_at: Option<DateTime<Utc>>,
    /// When the refresh began that is under way, or whose process died.
    pub refresh_started_at: Option<DateTime<Utc>>,
    /// Counts the refreshes begun with this version.
    pub refresh_attempt: i64,
    /// A refresh was sent and its answer is not known.
    pub in_doubt: bool,
    /// When it is renewed by itself.
    pub refresh_due_at: Option<DateTime<Utc>>,
    /// Failed refreshes in a row.
    pub failures: u32,
    /// Until when no refresh is tried.
    pub cooldown_until: Option<DateTime<Utc>>,
    /// Why the vendor's refusal is final, once it is.
    pub rejected: Option<Reason>,
    /// When it was first seen to work.
    pub proven_at: Option<DateTime<Utc>>,
    /// When its age was last reminded of.
    pub reminded_at: Option<DateTime<Utc>>,
}

impl SealedCredential {
    /// How long its access token lives in all; nothing where that has no end.
    pub fn life(&self) -> Option<Duration> {
        let end = self.access_expires_at?;
        Some(end.signed_duration_since(self.created_at).to_std().unwrap_or_default())
    }

    /// Whether a new version can be had without a person.
    pub fn renews(&self) -> bool {
        match self.kind {
            CredentialKind::ApiKey => false,
            CredentialKind::Oauth => self.refresh_due_at.is_some(),
            CredentialKind::Assertion => true,
        }
    }
}

/// What became of a refresh that gave no new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// Whether the refresh token may be spent.
    pub in_doubt: bool,
    /// Failed refreshes in a row.
    pub failures: u32,
    /// Until when no other is tried.
    pub cooldown_until: DateTime<Utc>,
}

impl SealedCredential {
    /// A version without an end, of which nothing is known yet.
    pub fn new(
        connection_id: ConnectionId,
        generation: i64,
        kind: CredentialKind,
        sealed: Sealed,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            connection_id,
            generation,
            kind,
            sealed,
            created_at: now,
            capabilities: Vec::new(),
            access_expires_at: None,
            refresh_expires_at: None,
            refresh_started_at: None,
            refresh_attempt: 0,
            in_doubt: false,
            refresh_due_at: None,
            failures: 0,
            cooldown_until: None,
            rejected: None,
            proven_at: None,
            reminded_at: None,
        }
    }

    fn read(row: &Row) -> Result<Self> {
        let rejected: Option<String> = row.get("rejected")?;
        Ok(Self {
            connection_id: row.parsed("connection_id", |text| text.parse().ok())?,
            generation: row.get("generation")?,
            kind: row.parsed("kind", CredentialKind::parse)?,
            sealed: Sealed::read(row)?,
            created_at: row.get("created_at")?,
            capabilities: row.known("capabilities")?,
            access_expires_at: row.get("access_expires_at")?,
            refresh_expires_at: row.get("refresh_expires_at")?,
            refresh_started_at: row.get("refresh_started_at")?,
            refresh_attempt: row.get("refresh_attempt")?,
            in_doubt: row.get("in_doubt")?,
            refresh_due_at: row.get("refresh_due_at")?,
            failures: row.count("failures")?,
            cooldown_until: row.get("cooldown_until")?,
            rejected: rejected
                .map(|code| Reason::parse(&code).ok_or_else(|| corrupt("rejected")))
                .transpose()?,
            proven_at: row.get("proven_at")?,
            reminded_at: row.get("reminded_at")?,
        })
    }

    /// In the order of [`COLUMNS`].
    fn values(&self) -> Vec<Value> {
        vec![
            self.connection_id.as_str().into(),
            self.generation.into(),
            self.kind.as_str().into(),
            self.sealed.algorithm.as_str().into(),
            self.sealed.key_id.as_str().into(),
            self.sealed.wrapped_key.clone().into(),
            self.sealed.ciphertext.clone().into(),
            self.created_at.into(),
            serde_json::json!(self.capabilities).to_string().into(),
            self.access_expires_at.into(),
            self.refresh_expires_at.into(),
            self.refresh_started_at.into(),
            self.refresh_attempt.into(),
            self.in_doubt.into(),
            self.refresh_due_at.into(),
            i64::from(self.failures).into(),
            self.cooldown_until.into(),
            self.rejected.map(Reason::as_str).into(),
            self.proven_at.into(),
            self.reminded_at.into(),
        ]
    }
}

impl Store {
    /// The sealed credential of that generation.
    pub async fn credential(&self, id: &ConnectionId, generation: i64) -> Result<Option<SealedCredential>> {
        let sql = format!("select {COLUMNS} from credentials where connection_id = $1 and generation = $2");
        let values = [id.as_str().into(), generation.into()];
        let row = row(&self.db, "read a credential", sql, values).await?;
        row.as_ref().map(SealedCredential::read).transpose()
    }

    /// All versions of all credentials of a connection, the newest first.
    pub async fn credentials_of(&self, id: &ConnectionId) -> Result<Vec<SealedCredential>> {
        let sql =
            format!("select {COLUMNS} from credentials where connection_id = $1 order by generation desc");
        let rows = rows(&self.db, "list credentials", sql, [id.as_str().into()]).await?;
        known_kinds(&rows)
    }

    /// A connection and all versions of all its credentials, the newest first, as they are at one moment: no write of the
    /// connection lies between the two.
    pub async fn held(&self, id: &ConnectionId) -> Result<Option<(Connection, Vec<SealedCredential>)>> {
        let sql = format!(
            "select {COLUMNS}, (select revision from connections where id = $1) as revision
            from credentials where connection_id = $1 order by generation desc"
        );
        loop {
            let Some(connection) = self.connection(id).await? else { return Ok(None) };
            let rows = rows(&self.db, "list credentials", sql.as_str(), [id.as_str().into()]).await?;
            let revision: Option<i64> = rows.first().map(|row| row.get("revision")).transpose()?;
            if revision.is_none_or(|revision| revision == connection.revision) {
                return Ok(Some((connection, known_kinds(&rows)?)));
            }
        }
    }

    /// Begins a refresh with that version, if none was begun since it was read: of many callers one gets `true`. What is
    /// written here proves, before the refresh token is spent, that what comes of it can be written, too.
    pub async fn begin_refresh(&self, version: &SealedCredential, now: DateTime<Utc>) -> Result<bool> {
        let sql = "update credentials set refresh_started_at = $4, refresh_attempt = refresh_attempt + 1,
                in_doubt = (in_doubt or refresh_started_at is not null)
            where connection_id = $1 and generation = $2 and refresh_attempt = $3 and rejected is null
                and not exists (
                    select 1 from credentials newer
                    where newer.connection_id = credentials.connection_id and newer.kind = credentials.kind
                        and newer.generation > credentials.generation)";
        let values = [
            version.connection_id.as_str().into(),
            version.generation.into(),
            version.refresh_attempt.into(),
            now.into(),
        ];
        Ok(execute(&self.db, "begin a refresh", sql, values).await? == 1)
    }

    /// Writes down what became of a refresh that gave no new version.
    pub async fn end_refresh(&self, version: &SealedCredential, attempted: Attempted) -> Result<bool> {
        let sql = "update credentials set refresh_started_at = null, in_doubt = $4, failures = $5, cooldown_until = $6,
                refresh_claims = 0, refresh_due_at = case when refresh_due_at is null then null else $6 end
            where connection_id = $1 and generation = $2 and refresh_attempt = $3";
        let values = [
            version.connection_id.as_str().into(),
            version.generation.into(),
            version.refresh_attempt.into(),
            attempted.in_doubt.into(),
            i64::from(attempted.failures).into(),
            attempted.cooldown_until.into(),
        ];
        Ok(execute(&self.db, "end a refresh", sql, values).await? == 1)
    }

    /// Remembers that a version works, and forgets the versions before it, which were kept in case it did not.
    pub async fn prove_credential(&self, version: &SealedCredential, now: DateTime<Utc>) -> Result<()> {
        let key = || [version.connection_id.as_str().into(), version.generation.into()];
        let sql = "update credentials set proven_at = $3
            where connection_id = $1 and generation = $2 and proven_at is null";
        let values = key().into_iter().chain([now.into()]);
        if execute(&self.db, "prove a credential", sql, values).await? == 0 {
            return Ok(());
        }
        let sql = "delete from credentials where connection_id = $1 and generation < $2 and kind = $3";
        let values = key().into_iter().chain([version.kind.as_str().into()]);
        execute(&self.db, "delete old credentials", sql, values).await.map(drop)
    }
}

/// The versions of the kinds that this version knows; others are beside them and do not concern it. A version of a known
/// kind that cannot be read is an error: the one before it must not take its place.
fn known_kinds(rows: &[Row]) -> Result<Vec<SealedCredential>> {
    let known = readable(rows, "credentials", |row| {
        row.parsed("kind", CredentialKind::parse)?;
        Ok(row)
    })?;
    known.into_iter().map(SealedCredential::read).collect()
}

impl Tx {
    /// Inserts a version of a sealed credential.
    pub async fn insert_credential(&self, credential: &SealedCredential) -> Result<()> {
        let values = credential.values();
        let sql = format!("insert into credentials ({COLUMNS}) values ({})", placeholders(1, values.len()));
        execute(&self.tx, "insert a credential", sql, values).await.map(drop)
    }

    /// Deletes the versions of one kind before that generation.
    pub async fn delete_credentials_before(
        &self,
        id: &ConnectionId,
        kind: CredentialKind,
        generation: i64,
    ) -> Result<u64> {
        let sql = "delete from credentials where connection_id = $1 and kind = $2 and generation < $3";
        let values = [id.as_str().into(), kind.as_str().into(), generation.into()];
        execute(&self.tx, "delete old credentials", sql, values).await
    }

    /// Keeps a version only in case the next one does not work: nothing is due for it any more.
    pub async fn retire_credential(&self, id: &ConnectionId, generation: i64) -> Result<()> {
        let sql = "update credentials set refresh_due_at = null where connection_id = $1 and generation = $2";
        let values = [id.as_str().into(), generation.into()];
        execute(&self.tx, "retire a credential", sql, values).await.map(drop)
    }

    /// Deletes every credential of a connection, and what is under way to give it another one: consents, links that were not
    /// used yet, and mails that would bring one.
    pub async fn delete_credentials(&self, id: &ConnectionId) -> Result<u64> {
        let sql = "delete from consents where connection_id = $1";
        execute(&self.tx, "delete consents", sql, [id.as_str().into()]).await?;
        let sql = "delete from connect_links where connection_id = $1 and used_at is null";
        execute(&self.tx, "delete unused links", sql, [id.as_str().into()]).await?;
        let sql = "delete from invitation_mails where invitation_id in
            (select id from invitations where connection_id = $1)";
        execute(&self.tx, "drop the mails of a connection", sql, [id.as_str().into()]).await?;
        let sql = "delete from credentials where connection_id = $1";
        execute(&self.tx, "delete all credentials", sql, [id.as_str().into()]).await
    }

    /// Marks a version as refused for good; `false` where it is gone or was marked already.
    pub async fn reject_credential(
        &self,
        id: &ConnectionId,
        generation: i64,
        reason: Reason,
    ) -> Result<bool> {
        let sql = "update credentials set rejected = $3, refresh_due_at = null
            where connection_id = $1 and generation = $2 and rejected is null";
        let values = [id.as_str().into(), generation.into(), reason.as_str().into()];
        Ok(execute(&self.tx, "reject a credential", sql, values).await? == 1)
    }

    /// Writes what a version can read; `false` where it is gone.
    pub async fn put_capabilities(
        &self,
        id: &ConnectionId,
        generation: i64,
        findings: &[Finding],
    ) -> Result<bool> {
        let sql = "update credentials set capabilities = $3 where connection_id = $1 and generation = $2";
        let matrix = serde_json::json!(findings).to_string();
        let values = [id.as_str().into(), generation.into(), matrix.into()];
        Ok(execute(&self.tx, "write capabilities", sql, values).await? == 1)
    }

    /// Remembers that a version's age was reminded of; `false` where somebody else did so since it was read.
    pub async fn remind(&self, version: &SealedCredential, now: DateTime<Utc>) -> Result<bool> {
        let sql = "update credentials set reminded_at = $3
            where connection_id = $1 and generation = $2 and (reminded_at is null or reminded_at < $4)";
        let since = version.reminded_at.map_or(now, |reminded| reminded + chrono::TimeDelta::seconds(1));
        let values =
            [version.connection_id.as_str().into(), version.generation.into(), now.into(), since.into()];
        Ok(execute(&self.tx, "remind of a credential", sql, values).await? == 1)
    }
}
