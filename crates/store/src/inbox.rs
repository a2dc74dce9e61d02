//! The inbox: an effect happens once although its message may arrive several times.

use chrono::{DateTime, Utc};

use crate::{error::Result, statement::execute, store::Tx};

impl Tx {
    /// Whether this consumer sees the message for the first time. To be asked in the transaction of the effect: if
    /// that is rolled back, the message was not seen.
    pub async fn first_time(&self, consumer: &str, message_id: &str, now: DateTime<Utc>) -> Result<bool> {
        let sql =
            "insert into inbox (consumer, message_id, seen_at) values ($1, $2, $3) on conflict do nothing";
        let values = [consumer.into(), message_id.into(), now.into()];
        Ok(execute(&self.tx, "remember a message", sql, values).await? == 1)
    }
}
