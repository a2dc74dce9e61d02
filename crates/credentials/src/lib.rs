#![doc = include_str!("../README.md")]

pub mod audit;
mod connections;
mod host;
mod present;
mod probe;
mod refusal;
mod service;
mod tokens;
mod vault;

pub use host::Settings;
pub use service::CredentialService;
pub use vault::{InvalidKeys, Vault};
