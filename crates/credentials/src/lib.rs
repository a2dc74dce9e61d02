#![doc = include_str!("../README.md")]

mod assertion;
mod connect;
mod connections;
mod consent;
mod detector;
mod disconnect;
mod holding;
mod matrix;
mod moves;
mod probe;
mod refresh;
mod refusal;
mod secret;
mod service;
mod settings;
mod tokens;
mod vault;
mod verdict;

pub use detector::Round;
pub use service::CredentialService;
pub use settings::{Application, ClientAuthentication, Settings};
pub use vault::{InvalidKeys, Vault};
