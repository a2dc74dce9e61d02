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
                name: "0020_partitions",
                ddl: &[include_str!("migration/0020_partitions.sql")],
            }),
            Box::new(Migration { name: "0021_doubts", ddl: &[include_str!("migration/0021_doubts.sql")] }),
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
