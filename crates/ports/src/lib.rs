#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod bus;
mod lease;
pub mod rate;
pub mod topology;

pub use bus::{AckLost, Bus, Delivery, Message, Receipt, Route, Settle, Subscription, Verdict};
pub use lease::{Held, Lease, Leases, Unavailable};
pub use rate::{Grant, RateLimits};
