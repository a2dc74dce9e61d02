#![doc = include_str!("../README.md")]

mod activity;
pub mod admin;
mod connections;
mod consents;
mod credentials;
mod dialect;
mod digest;
mod due;
mod episodes;
mod error;
mod fence;
mod inbox;
mod migration;
mod outbox;
mod purges;
mod rollups;
mod roster;
mod runs;
mod statement;
mod store;

pub use activity::{CoveredDay, OwnedMemberFacts};
pub use connections::{Connection, Purge};
pub use consents::Consent;
pub use credentials::{Attempted, Sealed, SealedCredential};
pub use episodes::Episode;
pub use error::{Cause, Error, Result};
pub use fence::Fence;
pub use outbox::{Outgoing, OutgoingKind};
pub use rollups::RollupHead;
pub use roster::{RosterChange, RosterMember, TeamRoster};
pub use runs::{Run, StreamProgress};
pub use store::{DatabaseInfo, Store, Tx};
/// What [`Store::connect`] takes, for crates that do not use `tidemark-runtime`.
pub use tidemark_runtime::config::Database as Settings;
