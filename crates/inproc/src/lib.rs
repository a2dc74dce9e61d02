#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod broker;
mod bus;
mod leases;
mod pattern;
mod queue;

pub use bus::InprocBus;
pub use leases::InprocLeases;
