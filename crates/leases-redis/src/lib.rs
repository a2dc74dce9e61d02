#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod leases;
mod link;

pub use leases::{InvalidUrl, RedisLeases};
