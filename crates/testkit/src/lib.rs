#![doc = include_str!("../README.md")]

mod canary;
pub mod conformance;
mod database;
mod proxy;
mod time;

pub use canary::{Sink, assert_absent};
pub use database::{TestDatabase, open_store};
pub use proxy::Proxy;
pub use time::{ManualClock, SeededEntropy};
