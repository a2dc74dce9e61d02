//! The service over gRPC inside this process, on SQLite in memory and the simulator.

#![cfg(test)]

mod canary;
mod create;
mod faults;
mod reconnect;
mod verdict;
mod world;
