#![doc = include_str!("../README.md")]

mod activity;
pub mod admin;
mod audit;
mod connections;
mod dialect;
mod digest;
mod error;
mod fence;
mod inbox;
mod migration;
mod outbox;
mod rollups;
mod roster;
mod runs;
mod statement;
mod store;
mod tokens;

pub use activity::{CoveredDay, OwnedMemberFacts};
pub use audit::{AuditEntry, AuditHead};
pub use connections::{Connection, Sealed, SealedCredential};
pub use error::{Cause, Error, Result};
pub use fence::Fence;
pub use outbox::{Outgoing, OutgoingKind};
pub use rollups::RollupHead;
pub use roster::{RosterChange, RosterMember, TeamRoster};
pub use runs::{Run, StreamProgress};
pub use store::{DatabaseInfo, Store, Tx};
/// What [`Store::connect`] takes, for crates that do not use `tidemark-runtime`.
pub use tidemark_runtime::config::Database as Settings;
pub use tokens::ServiceToken;
