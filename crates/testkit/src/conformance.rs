//! One suite per port, instantiated for every adapter by a macro.

pub mod bus;
pub mod leases;
pub mod rate;
