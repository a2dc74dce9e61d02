#![doc = include_str!("../README.md")]

mod activity;
pub mod admin;
mod connect_links;
mod connections;
mod consents;
mod credentials;
mod dialect;
mod digest;
mod due;
mod episodes;
mod error;
mod feed;
mod fence;
mod inbox;
mod invitation_mails;
mod invitations;
mod migration;
mod outbox;
mod purges;
mod rollups;
mod roster;
mod runs;
mod sealed;
mod statement;
mod store;
mod webhooks;

pub use activity::{CoveredDay, OwnedMemberFacts};
pub use connect_links::ConnectLink;
pub use connections::{Connection, Purge};
pub use consents::Consent;
pub use credentials::{Attempted, Sealed, SealedCredential};
pub use episodes::Episode;
pub use error::{Cause, Error, Result};
pub use feed::{FeedEvent, FeedHead};
pub use fence::Fence;
pub use invitation_mails::ClaimedMail;
pub use invitations::Invitation;
pub use outbox::{Outgoing, OutgoingKind};
pub use rollups::RollupHead;
pub use roster::{RosterChange, RosterMember, TeamRoster};
pub use runs::{Run, StreamProgress};
pub use sealed::{SEALED_TABLES, SealedCount, SealedRow, SealedTable};
pub use store::{DatabaseInfo, Store, Tx};
/// What [`Store::connect`] takes, for crates that do not use `tidemark-runtime`.
pub use tidemark_runtime::config::Database as Settings;
pub use webhooks::{Attempt, Delivery, DueDelivery, Endpoint, EndpointSecret, NewDelivery};
