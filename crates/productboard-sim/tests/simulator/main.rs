//! The simulator from outside: over TCP, and through its public types.
#![cfg(test)]

mod admin;
mod api;
mod faults;
mod ledger;
mod oauth;
mod oauth_tokens;
mod people;
mod support;
mod tokens;
mod webhooks;
mod wire;
