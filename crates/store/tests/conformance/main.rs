//! The store against PostgreSQL and SQLite: every case runs on both. Without PostgreSQL they fail.

#![cfg(test)]

/// Makes a test per database of each case.
macro_rules! on_both_databases {
    ($($case:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(&tidemark_testkit::TestDatabase::sqlite_file().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(&tidemark_testkit::TestDatabase::postgres().await).await;
            })*
        }
    };
}

mod activity;
mod audit;
mod connections;
mod console;
mod credentials;
mod feed;
mod fence;
mod fixture;
mod invitations;
mod listings;
mod messages;
mod plans;
mod quality;
mod quarantine;
mod resources;
mod rollups;
mod roster;
mod runs;
mod schema;
mod sealed;
mod tokens;
mod turns;
mod vitals;
mod webhooks;
