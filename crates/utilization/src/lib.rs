#![doc = include_str!("../README.md")]

mod aggregator;
mod recompute;
#[cfg(test)]
mod sample;
mod service;
mod summary;

pub use service::UtilizationService;
