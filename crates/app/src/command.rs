//! The commands that are more than a set of services.

pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod connections;
pub(crate) mod console;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod queue;
pub(crate) mod report;
pub(crate) mod shell;
pub(crate) mod simulator;
pub(crate) mod sync;
pub(crate) mod token;
pub(crate) mod vendor_check;
mod wire;
