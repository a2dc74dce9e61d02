#![doc = include_str!("../README.md")]

mod calendar;
mod counters;
mod error;
mod faults;
mod gate;
mod limit;
mod names;
mod page;
mod people;
mod routes;
mod server;
mod spec;
mod teams;
mod tenants;
mod workspace;

pub use faults::{Faults, NextLink, Route};
pub use server::{Options, Simulator};
pub use spec::{Health, WorkspaceSpec, showcase};
pub use workspace::{Activity, COUNTER_NAMES, Member, Membership, Team, Workspace};
