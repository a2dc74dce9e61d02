#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod access;
mod calendar;
mod clock;
mod counters;
mod draft;
mod entity;
mod error;
mod evolve;
mod faults;
mod feedback;
mod field;
mod gate;
mod ground;
mod index;
mod json;
mod ledger;
mod limit;
pub mod manual;
mod names;
mod note;
mod oauth;
mod page;
mod people;
mod planning;
mod rendered;
mod routes;
mod server;
mod spec;
mod taken;
mod teams;
mod tenancy;
mod tenants;
mod titles;
mod webhooks;
mod wire;
mod workspace;

pub use access::{Access, TokenKind};
pub use entity::{
    CustomValue, Entity, EntityKind, Granularity, HealthStatus, HealthUpdate, Progress, Relationship,
    RelationshipKind, Source, Timeframe,
};
pub use evolve::Changes;
pub use faults::{Burst, Faults, NextLink, OddRow, RateHeaders, RetryAfter, Route, Storm, Swap};
pub use field::{CustomField, CustomKind, SelectOption, Status};
pub use ledger::{Ledger, TokenUse};
pub use note::{Content, Message, Note, NoteKind, NoteSource, Property, Target};
pub use oauth::{App, Consent, OAuthFaults, RefreshUse, fingerprint};
pub use server::{Options, Simulator};
pub use spec::{Health, WorkspaceSpec, showcase};
pub use tenancy::{Plan, Region};
pub use webhooks::{Attempt, Delivery, DeliveryState, Outcome, WebhookEvent, WebhookState};
pub use workspace::{Activity, COUNTER_NAMES, Member, Membership, Team, Workspace};
