//! The port over publisher and consumers.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tidemark_ports::{
    Bus, Message, Receipt, Subscription,
    topology::{Queue, TOPOLOGY},
};
use tidemark_runtime::server::Server;

use crate::{
    consumer,
    endpoint::{self, Endpoint},
    error::{ConnectError, InvalidUrl},
    publisher::Publisher,
    topology::{self, LONGEST_PREFIX, Names},
};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerInfo {
    /// RabbitMQ's version, where it says so.
    pub version: Option<String>,
}

/// A message bus over RabbitMQ.
#[derive(Debug)]
pub struct AmqpBus {
    endpoint: Arc<Endpoint>,
    names: Names,
    publisher: Publisher,
    /// Queues that were subscribed to.
    subscribed: Mutex<BTreeSet<&'static str>>,
}

impl AmqpBus {
    /// A bus at that broker, with that prefix before every name. Connects when first used.
    pub fn new(server: impl Into<Server>, prefix: &str) -> Result<Self, InvalidUrl> {
        if prefix.len() > LONGEST_PREFIX {
            return Err(InvalidUrl::Prefix);
        }
        let endpoint = Arc::new(Endpoint::new(server.into())?);
        let names = Names::new(prefix);
        let publisher = Publisher::new(Arc::clone(&endpoint), names.clone());
        Ok(Self { endpoint, names, publisher, subscribed: Mutex::default() })
    }

    /// Whether the broker can be reached and lets us in. Declares nothing.
    pub async fn check(&self) -> Result<BrokerInfo, ConnectError> {
        let version = self.endpoint.probe().await?;
        let connection = self.endpoint.connect("check").await?;
        endpoint::close(&connection).await;
        Ok(BrokerInfo { version })
    }

    /// Deletes the exchanges of this prefix and every queue of `TOPOLOGY` and of this bus's subscriptions, with all
    /// their messages. For tests, and for tools that remove a cluster.
    pub async fn delete_topology(&self) -> Result<(), ConnectError> {
        let mut queues = self.subscribed().clone();
        queues.extend(TOPOLOGY.iter().map(|queue| queue.name));
        let queues: Vec<&str> = queues.into_iter().collect();
        let connection = self.endpoint.connect("delete").await?;
        let channel = self.endpoint.step("open a channel", connection.create_channel()).await?;
        let delete = topology::delete(&channel, &self.names, &queues);
        self.endpoint.step("delete the topology", delete).await?;
        endpoint::close(&connection).await;
        Ok(())
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    fn subscribed(&self) -> std::sync::MutexGuard<'_, BTreeSet<&'static str>> {
        self.subscribed.lock().expect("no code panics while it holds the names")
    }
}

#[async_trait]
impl Bus for AmqpBus {
    async fn publish(&self, batch: Vec<Message>) -> Vec<Receipt> {
        if batch.is_empty() { Vec::new() } else { self.publisher.publish(&batch).await }
    }

    async fn subscribe(&self, queue: &Queue, prefetch: u16) -> Box<dyn Subscription> {
        self.subscribed().insert(queue.name);
        consumer::subscribe(Arc::clone(&self.endpoint), self.names.clone(), *queue, prefetch).await
    }
}
