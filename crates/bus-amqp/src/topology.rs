//! Exchanges, queues and bindings. Declaring what exists with the same arguments changes nothing.

use lapin::{
    Channel, Connection, ErrorKind, ExchangeKind,
    options::{
        ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use tidemark_ports::topology::{Binding, DELIVERY_LIMIT, Queue};

use crate::{endpoint::Endpoint, error::ConnectError};

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

    /// No queue has that name.
    pub(crate) fn probe(&self) -> ShortString {
        self.with_prefix("probe")
    }

    pub(crate) fn dead(&self, name: &str) -> ShortString {
        self.with_prefix(&format!("{name}.dead"))
    }

    fn with_prefix(&self, name: &str) -> ShortString {
        format!("{}.{name}", self.prefix).into()
    }
}

/// Declares exchanges, queues and bindings on a channel of their own.
///
/// A queue that is there with other arguments is used as it is: its arguments cannot change, its messages must not be
/// lost, and a cluster that was set up by an earlier version or by hand must go on.
pub(crate) async fn declare(
    endpoint: &Endpoint,
    connection: &Connection,
    names: &Names,
    queues: &[Queue],
) -> Result<(), ConnectError> {
    let channel = endpoint.step("open a channel", connection.create_channel()).await?;
    let mut topology = Topology { endpoint, connection, names, channel };
    endpoint.step("declare the topology", topology.declare(queues)).await?;
    // One that the broker ended is closed already.
    let _ = topology.channel.close(200, "done".into()).await;
    Ok(())
}

struct Topology<'a> {
    endpoint: &'a Endpoint,
    connection: &'a Connection,
    names: &'a Names,
    channel: Channel,
}

impl Topology<'_> {
    async fn declare(&mut self, queues: &[Queue]) -> lapin::Result<()> {
        let names = self.names;
        exchange(&self.channel, names.commands(), ExchangeKind::Direct).await?;
        exchange(&self.channel, names.events(), ExchangeKind::Topic).await?;
        for wanted in queues {
            // First the dead-letter queue: a message must not die into nothing.
            self.ensure(names.dead(wanted.name), dead(self.endpoint.is_at_least(4, 0))).await?;
            self.ensure(names.queue(wanted.name), limited(names, wanted.name)).await?;
            match wanted.binding {
                Binding::Command(command) => {
                    bind(&self.channel, names, wanted, names.commands(), command).await?;
                }
                Binding::Events(patterns) => {
                    for pattern in patterns {
                        bind(&self.channel, names, wanted, names.events(), pattern).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn ensure(&mut self, name: ShortString, arguments: FieldTable) -> lapin::Result<()> {
        let Err(error) = queue(&self.channel, name.clone(), arguments).await else { return Ok(()) };
        if !has_other_arguments(&error) {
            return Err(error);
        }
        if self.endpoint.is_news(name.as_str()) {
            tracing::warn!(
                queue = name.as_str(),
                "the queue is there with other arguments and is used as it is; see the README of bus-amqp"
            );
        }
        // The broker ends the channel over it.
        self.channel = self.connection.create_channel().await?;
        Ok(())
    }
}

/// PRECONDITION_FAILED.
fn has_other_arguments(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == 406)
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

/// Without a limit: RabbitMQ 4 gives every quorum queue one of 20, and whoever looks into the queue would use it up. Older
/// versions have no default, and refuse the argument.
fn dead(has_default_limit: bool) -> FieldTable {
    let mut arguments = quorum();
    if has_default_limit {
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(-1));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// RabbitMQ before 4.0 refuses the argument; 4.0 and later would drop a letter that was looked at 20 times.
    #[test]
    fn a_dead_letter_queue_has_no_delivery_limit_on_any_version() {
        let limit = |at: bool| dead(at).inner().get("x-delivery-limit").cloned();
        assert_eq!(limit(true), Some(AMQPValue::LongLongInt(-1)));
        assert_eq!(limit(false), None);
        for (version, expected) in [
            ("3.10.8", false),
            ("3.13.7", false),
            ("4.0.1", true),
            ("4.3.0-beta.1", true),
            ("nonsense", false),
        ] {
            let endpoint = Endpoint::new("amqp://127.0.0.1".into()).unwrap();
            endpoint.heard(Some(version.to_owned()));
            assert_eq!(endpoint.is_at_least(4, 0), expected, "{version}");
        }
    }
}
