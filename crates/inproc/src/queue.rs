//! One queue: what is ready, who consumes, and who holds what.
//!
//! Invariant: a message is in exactly one place: ready, in a consumer's hands or buffer, dead, or gone by an ack.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tidemark_ports::{
    AckLost, Message, Route, Verdict,
    topology::{Binding, DELIVERY_LIMIT},
};
use tokio::sync::Notify;

use crate::pattern;

/// Names one subscription.
pub(crate) type ConsumerId = u64;

#[derive(Debug)]
pub(crate) struct Entry {
    /// Place in the queue, kept when the message is put back.
    pub(crate) position: u64,
    pub(crate) message: Message,
    /// How often it was handed to a consumer before.
    pub(crate) deliveries: u32,
    /// How often it was put back as failed.
    pub(crate) failures: u32,
}

#[derive(Debug)]
struct Consumer {
    id: ConsumerId,
    prefetch: usize,
    /// Assigned to this consumer, not yet in its hands.
    buffer: VecDeque<Entry>,
    held: BTreeMap<u64, Entry>,
    wake: Arc<Notify>,
}

impl Consumer {
    fn has_room(&self) -> bool {
        self.buffer.len() + self.held.len() < self.prefetch
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    bindings: Vec<Binding>,
    next_position: u64,
    /// By position, so that what is put back comes first again.
    ready: BTreeMap<u64, Entry>,
    /// The front one is next in turn.
    consumers: VecDeque<Consumer>,
    dead: Vec<Message>,
}

impl Queue {
    pub(crate) fn bind(&mut self, binding: Binding) {
        if !self.bindings.contains(&binding) {
            self.bindings.push(binding);
        }
    }

    pub(crate) fn takes(&self, route: &Route) -> bool {
        self.bindings.iter().any(|binding| match (binding, route) {
            (Binding::Command(name), Route::Command(command)) => name == command,
            (Binding::Events(patterns), Route::Event(event)) => {
                patterns.iter().any(|pattern| pattern::matches(pattern, event))
            }
            _ => false,
        })
    }

    pub(crate) fn push(&mut self, message: Message) {
        let position = self.next_position;
        self.next_position += 1;
        self.ready.insert(position, Entry { position, message, deliveries: 0, failures: 0 });
        self.dispatch();
    }

    pub(crate) fn attach(&mut self, id: ConsumerId, prefetch: usize, wake: Arc<Notify>) {
        let (buffer, held) = (VecDeque::new(), BTreeMap::new());
        self.consumers.push_back(Consumer { id, prefetch, buffer, held, wake });
        self.dispatch();
    }

    /// Puts back what the consumer holds and had been assigned.
    pub(crate) fn detach(&mut self, id: ConsumerId) {
        let Some(index) = self.consumers.iter().position(|consumer| consumer.id == id) else { return };
        let Some(consumer) = self.consumers.remove(index) else { return };
        for entry in consumer.buffer {
            self.ready.insert(entry.position, entry);
        }
        for entry in consumer.held.into_values() {
            self.put_back(entry);
        }
        self.dispatch();
    }

    /// Puts the next assigned message into the consumer's hands: its position, itself, and whether it came before.
    pub(crate) fn take(&mut self, id: ConsumerId) -> Option<(u64, Message, bool)> {
        let consumer = self.consumers.iter_mut().find(|consumer| consumer.id == id)?;
        let mut entry = consumer.buffer.pop_front()?;
        let taken = (entry.position, entry.message.clone(), entry.deliveries > 0);
        entry.deliveries += 1;
        consumer.held.insert(entry.position, entry);
        Some(taken)
    }

    pub(crate) fn settle(&mut self, id: ConsumerId, position: u64, verdict: Verdict) -> Result<(), AckLost> {
        let consumer = self.consumers.iter_mut().find(|consumer| consumer.id == id).ok_or(AckLost)?;
        let entry = consumer.held.remove(&position).ok_or(AckLost)?;
        match verdict {
            Verdict::Ack => {}
            Verdict::DeadLetter => self.bury(entry),
            Verdict::Requeue => self.put_back(entry),
            Verdict::Release => drop(self.ready.insert(entry.position, entry)),
        }
        self.dispatch();
        Ok(())
    }

    pub(crate) fn dead(&self) -> Vec<Message> {
        self.dead.clone()
    }

    fn put_back(&mut self, mut entry: Entry) {
        entry.failures += 1;
        if entry.failures >= DELIVERY_LIMIT {
            self.bury(entry);
        } else {
            self.ready.insert(entry.position, entry);
        }
    }

    fn bury(&mut self, entry: Entry) {
        tracing::warn!(id = entry.message.id, deliveries = entry.deliveries, "message dead-lettered");
        self.dead.push(entry.message);
    }

    /// Assigns ready messages to the consumers with room, in turn.
    fn dispatch(&mut self) {
        while !self.ready.is_empty() {
            let Some(index) = self.consumers.iter().position(Consumer::has_room) else { return };
            let Some((_, entry)) = self.ready.pop_first() else { return };
            if let Some(mut consumer) = self.consumers.remove(index) {
                consumer.buffer.push_back(entry);
                consumer.wake.notify_one();
                self.consumers.push_back(consumer);
            }
        }
    }
}
