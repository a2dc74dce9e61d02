#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod leases;
mod link;
mod rate;

pub use leases::{InvalidUrl, RedisLeases};
pub use rate::RedisRateLimits;
