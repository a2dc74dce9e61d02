//! The message bus: publish with receipts, subscribe for ever, settle each delivery once.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use bytes::Bytes;

use crate::topology::Queue;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the one queue of that command.
    Command(String),
    /// To every queue bound to that event type.
    Event(String),
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Stable over republishing; consumers deduplicate by it.
    pub id: String,
    /// Where it goes.
    pub route: Route,
    /// Trace context and the like.
    pub headers: BTreeMap<String, String>,
    /// JSON.
    pub body: Bytes,
}

/// What became of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// The broker took responsibility for it.
    Accepted,
    /// A command that no queue takes. Events that nobody listens to are `Accepted`.
    Unroutable,
    /// Not known to have arrived: publish it again.
    Unknown,
}

/// What a consumer decided about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done, or recorded in the database for later.
    Ack,
    /// Can never be handled: to the dead-letter queue.
    DeadLetter,
    /// It failed: put back, delivered again, and counted. What fails too often goes to the dead-letter queue.
    Requeue,
    /// Nothing is wrong with it, the consumer stops: put back without a count, where the broker can tell the two apart.
    Release,
}

/// The broker does not know of the settlement: the message will come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker did not take the acknowledgement; the message will be delivered again")]
pub struct AckLost;

/// How an adapter settles one delivery.
#[async_trait]
pub trait Settle: Send {
    /// Tells the broker. Called at most once.
    async fn settle(self: Box<Self>, verdict: Verdict) -> Result<(), AckLost>;
}

/// One message in the hands of a consumer. One that is dropped unsettled is put back by the adapter.
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    settle: Box<dyn Settle>,
}

impl Delivery {
    /// For adapters.
    pub fn new(message: Message, redelivered: bool, settle: Box<dyn Settle>) -> Self {
        Self { message, redelivered, settle }
    }

    /// Tells the broker what was decided.
    pub async fn settle(self, verdict: Verdict) -> Result<(), AckLost> {
        self.settle.settle(verdict).await
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.message.id)
            .field("route", &self.message.route)
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

/// An endless flow of deliveries. Adapters reconnect underneath; at most `prefetch` deliveries are unsettled at a time.
#[async_trait]
pub trait Subscription: Send {
    /// The next delivery; waits as long as it takes. Safe to cancel.
    async fn next(&mut self) -> Delivery;
}

/// A message bus that delivers at least once.
#[async_trait]
pub trait Bus: fmt::Debug + Send + Sync {
    /// Publishes a batch and waits for the broker's word on each message, in the batch's order.
    async fn publish(&self, batch: Vec<Message>) -> Vec<Receipt>;

    /// Begins to consume a queue, declaring it if needed.
    async fn subscribe(&self, queue: &Queue, prefetch: u16) -> Box<dyn Subscription>;
}
