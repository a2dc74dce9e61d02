//! The service over gRPC inside this process, on SQLite in memory and the simulator.

#![cfg(test)]

mod canary;
mod connect_links;
mod create;
mod faults;
mod invitations;
mod links_canary;
mod mails;
mod office;
mod post;
mod reconnect;
mod verdict;
mod world;
