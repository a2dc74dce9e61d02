//! The schema's history. DDL stands in commented SQL files; `dialect` fills in the few type names that differ.
//!
//! A migration that was released never changes: the next change is a new entry, and works while the version before it
//! still runs (expand now, contract a release later).

use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait, sea_orm};

use sea_orm::{ConnectionTrait, DbErr};

use crate::dialect;

/// All migrations, oldest first.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Migration {
                name: "0001_record",
                ddl: &[
                    include_str!("migration/0001_connections.sql"),
                    include_str!("migration/0001_messages.sql"),
                    include_str!("migration/0001_runs.sql"),
                    include_str!("migration/0001_facts.sql"),
                    include_str!("migration/0001_rollups.sql"),
                ],
            }),
            Box::new(Migration {
                name: "0002_lifecycle",
                ddl: &[
                    include_str!("migration/0002_connections.sql"),
                    include_str!("migration/0002_credentials.sql"),
                ],
            }),
            Box::new(Migration {
                name: "0003_subscriptions",
                ddl: &[include_str!("migration/0003_feed.sql"), include_str!("migration/0003_webhooks.sql")],
            }),
            Box::new(Migration { name: "0004_callers", ddl: &[include_str!("migration/0004_callers.sql")] }),
            Box::new(Migration {
                name: "0005_invitations",
                ddl: &[
                    include_str!("migration/0005_invitations.sql"),
                    include_str!("migration/0005_connect_links.sql"),
                ],
            }),
            Box::new(Migration { name: "0006_runs", ddl: &[include_str!("migration/0006_runs.sql")] }),
            Box::new(Migration { name: "0007_streams", ddl: &[include_str!("migration/0007_streams.sql")] }),
            Box::new(Migration {
                name: "0008_utilization",
                ddl: &[
                    include_str!("migration/0008_utilization.sql"),
                    include_str!("migration/0008_comments.sql"),
                ],
            }),
            Box::new(Migration { name: "0009_console", ddl: &[include_str!("migration/0009_console.sql")] }),
            Box::new(Migration { name: "0010_alerts", ddl: &[include_str!("migration/0010_alerts.sql")] }),
            Box::new(Migration {
                name: "0011_activity",
                ddl: &[include_str!("migration/0011_activity.sql")],
            }),
            Box::new(Migration { name: "0012_console", ddl: &[include_str!("migration/0012_console.sql")] }),
            Box::new(Migration { name: "0014_trace", ddl: &[include_str!("migration/0014_trace.sql")] }),
            Box::new(Migration {
                name: "0015_team_marks",
                ddl: &[include_str!("migration/0015_team_marks.sql")],
            }),
            Box::new(Migration { name: "0016_views", ddl: &[include_str!("migration/0016_views.sql")] }),
            Box::new(Migration { name: "0017_names", ddl: &[include_str!("migration/0017_names.sql")] }),
            Box::new(Migration {
                name: "0020_partitions",
                ddl: &[include_str!("migration/0020_partitions.sql")],
            }),
            Box::new(Migration { name: "0021_doubts", ddl: &[include_str!("migration/0021_doubts.sql")] }),
            Box::new(Migration { name: "0022_windows", ddl: &[include_str!("migration/0022_windows.sql")] }),
            Box::new(Migration { name: "0023_packed", ddl: &[include_str!("migration/0023_packed.sql")] }),
            Box::new(Migration {
                name: "0024_quarantine",
                ddl: &[include_str!("migration/0024_quarantine.sql")],
            }),
            Box::new(Migration {
                name: "0027_rollup_turns",
                ddl: &[include_str!("migration/0027_rollup_turns.sql")],
            }),
            Box::new(Migration { name: "0030_outbox", ddl: &[include_str!("migration/0030_outbox.sql")] }),
            Box::new(Migration {
                name: "0031_retention",
                ddl: &[include_str!("migration/0031_retention.sql")],
            }),
            Box::new(Migration {
                name: "0032_assumptions",
                ddl: &[include_str!("migration/0032_assumptions.sql")],
            }),
            Box::new(Migration { name: "0033_claims", ddl: &[include_str!("migration/0033_claims.sql")] }),
        ]
    }
}

struct Migration {
    name: &'static str,
    ddl: &'static [&'static str],
}

impl MigrationName for Migration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for file in self.ddl {
            let sql = dialect::ddl(manager.get_database_backend(), file);
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{statement::rows, test_databases::memory};

    const COMMENTS: [&str; 2] =
        [include_str!("migration/0008_comments.sql"), include_str!("migration/0016_views.sql")];

    /// What is described can be asked for, and of the views everything is. PostgreSQL refuses a description of what is not
    /// there; SQLite reads none.
    #[tokio::test]
    async fn every_column_of_the_views_is_described() {
        let store = memory().await;
        let lines = || COMMENTS.into_iter().flat_map(str::lines);
        let described =
            || lines().filter_map(|line| line.strip_prefix("comment on column ")?.split_once(' '));
        for (name, _) in described() {
            let (table, column) = name.split_once('.').unwrap();
            rows(&store.db, "a test", format!("select {column} from {table}"), []).await.unwrap();
        }
        for view in ["daily", "areas", "seats", "recommendations"] {
            let view = format!("utilization_{view}_v1");
            assert!(lines().any(|line| line.starts_with(&format!("comment on view {view} is"))), "{view}");
            let columns = rows(&store.db, "a test", format!("pragma table_info({view})"), []).await.unwrap();
            assert!(columns.len() > 10, "{view}");
            for column in columns {
                let name = format!("{view}.{}", column.get::<String>("name").unwrap());
                assert_eq!(described().filter(|(it, _)| *it == name).count(), 1, "{name}");
            }
        }
    }
}
