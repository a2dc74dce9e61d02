//! The service over gRPC inside this process, on SQLite in memory and the simulator.

#![cfg(test)]

mod canary;
mod capabilities;
mod consents;
mod create;
mod detector;
mod disconnect;
mod faults;
mod leases;
mod reconnect;
mod renewals;
mod stress;
mod verdict;
mod world;
