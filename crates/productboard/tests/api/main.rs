//! The client over HTTP, against a vendor that answers by a script.

#![cfg(test)]

mod failures;
mod lists;
mod operations;
mod vendor;
