//! Messages as AMQP has them.

use std::collections::BTreeMap;

use bytes::Bytes;
use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable, ShortString},
};
use tidemark_ports::{Message, Route};

use crate::topology::Names;

/// The broker writes it to disk before it confirms.
const PERSISTENT: u8 = 2;

pub(crate) struct Outgoing {
    pub(crate) exchange: ShortString,
    pub(crate) key: ShortString,
    /// Whether the broker returns it where no queue takes it.
    pub(crate) mandatory: bool,
    pub(crate) properties: BasicProperties,
}

/// `None` where a name or id exceeds AMQP's 255 bytes.
pub(crate) fn encode(message: &Message, names: &Names) -> Option<Outgoing> {
    let (exchange, key, mandatory) = match &message.route {
        Route::Command(name) => (names.commands(), name, true),
        // An event that nobody listens to is fine.
        Route::Event(kind) => (names.events(), kind, false),
    };
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        headers.insert(short(name)?, AMQPValue::LongString(value.as_str().into()));
    }
    let properties = BasicProperties::default()
        .with_message_id(short(&message.id)?)
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    Some(Outgoing { exchange, key: short(key)?, mandatory, properties })
}

pub(crate) fn decode(delivery: &mut Delivery, names: &Names) -> Message {
    let key = delivery.routing_key.to_string();
    let route = if delivery.exchange == names.events() { Route::Event(key) } else { Route::Command(key) };
    let id = delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
    let headers = delivery.properties.headers().as_ref().map(texts).unwrap_or_default();
    Message { id, route, headers, body: Bytes::from(std::mem::take(&mut delivery.data)) }
}

/// The broker adds headers of its own that are no texts, such as `x-delivery-count`.
fn texts(table: &FieldTable) -> BTreeMap<String, String> {
    let text = |(name, value): (&ShortString, &AMQPValue)| match value {
        AMQPValue::LongString(value) => Some((name.to_string(), value.to_string())),
        _ => None,
    };
    table.inner().iter().filter_map(text).collect()
}

fn short(text: &str) -> Option<ShortString> {
    ShortString::try_new(text).ok()
}
