//! The simulator from outside: over TCP, and through its public types.
#![cfg(test)]

mod admin;
mod api;
mod configurations;
mod entities;
mod evolve;
mod faults;
mod ledger;
mod notes;
mod oauth;
mod oauth_tokens;
mod odd;
mod people;
mod plans;
mod quirks;
mod searches;
mod support;
mod tokens;
mod v1;
mod webhooks;
mod wire;
