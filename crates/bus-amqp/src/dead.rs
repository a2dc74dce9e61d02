//! Dead letters, for operators: what nobody could handle is looked at, sent again to its queue, or dropped.
//!
//! Looking takes the messages out unacknowledged and gives them all back by a nack, which does not count as a delivery
//! since RabbitMQ 4.3: two who look at once see less, and nothing is lost.

use bytes::Bytes;
use lapin::{
    Channel, Confirmation,
    message::Delivery,
    options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};
use tidemark_ports::topology::{Queue, TOPOLOGY};

use crate::{
    bus::AmqpBus,
    endpoint,
    error::ConnectError,
    topology::{self, Names},
};

/// A message that nobody could handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The queue it died in.
    pub queue: &'static str,
    /// The message's id.
    pub id: String,
    /// What it was sent as: the command or the event type.
    pub name: String,
    /// The broker's word for why: `rejected`, `delivery_limit`…
    pub reason: String,
    /// How often it died; it may have been sent again before.
    pub deaths: u64,
    /// When it died last, in seconds since 1970.
    pub died_at_s: Option<u64>,
    /// The payload.
    pub body: Bytes,
}

/// What to do with the dead letters that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Burial {
    /// Back to the queue they died in, and to no other.
    Replay,
    /// Away for good.
    Drop,
}

impl AmqpBus {
    /// The dead letters of these queues, the oldest first.
    pub async fn dead_letters(&self, queues: &[Queue]) -> Result<Vec<DeadLetter>, ConnectError> {
        self.walk(queues, |_| None).await
    }

    /// Replays or drops the dead letters of these queues that are meant; gives them.
    pub async fn bury(
        &self,
        queues: &[Queue],
        burial: Burial,
        is_meant: impl Fn(&DeadLetter) -> bool,
    ) -> Result<Vec<DeadLetter>, ConnectError> {
        let mut letters = self.walk(queues, |letter| is_meant(letter).then_some(burial)).await?;
        letters.retain(is_meant);
        Ok(letters)
    }

    async fn walk(
        &self,
        queues: &[Queue],
        decide: impl Fn(&DeadLetter) -> Option<Burial>,
    ) -> Result<Vec<DeadLetter>, ConnectError> {
        let endpoint = self.endpoint();
        let connection = endpoint.connect("dead letters").await?;
        topology::declare(endpoint, &connection, self.names(), &TOPOLOGY).await?;
        let channel = endpoint.step("open a channel", connection.create_channel()).await?;
        let confirm = ConfirmSelectOptions { nowait: false }; // what is replayed must have arrived before it is dropped
        endpoint.step("ask for confirms", channel.confirm_select(confirm)).await?;
        let mut letters = Vec::new();
        for queue in queues {
            // What is kept stays unacknowledged until the end, so that it is not met twice.
            let options = BasicGetOptions { no_ack: false };
            let next = || channel.basic_get(self.names().dead(queue.name), options);
            while let Some(message) = endpoint.step("get a dead letter", next()).await? {
                let letter = read(queue.name, &message.delivery);
                if let Some(burial) = decide(&letter) {
                    let buried = bury(&channel, self.names(), queue, burial, message.delivery);
                    endpoint.step("settle a dead letter", buried).await?;
                }
                letters.push(letter);
            }
        }
        endpoint.step("give the dead letters back", endpoint::give_back(&channel)).await?;
        endpoint::close(&connection).await;
        Ok(letters)
    }
}

async fn bury(
    channel: &Channel,
    names: &Names,
    queue: &Queue,
    burial: Burial,
    letter: Delivery,
) -> lapin::Result<()> {
    if burial == Burial::Replay {
        let options = BasicPublishOptions {
            mandatory: true,  // a queue that is gone must not swallow it
            immediate: false, // RabbitMQ does not know it
        };
        let mut properties = letter.properties.clone();
        let headers = properties.headers().clone().unwrap_or_default();
        properties = properties.with_headers(without_deaths(&headers));
        let publish =
            channel.basic_publish("".into(), names.queue(queue.name), options, &letter.data, properties);
        match publish.await?.await? {
            Confirmation::Ack(None) => {}
            // Refused or returned: it stays where it is.
            _ => return Ok(()),
        }
    }
    letter.acker.ack(BasicAckOptions { multiple: false }).await.map(drop)
}

/// The broker's own headers would count the new life with the old one.
fn without_deaths(headers: &FieldTable) -> FieldTable {
    let mut kept = FieldTable::default();
    for (name, value) in headers.inner() {
        if !name.as_str().starts_with("x-") {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

fn read(queue: &'static str, delivery: &Delivery) -> DeadLetter {
    let properties = &delivery.properties;
    let death = properties.headers().as_ref().and_then(last_death);
    let text = |name: &str| death.as_ref().and_then(|death| text_of(death.inner().get(name)?));
    let keys = death.as_ref().and_then(|death| match death.inner().get("routing-keys")? {
        AMQPValue::FieldArray(keys) => keys.as_slice().first().and_then(text_of),
        _ => None,
    });
    let deaths = death.as_ref().and_then(|death| match death.inner().get("count")? {
        AMQPValue::LongLongInt(count) => u64::try_from(*count).ok(),
        _ => None,
    });
    let died_at_s = death.as_ref().and_then(|death| match death.inner().get("time")? {
        AMQPValue::Timestamp(seconds) => Some(*seconds),
        _ => None,
    });
    DeadLetter {
        queue,
        id: properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default(),
        name: keys.unwrap_or_default(),
        reason: text("reason").unwrap_or_else(|| "unknown".to_owned()),
        deaths: deaths.unwrap_or(1),
        died_at_s,
        body: Bytes::copy_from_slice(&delivery.data),
    }
}

/// The broker keeps the latest death in front.
fn last_death(headers: &FieldTable) -> Option<FieldTable> {
    match headers.inner().get("x-death")? {
        AMQPValue::FieldArray(deaths) => match deaths.as_slice().first()? {
            AMQPValue::FieldTable(death) => Some(death.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn text_of(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}
