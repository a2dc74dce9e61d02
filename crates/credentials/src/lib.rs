#![doc = include_str!("../README.md")]

mod assertion;
mod connect;
mod connect_links;
mod connections;
mod consent;
mod detector;
mod disconnect;
mod holding;
mod install;
mod invitations;
mod mail;
mod matrix;
mod moves;
mod probe;
mod refresh;
mod refusal;
mod return_url;
mod rotation;
mod secret;
mod service;
mod settings;
mod subscriptions;
mod ticket;
mod token;
mod tokens;
mod vault;
mod verdict;

pub use detector::Round;
pub use invitations::{InvitationService, InvitationSettings};
pub use mail::{InvalidMail, Mailer};
pub use return_url::ReturnUrls;
pub use rotation::{KeyUse, Rotated, Stuck};
pub use service::CredentialService;
pub use settings::{Application, ClientAuthentication, Settings};
pub use subscriptions::{Settings as SubscriptionSettings, SubscriptionService};
pub use vault::{InvalidKeys, OpenError, Vault};
