#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod broker;
mod bus;
mod leases;
mod pattern;
mod queue;
mod rate;

pub use bus::InprocBus;
pub use leases::InprocLeases;
pub use rate::InprocRateLimits;
