#![doc = include_str!("../README.md")]

mod access;
mod calendar;
mod clock;
mod counters;
mod error;
mod faults;
mod gate;
mod ledger;
mod limit;
mod names;
mod oauth;
mod page;
mod people;
mod routes;
mod server;
mod spec;
mod teams;
mod tenancy;
mod tenants;
mod webhooks;
mod wire;
mod workspace;

pub use access::{Access, TokenKind};
pub use faults::{Burst, Faults, NextLink, RateHeaders, RetryAfter, Route, Storm};
pub use ledger::Ledger;
pub use oauth::{App, Consent, OAuthFaults, RefreshUse, fingerprint};
pub use server::{Options, Simulator};
pub use spec::{Health, WorkspaceSpec, showcase};
pub use tenancy::{Plan, Region};
pub use webhooks::{Attempt, Delivery, DeliveryState, Outcome, WebhookEvent};
pub use workspace::{Activity, COUNTER_NAMES, Member, Membership, Team, Workspace};
