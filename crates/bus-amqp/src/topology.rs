//! Exchanges, queues and bindings. Declaring what exists with the same arguments changes nothing.

use lapin::{
    Channel, ExchangeKind,
    options::{
        ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use tidemark_ports::topology::{Binding, DELIVERY_LIMIT, Queue};

/// Long enough for every name of ours, short enough that `<prefix>.<queue>.dead` fits AMQP's 255 bytes.
pub(crate) const LONGEST_PREFIX: usize = 100;

/// The names with the cluster's prefix.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(crate) fn commands(&self) -> ShortString {
        self.with_prefix("commands")
    }

    pub(crate) fn events(&self) -> ShortString {
        self.with_prefix("events")
    }

    pub(crate) fn queue(&self, name: &str) -> ShortString {
        self.with_prefix(name)
    }

    pub(crate) fn dead(&self, name: &str) -> ShortString {
        self.with_prefix(&format!("{name}.dead"))
    }

    fn with_prefix(&self, name: &str) -> ShortString {
        format!("{}.{name}", self.prefix).into()
    }
}

pub(crate) async fn declare(channel: &Channel, names: &Names, queues: &[Queue]) -> lapin::Result<()> {
    exchange(channel, names.commands(), ExchangeKind::Direct).await?;
    exchange(channel, names.events(), ExchangeKind::Topic).await?;
    for wanted in queues {
        // First the dead-letter queue: a message must not die into nothing.
        queue(channel, names.dead(wanted.name), quorum()).await?;
        queue(channel, names.queue(wanted.name), limited(names, wanted.name)).await?;
        match wanted.binding {
            Binding::Command(command) => bind(channel, names, wanted, names.commands(), command).await?,
            Binding::Events(patterns) => {
                for pattern in patterns {
                    bind(channel, names, wanted, names.events(), pattern).await?;
                }
            }
        }
    }
    Ok(())
}

/// Deletes both exchanges and these queues with their dead-letter queues, full or not.
pub(crate) async fn delete(channel: &Channel, names: &Names, queues: &[&str]) -> lapin::Result<()> {
    let options = QueueDeleteOptions {
        if_unused: false, // consumers are told and find out
        if_empty: false,  // a dead letter must not keep it
        nowait: false,    // it must be gone when we return
    };
    for name in queues {
        channel.queue_delete(names.queue(name), options).await?;
        channel.queue_delete(names.dead(name), options).await?;
    }
    let options = ExchangeDeleteOptions {
        if_unused: false, // bindings are to go with it
        nowait: false,    // it must be gone when we return
    };
    channel.exchange_delete(names.commands(), options).await?;
    channel.exchange_delete(names.events(), options).await
}

async fn exchange(channel: &Channel, name: ShortString, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        passive: false,     // create it
        durable: true,      // survives the broker's restart
        auto_delete: false, // stays without bindings
        internal: false,    // we publish to it
        nowait: false,      // wait, so that an error is seen here
    };
    channel.exchange_declare(name, kind, options, FieldTable::default()).await
}

async fn queue(channel: &Channel, name: ShortString, arguments: FieldTable) -> lapin::Result<()> {
    let options = QueueDeclareOptions {
        passive: false,     // create it
        durable: true,      // quorum queues must be
        exclusive: false,   // consumers compete for it
        auto_delete: false, // keeps messages while nobody consumes
        nowait: false,      // wait, so that an error is seen here
    };
    channel.queue_declare(name, options, arguments).await.map(|_| ())
}

async fn bind(
    channel: &Channel,
    names: &Names,
    queue: &Queue,
    exchange: ShortString,
    key: &str,
) -> lapin::Result<()> {
    let options = QueueBindOptions { nowait: false }; // messages must not pass before it holds
    channel.queue_bind(names.queue(queue.name), exchange, key.into(), options, FieldTable::default()).await
}

/// Replicated, and counts deliveries.
fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}

fn limited(names: &Names, name: &str) -> FieldTable {
    let mut arguments = quorum();
    // Explicit, because 3.x has no default and 4.x has one.
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(i64::from(DELIVERY_LIMIT)));
    // The default exchange leads to the queue of that name: no exchange of dead letters is needed.
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    let dead = names.dead(name);
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(dead.as_str().into()));
    arguments
}
