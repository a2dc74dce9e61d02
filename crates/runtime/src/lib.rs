#![doc = include_str!("../README.md")]

pub mod config;
mod shutdown;
mod time;
pub mod trace;

pub use config::Config;
pub use shutdown::Shutdown;
pub use time::{OsEntropy, SystemClock};
