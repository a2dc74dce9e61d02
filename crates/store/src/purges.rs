//! Deletes the facts of disconnected workspaces, a batch at a time: however many there are, no statement is long and
//! nobody waits for it.

use tidemark_domain::id::ConnectionId;

use crate::{
    error::Result,
    statement::{execute, int},
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

/// What the credential service itself knows of a connection, with the addresses of those who were invited to it. A few
/// rows each; an invitation takes its links and its mail along.
const OWN: [&str; 5] = [
    "delete from consents where connection_id = $1",
    "delete from credentials where connection_id = $1",
    "delete from reconnect_episodes where connection_id = $1",
    "delete from connect_links where connection_id = $1 or made_connection_id = $1",
    "delete from invitations where connection_id = $1 or made_connection_id = $1",
];

impl Store {
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
        let mut deleted = 0;
        for sql in OWN {
            deleted +=
                execute(&self.db, "delete what is known of a connection", sql, [connection.as_str().into()])
                    .await?;
        }
        if deleted > 0 {
            return Ok(deleted);
        }
        // What is left says that there was a connection, and that it was ended. It recognizes nobody any more.
        let sql = "update connections set purge = 'done', anchors = '[]' where id = $1 and purge = 'asked'";
        execute(&self.db, "finish a purge", sql, [connection.as_str().into()]).await?;
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tidemark_runtime::config::Database;

    use super::*;
    use crate::statement::rows;

    /// What stays of a connection, and why.
    const KEPT: [(&str, &str); 4] = [
        ("connections", "says that there was one, and that it was ended"),
        ("fences", "keeps out whoever still syncs it"),
        ("runs", "when it was synced; forgotten with all old runs"),
        ("schedules", "when it would be synced next; nothing is, once it is ended"),
    ];

    #[tokio::test]
    async fn every_table_that_names_a_connection_is_purged_or_kept_for_a_reason() {
        let settings = Database { url: "sqlite::memory:".to_owned().into(), max_connections: 1 };
        let store = Store::connect(&settings).await.unwrap();
        store.migrate().await.unwrap();
        let sql = "select distinct t.name as name from sqlite_master t join pragma_table_info(t.name) c
            where t.type = 'table' and (c.name like '%connection_id' or t.name = 'connections')";
        let named = rows(&store.db, "a test", sql, []).await.unwrap();
        let named: BTreeSet<String> = named.iter().map(|row| row.get("name").unwrap()).collect();
        let statements = OWN.iter().chain(&COPIES).filter_map(|sql| sql.strip_prefix("delete from "));
        let purged: BTreeSet<&str> = statements
            .filter_map(|sql| sql.split_whitespace().next())
            .chain(FACTS.iter().map(|(table, _)| *table))
            .collect();
        let kept: BTreeSet<&str> = KEPT.iter().map(|(table, _)| *table).collect();
        for table in &named {
            let ways =
                usize::from(purged.contains(table.as_str())) + usize::from(kept.contains(table.as_str()));
            assert_eq!(ways, 1, "`{table}` names a connection: purge it, or say here why it stays");
        }
        let gone: Vec<_> = kept.iter().filter(|table| !named.contains(**table)).collect();
        assert!(gone.is_empty(), "{gone:?} name no connection any more");
    }
}
