//! Events to subscribers, and what became of them.

use super::Simulator;
use crate::{Delivery, WebhookEvent, WebhookState};

impl Simulator {
    /// Sends an event to its subscribers in a workspace and says how many these are: 0 as well when there is no such
    /// workspace. [`Self::deliveries`] tells what became of it.
    pub fn deliver(&self, domain: &str, event: &WebhookEvent) -> usize {
        self.api.deliver(domain, event).unwrap_or(0)
    }

    /// The subscriptions of a workspace, oldest first, and which of them are disabled.
    pub fn webhooks(&self, domain: &str) -> Vec<WebhookState> {
        self.api.webhooks.states(domain)
    }

    /// What became of the events of a workspace, one entry for each subscriber, oldest first.
    pub fn deliveries(&self, domain: &str) -> Vec<Delivery> {
        self.api.webhooks.deliveries(domain)
    }
}
