#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod backoff;
mod blocked;
mod bus;
mod consumer;
mod dead;
mod depth;
mod endpoint;
mod error;
mod probe;
mod publisher;
mod settle;
mod topology;
mod wire;

pub use bus::{AmqpBus, BrokerInfo};
pub use dead::{Burial, DeadLetter};
pub use depth::{Depth, Sounder};
pub use error::{ConnectError, InvalidUrl};
