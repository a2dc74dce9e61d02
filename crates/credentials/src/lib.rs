#![doc = include_str!("../README.md")]

mod connect_links;
mod connections;
mod host;
mod invitations;
mod mail;
mod probe;
mod refusal;
mod return_url;
mod rotation;
mod service;
mod subscriptions;
mod ticket;
mod token;
mod tokens;
mod vault;

pub use host::Settings;
pub use invitations::{InvitationService, InvitationSettings};
pub use mail::{InvalidMail, Mailer};
pub use return_url::ReturnUrls;
pub use rotation::{KeyUse, Rotated, Stuck};
pub use service::CredentialService;
pub use subscriptions::{Settings as SubscriptionSettings, SubscriptionService};
pub use vault::{InvalidKeys, OpenError, Vault};
