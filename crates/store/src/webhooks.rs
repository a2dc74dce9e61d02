//! Webhooks: endpoints with their sealed secrets, and the deliveries to them with every attempt.
//!
//! Invariant: an event has at most one delivery per endpoint; a delivery is changed only by whoever compares what it saw.

mod deliveries;
mod endpoints;

pub use deliveries::{Attempt, Delivery, DueDelivery, NewDelivery};
pub use endpoints::{Endpoint, EndpointSecret};
