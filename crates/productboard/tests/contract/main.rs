//! The client against the simulator: two readings of the same description of the API must agree.

#![cfg(test)]

mod assumptions;
mod entities;
mod lists;
mod notes;
mod oauth;
mod pace;
mod pages;
mod people;
mod quirks;
mod support;
mod webhooks;
