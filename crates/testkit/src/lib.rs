#![doc = include_str!("../README.md")]

mod canary;
pub mod conformance;
mod database;
mod port;
mod proxy;
pub mod servers;
mod time;

pub use canary::{Sink, assert_absent};
pub use database::{TestDatabase, open_store};
pub use port::reserve_port;
pub use proxy::Proxy;
pub use time::{ManualClock, SeededEntropy};
