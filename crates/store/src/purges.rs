//! Deletes the facts of disconnected workspaces, a batch at a time: however many there are, no statement is long and
//! nobody waits for it.

use tidemark_domain::id::ConnectionId;

use crate::{
    error::Result,
    statement::{execute, int, rows},
    store::Store,
};

/// Every table of facts, with what makes its rows one of a kind within a connection.
const FACTS: [(&str, &str); 28] = [
    ("alerts", "kind, subject"),
    ("acceptances", "member_id"),
    ("recommendations", "member_id"),
    ("exemptions", "member_id"),
    ("contracts", "connection_id"),
    ("rollup_numbers", "cut_kind, cut_key, window_days, day"),
    ("rollup_marks", "connection_id"),
    ("rollup_team_marks", "team_id"),
    ("seats", "member_id"),
    ("activity_pages", "block, day"),
    ("activity_windows", "block"),
    ("activity_blocks", "block"),
    ("rollup_heads", "connection_id"),
    ("member_days", "member_id, day"),
    ("day_coverage", "day"),
    ("doubted_days", "day"),
    ("team_members", "team_id, member_id"),
    ("teams", "team_id"),
    ("member_versions", "member_id, valid_from"),
    ("members", "member_id"),
    ("resources", "stream, resource_id"),
    ("configurations", "family, kind"),
    ("listed", "stream, resource_id"),
    ("listings", "stream, part"),
    ("stream_marks", "stream"),
    ("schema_drift", "stream, path"),
    ("data_flags", "flag"),
    ("sync_options", "connection_id"),
];

/// Copies of what happened to the workspace, for watchers and webhooks. Who waits for the news of its end gets it.
const COPIES: [&str; 2] = [
    "delete from webhook_deliveries where id in (
        select delivery.id from webhook_deliveries delivery join feed on feed.event_id = delivery.event_id
        where feed.connection_id = $1 and feed.kind <> 'connection.disconnected' limit $2)",
    "delete from feed where id in (
        select id from feed where connection_id = $1 and kind <> 'connection.disconnected' limit $2)",
];

impl Store {
    /// Disconnected workspaces whose facts are to be deleted.
    pub async fn purges(&self, limit: u64) -> Result<Vec<ConnectionId>> {
        let sql = "select id from connections where purge = 'asked' order by id limit $1";
        let rows = rows(&self.db, "list purges", sql, [int(limit)]).await?;
        rows.iter().map(|row| row.parsed("id", |text| text.parse().ok())).collect()
    }

    /// Deletes at most `batch` facts of a workspace. None left makes the purge done.
    pub async fn purge_facts(&self, connection: &ConnectionId, batch: u32) -> Result<u64> {
        for (table, key) in FACTS {
            let sql = format!(
                "delete from {table} where connection_id = $1 and ({key}) in
                    (select {key} from {table} where connection_id = $1 limit $2)"
            );
            let values = [connection.as_str().into(), int(batch)];
            let deleted = execute(&self.db, "delete facts", sql, values).await?;
            if deleted > 0 {
                return Ok(deleted);
            }
        }
        for sql in COPIES {
            let values = [connection.as_str().into(), int(batch)];
            let deleted = execute(&self.db, "delete copies of events", sql, values).await?;
            if deleted > 0 {
                return Ok(deleted);
            }
        }
        let sql = "update connections set purge = 'done' where id = $1 and purge = 'asked'";
        execute(&self.db, "finish a purge", sql, [connection.as_str().into()]).await?;
        Ok(0)
    }
}
