//! Whether the broker takes messages. An alarm of its own (no disk, no memory) blocks only connections that publish, and it
//! says so only to one that tries: so a message that no queue takes is published.

use std::{fmt, time::Duration};

use futures::{FutureExt, Stream, StreamExt, stream::BoxStream};
use lapin::{
    BasicProperties, Channel, Connection, Event,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use tokio::time::{sleep, timeout};

use crate::{
    endpoint::{self, Endpoint},
    error::ConnectError,
};

/// For the broker's word on one message.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks at the connection's state, which lapin does not tell.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Prober {
    channel: Channel,
    connection: Connection,
    events: BoxStream<'static, Event>,
    /// The broker's own words, while it blocks.
    why: Option<String>,
}

impl Prober {
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Self, ConnectError> {
        let connection = endpoint.connect("probe").await?;
        let events = connection.events_listener().boxed();
        let channel = endpoint.step("open a channel", connection.create_channel()).await?;
        let options = ConfirmSelectOptions { nowait: false }; // the first confirm must not be missed
        endpoint.step("turn on confirms", channel.confirm_select(options)).await?;
        Ok(Self { channel, connection, events, why: None })
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// Why it takes no messages; nothing where it does.
    pub(crate) async fn ask(
        &mut self,
        endpoint: &Endpoint,
        key: ShortString,
    ) -> Result<Option<String>, ConnectError> {
        if let Some(why) = self.block() {
            return Ok(Some(why));
        }
        let options = BasicPublishOptions {
            mandatory: false, // no queue takes it, and it need not come back
            immediate: false, // RabbitMQ refuses it
        };
        let properties = BasicProperties::default();
        let publish = self.channel.basic_publish("".into(), key, options, b"", properties);
        let confirm = endpoint.step("take a message", publish).await?;
        let blocked = async {
            while !self.connection.status().blocked() {
                sleep(LOOK).await;
            }
        };
        tokio::select! {
            biased;
            confirmed = timeout(PATIENCE, endpoint.step("confirm a message", confirm)) => match confirmed {
                Ok(confirmed) => confirmed.map(|_| None),
                Err(_) => Err(endpoint.timed_out("confirm a message", PATIENCE)),
            },
            () = blocked => Ok(Some(self.block().unwrap_or_default())),
            () = endpoint::down(&self.connection, &self.channel) => {
                Err(endpoint.timed_out("keep the connection", Duration::ZERO))
            }
        }
    }

    /// The broker's word of a block, as long as it lasts.
    fn block(&mut self) -> Option<String> {
        while let Some(event) = ready(&mut self.events) {
            match event {
                Event::ConnectionBlocked(why) => self.why = Some(why),
                Event::ConnectionUnblocked => self.why = None,
                _ => {}
            }
        }
        let why = || self.why.clone().unwrap_or_else(|| "in an alarm".to_owned());
        self.connection.status().blocked().then(why)
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("why", &self.why).finish_non_exhaustive()
    }
}

fn ready<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> Option<T> {
    stream.next().now_or_never().flatten()
}
