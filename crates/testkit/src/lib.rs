#![doc = include_str!("../README.md")]

pub mod conformance;
mod database;
mod time;

pub use database::{TestDatabase, open_store};
pub use time::{ManualClock, SeededEntropy};
