//! The client against the simulator: two readings of the same description of the API must agree.

#![cfg(test)]

mod lists;
mod oauth;
mod quirks;
mod support;
mod webhooks;
