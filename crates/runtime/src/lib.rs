#![doc = include_str!("../README.md")]

pub mod config;
mod memory;
pub mod metrics;
pub mod server;
mod shutdown;
pub mod tasks;
mod time;
pub mod tls;
pub mod trace;

pub use config::Config;
pub use memory::no_core_dumps;
pub use shutdown::Shutdown;
pub use time::{OsEntropy, SystemClock};
