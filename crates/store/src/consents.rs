//! Consents that somebody has begun: from the moment the browser leaves until it comes back.
//!
//! Invariant: a consent is taken once, in time, and only by the session that began it.

use chrono::{DateTime, Utc};
use tidemark_domain::id::ConnectionId;

use crate::{
    credentials::Sealed,
    error::Result,
    statement::{execute, row},
    store::{Store, Tx},
};

/// A consent under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// A hash of the state that travels through the browser.
    pub state_hash: String,
    /// A hash of what ties it to a browser session.
    pub session_hash: String,
    /// The connection it is for.
    pub connection_id: ConnectionId,
    /// What proves at the exchange that it was us who asked.
    pub verifier: Sealed,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// Until when it can be taken.
    pub expires_at: DateTime<Utc>,
}

impl Store {
    /// Takes the consent of that state, if that session began it and it has not expired. It is gone afterwards.
    pub async fn take_consent(
        &self,
        state_hash: &str,
        session_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Consent>> {
        let sql = "delete from consents where state_hash = $1 and session_hash = $2 and expires_at > $3
            returning connection_id, algorithm, key_id, wrapped_key, ciphertext, created_at, expires_at";
        let values = [state_hash.into(), session_hash.into(), now.into()];
        let Some(row) = row(&self.db, "take a consent", sql, values).await? else { return Ok(None) };
        Ok(Some(Consent {
            state_hash: state_hash.to_owned(),
            session_hash: session_hash.to_owned(),
            connection_id: row.parsed("connection_id", |text| text.parse().ok())?,
            verifier: Sealed::read(&row)?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
        }))
    }

    /// Forgets consents that expired before that instant, and the connections that were begun with one and never made.
    pub async fn delete_abandoned(&self, before: DateTime<Utc>) -> Result<u64> {
        let sql = "delete from consents where expires_at < $1";
        execute(&self.db, "delete expired consents", sql, [before.into()]).await?;
        let sql =
            "delete from connections where state = 'awaiting_consent' and generation = 0 and updated_at < $1
            and not exists (select 1 from consents where consents.connection_id = connections.id)";
        execute(&self.db, "delete connections that were never made", sql, [before.into()]).await
    }
}

impl Tx {
    /// Inserts a consent under way.
    pub async fn insert_consent(&self, consent: &Consent) -> Result<()> {
        let sql =
            "insert into consents (state_hash, session_hash, connection_id, algorithm, key_id, wrapped_key,
                ciphertext, created_at, expires_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let values = [
            consent.state_hash.as_str().into(),
            consent.session_hash.as_str().into(),
            consent.connection_id.as_str().into(),
            consent.verifier.algorithm.as_str().into(),
            consent.verifier.key_id.as_str().into(),
            consent.verifier.wrapped_key.clone().into(),
            consent.verifier.ciphertext.clone().into(),
            consent.created_at.into(),
            consent.expires_at.into(),
        ];
        execute(&self.tx, "insert a consent", sql, values).await.map(drop)
    }
}
