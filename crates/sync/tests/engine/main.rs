//! The sync service as a whole, over SQLite in memory, the in-process bus and leases, and the simulator.

#![cfg(test)]

mod believed;
mod circles;
mod clock;
mod faults;
mod hanging;
mod histories;
mod odd;
mod planned;
mod recovery;
mod streams;
mod support;
mod syncs;
mod turns;
mod vault;
