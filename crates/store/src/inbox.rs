//! The inbox: an effect happens once although its message may arrive several times.

use chrono::{DateTime, Utc};

use crate::{
    error::Result,
    statement::{execute, int},
    store::{Store, Tx},
};

impl Store {
    /// Forgets some of the messages that were seen before that instant; tells how many. One that comes again after that
    /// would count as new: keep them longer than any broker keeps a message.
    pub async fn delete_seen_before(&self, before: DateTime<Utc>, limit: u64) -> Result<u64> {
        let sql = "delete from inbox where (consumer, message_id) in (
            select consumer, message_id from inbox where seen_at < $1 order by seen_at limit $2)";
        execute(&self.db, "delete seen messages", sql, [before.into(), int(limit)]).await
    }
}

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
