#![doc = include_str!("../README.md")]

mod connections;
mod host;
mod probe;
mod refusal;
mod rotation;
mod service;
mod subscriptions;
mod tokens;
mod vault;

pub use host::Settings;
pub use rotation::{KeyUse, Rotated, Stuck};
pub use service::CredentialService;
pub use subscriptions::{Settings as SubscriptionSettings, SubscriptionService};
pub use vault::{InvalidKeys, OpenError, Vault};
