//! Watchers and webhooks over a record, a clock that is moved by hand, and a receiver of our own.

#![cfg(test)]

mod alone;
mod canary;
mod endpoints;
mod receiver;
mod replicas;
mod retries;
mod watch;
mod webhooks;
mod world;
