//! The bus around the broker: locking, waking, and putting back what is dropped.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tidemark_ports::{
    AckLost, Bus, Delivery, Message, Receipt, Settle, Subscription, Verdict,
    topology::{Queue, TOPOLOGY},
};
use tokio::sync::Notify;

use crate::{broker::Broker, queue::ConsumerId};

/// A message bus within the process. Clones share it.
#[derive(Debug, Clone)]
pub struct InprocBus(Shared);

#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Broker>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Broker> {
        self.0.lock().expect("no code panics while it holds the broker")
    }
}

impl InprocBus {
    /// A bus with all of `TOPOLOGY` declared.
    pub fn new() -> Self {
        let mut broker = Broker::default();
        for queue in &TOPOLOGY {
            broker.declare(queue);
        }
        Self(Shared(Arc::new(Mutex::new(broker))))
    }

    /// What was given up of that queue, oldest first.
    pub fn dead_letters(&self, queue: &Queue) -> Vec<Message> {
        self.0.lock().dead_letters(queue.name)
    }
}

impl Default for InprocBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for InprocBus {
    async fn publish(&self, batch: Vec<Message>) -> Vec<Receipt> {
        let mut broker = self.0.lock();
        batch.iter().map(|message| broker.publish(message)).collect()
    }

    async fn subscribe(&self, queue: &Queue, prefetch: u16) -> Box<dyn Subscription> {
        let wake = Arc::new(Notify::new());
        // Zero would never deliver anything.
        let prefetch = usize::from(prefetch.max(1));
        let consumer = self.0.lock().attach(queue, prefetch, Arc::clone(&wake));
        Box::new(Consumption { broker: self.0.clone(), queue: queue.name, consumer, wake })
    }
}

struct Consumption {
    broker: Shared,
    queue: &'static str,
    consumer: ConsumerId,
    wake: Arc<Notify>,
}

#[async_trait]
impl Subscription for Consumption {
    async fn next(&mut self) -> Delivery {
        loop {
            let taken = self.broker.lock().take(self.queue, self.consumer);
            if let Some((position, message, redelivered)) = taken {
                let (broker, queue, consumer) = (self.broker.clone(), self.queue, self.consumer);
                let ticket = Ticket { broker, queue, consumer, position, settled: false };
                return Delivery::new(message, redelivered, Box::new(ticket));
            }
            // A wake-up between the look and this line is kept by `notify_one`.
            self.wake.notified().await;
        }
    }
}

impl Drop for Consumption {
    fn drop(&mut self) {
        self.broker.lock().detach(self.queue, self.consumer);
    }
}

/// The right to settle one delivery.
struct Ticket {
    broker: Shared,
    queue: &'static str,
    consumer: ConsumerId,
    position: u64,
    settled: bool,
}

impl Ticket {
    fn tell(&mut self, verdict: Verdict) -> Result<(), AckLost> {
        self.settled = true;
        self.broker.lock().settle(self.queue, self.consumer, self.position, verdict)
    }
}

#[async_trait]
impl Settle for Ticket {
    async fn settle(mut self: Box<Self>, verdict: Verdict) -> Result<(), AckLost> {
        self.tell(verdict)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            // A lost subscription has put it back already.
            let _ = self.tell(Verdict::Requeue);
        }
    }
}
