//! The service over gRPC inside this process, on SQLite in memory and the simulator.

mod canary;
mod create;
mod reconnect;
mod verdict;
mod world;
