#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod activity;
pub mod alert;
pub mod capability;
pub mod command;
pub mod connection;
pub mod contract;
pub mod event;
pub mod exemption;
pub mod expiry;
pub mod id;
pub mod invitation;
pub mod listing;
pub mod member;
pub mod quality;
pub mod recommendation;
pub mod rollup;
pub mod run;
pub mod stream;
mod time;
pub mod webhook;

pub use time::{Clock, Entropy};
