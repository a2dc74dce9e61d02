//! The RabbitMQ adapter against the suite of its port. Needs a broker: it fails without, it does not skip.

mod broker;

use async_trait::async_trait;
use lapin::{Connection, ConnectionProperties, options::BasicGetOptions};
use tidemark_bus_amqp::AmqpBus;
use tidemark_ports::{Bus, topology::Queue};
use tidemark_testkit::conformance::bus::BusUnderTest;

struct Subject {
    bus: AmqpBus,
    prefix: String,
}

impl Subject {
    /// Fails where there is no broker.
    async fn new() -> Self {
        let prefix = broker::unique_prefix();
        let bus = AmqpBus::new(&broker::url(), &prefix).expect("the URL is fine");
        bus.check().await.expect("these tests need RabbitMQ");
        Self { bus, prefix }
    }
}

#[async_trait]
impl BusUnderTest for Subject {
    fn bus(&self) -> &dyn Bus {
        &self.bus
    }

    async fn dead_letters(&self, queue: &Queue) -> Vec<String> {
        let connection =
            Connection::connect(&broker::url(), ConnectionProperties::default()).await.expect("a connection");
        let channel = connection.create_channel().await.expect("a channel");
        let name = format!("{}.{}.dead", self.prefix, queue.name);
        let mut ids = Vec::new();
        // Unacked, so that they go back when the connection closes.
        let options = BasicGetOptions { no_ack: false };
        while let Some(message) =
            channel.basic_get(name.as_str().into(), options).await.expect("the queue exists")
        {
            ids.push(message.properties.message_id().as_ref().expect("an id").to_string());
        }
        connection.close(200, "done".into()).await.expect("a close");
        ids
    }

    async fn clean_up(&self) {
        self.bus.delete_topology().await.expect("the topology can be deleted");
    }
}

tidemark_testkit::bus_conformance!(Subject::new());
