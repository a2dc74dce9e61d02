#![doc = include_str!("../README.md")]

pub mod conformance;
mod time;

pub use time::{ManualClock, SeededEntropy};
