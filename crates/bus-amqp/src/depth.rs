//! How full the queues are. Asking declares nothing: a queue that is not there is one that nobody has consumed yet.

use std::sync::Arc;

use lapin::{Channel, Connection, options::QueueDeclareOptions, types::FieldTable};
use tidemark_ports::topology::{Queue, TOPOLOGY};
use tokio::sync::Mutex;

use crate::{blocked::Prober, bus::AmqpBus, endpoint::Endpoint, error::ConnectError, topology::Names};

/// A queue as the broker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Which one, without the prefix.
    pub queue: &'static str,
    /// Messages that wait for a consumer.
    pub messages: u64,
    /// Consumers.
    pub consumers: u64,
    /// Messages that died in it.
    pub dead: u64,
    /// Whether the queue and its dead letters' are there.
    pub exists: bool,
}

/// Asks again and again over connections that it keeps.
#[derive(Debug)]
pub struct Sounder {
    endpoint: Arc<Endpoint>,
    names: Names,
    connection: Mutex<Option<Connection>>,
    /// Another one: a broker reads nothing more from a connection that it blocks.
    prober: Mutex<Option<Prober>>,
}

impl AmqpBus {
    /// Something that tells how full the queues are. Connects when first asked.
    pub fn sounder(&self) -> Sounder {
        Sounder {
            endpoint: Arc::clone(self.endpoint()),
            names: self.names().clone(),
            connection: Mutex::default(),
            prober: Mutex::default(),
        }
    }
}

impl Sounder {
    /// All queues of the topology. An error says why the broker cannot be asked.
    pub async fn depths(&self) -> Result<Vec<Depth>, ConnectError> {
        let mut kept = self.connection.lock().await;
        let connection = match kept.take().filter(|connection| connection.status().connected()) {
            Some(connection) => connection,
            None => self.endpoint.connect("depth").await?,
        };
        let mut depths = Vec::with_capacity(TOPOLOGY.len());
        for queue in TOPOLOGY {
            depths.push(self.depth(&connection, queue).await?);
        }
        *kept = Some(connection);
        Ok(depths)
    }

    /// Why the broker takes no messages although it answers, in its own words: its alarms (no disk, no memory) block
    /// whoever publishes. Nothing where it takes them.
    pub async fn blocked(&self) -> Result<Option<String>, ConnectError> {
        let mut kept = self.prober.lock().await;
        if kept.as_ref().is_none_or(|prober| !prober.is_alive()) {
            *kept = Some(Prober::open(&self.endpoint).await?);
        }
        // It stays where it is, also when whoever asks gives up: a blocked connection could not even be closed.
        let prober = kept.as_mut().expect("opened just now");
        prober.ask(&self.endpoint, self.names.probe()).await
    }

    async fn depth(&self, connection: &Connection, queue: Queue) -> Result<Depth, ConnectError> {
        // Asking for a queue that is missing ends the channel, so that each queue has one of its own.
        let channel = self.endpoint.step("open a channel", connection.create_channel()).await?;
        let counts = async {
            Ok((
                ask(&channel, self.names.queue(queue.name)).await?,
                ask(&channel, self.names.dead(queue.name)).await?,
            ))
        };
        let missing = Depth { queue: queue.name, messages: 0, consumers: 0, dead: 0, exists: false };
        let depth = match self.endpoint.step("ask for a queue", counts).await {
            Ok(((messages, consumers), (dead, _))) => {
                Depth { messages, consumers, dead, exists: true, ..missing }
            }
            // The channel ended, and nothing else did: the queue is not there.
            Err(_) if connection.status().connected() => missing,
            Err(error) => return Err(error),
        };
        // A channel that the broker ended is closed already.
        let _ = channel.close(200, "done".into()).await;
        Ok(depth)
    }
}

pub(crate) async fn ask(channel: &Channel, name: lapin::types::ShortString) -> lapin::Result<(u64, u64)> {
    let options = QueueDeclareOptions {
        passive: true, // asks, and makes nothing
        durable: true,
        exclusive: false,
        auto_delete: false,
        nowait: false, // the answer is what is wanted
    };
    let queue = channel.queue_declare(name, options, FieldTable::default()).await?;
    Ok((queue.message_count().into(), queue.consumer_count().into()))
}
