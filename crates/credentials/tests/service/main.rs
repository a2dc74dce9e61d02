//! The service over gRPC inside this process, on SQLite in memory and the simulator.

#![cfg(test)]

mod alone;
mod assumptions;
mod canary;
mod capabilities;
mod connect_links;
mod consents;
mod console;
mod create;
mod detector;
mod disconnect;
mod faults;
mod invitations;
mod kept;
mod leases;
mod links_canary;
mod lives;
mod mails;
mod office;
mod post;
mod purge;
mod reconnect;
mod renewals;
mod stress;
mod verdict;
mod world;
