//! All queues of the process, without any waiting: the bus around it locks, calls and wakes.

use std::{collections::BTreeMap, sync::Arc};

use tidemark_ports::{AckLost, Message, Receipt, Route, Verdict, topology};
use tokio::sync::Notify;

use crate::queue::{ConsumerId, Queue};

#[derive(Debug, Default)]
pub(crate) struct Broker {
    queues: BTreeMap<&'static str, Queue>,
    next_consumer: ConsumerId,
}

impl Broker {
    pub(crate) fn declare(&mut self, queue: &topology::Queue) -> &mut Queue {
        let declared = self.queues.entry(queue.name).or_default();
        declared.bind(queue.binding);
        declared
    }

    pub(crate) fn publish(&mut self, message: &Message) -> Receipt {
        let mut taken = false;
        for queue in self.queues.values_mut().filter(|queue| queue.takes(&message.route)) {
            queue.push(message.clone());
            taken = true;
        }
        match message.route {
            Route::Command(_) if !taken => Receipt::Unroutable,
            Route::Command(_) | Route::Event(_) => Receipt::Accepted,
        }
    }

    pub(crate) fn attach(
        &mut self,
        queue: &topology::Queue,
        prefetch: usize,
        wake: Arc<Notify>,
    ) -> ConsumerId {
        let id = self.next_consumer;
        self.next_consumer += 1;
        self.declare(queue).attach(id, prefetch, wake);
        id
    }

    pub(crate) fn detach(&mut self, queue: &str, consumer: ConsumerId) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.detach(consumer);
        }
    }

    pub(crate) fn take(&mut self, queue: &str, consumer: ConsumerId) -> Option<(u64, Message, bool)> {
        self.queues.get_mut(queue)?.take(consumer)
    }

    pub(crate) fn settle(
        &mut self,
        queue: &str,
        consumer: ConsumerId,
        position: u64,
        verdict: Verdict,
    ) -> Result<(), AckLost> {
        self.queues.get_mut(queue).ok_or(AckLost)?.settle(consumer, position, verdict)
    }

    pub(crate) fn dead_letters(&self, queue: &str) -> Vec<Message> {
        self.queues.get(queue).map(Queue::dead).unwrap_or_default()
    }
}
