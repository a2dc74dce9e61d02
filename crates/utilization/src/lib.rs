#![doc = include_str!("../README.md")]

mod aggregator;
mod alerts;
mod basis;
mod contract;
mod export;
mod recompute;
#[cfg(test)]
mod sample;
mod seats;
mod service;
mod summary;
mod trend;
mod wire;

pub use service::UtilizationService;
