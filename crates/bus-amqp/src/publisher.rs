//! One connection for publishing, used by one batch at a time.
//!
//! A batch takes the channel out and puts it back only when every confirm has come: a batch that failed or was
//! cancelled leaves nothing behind that the next one could take for its own.

use std::{collections::HashSet, iter, sync::Arc, time::Duration};

use lapin::{
    Channel, Confirmation, Connection, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tidemark_ports::{Message, Receipt, Route, topology::TOPOLOGY};
use tidemark_runtime::metrics::bus as metrics;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    backoff::Backoff,
    endpoint::{self, Endpoint},
    error::{ConnectError, chain},
    topology::{self, Names},
    wire,
};

const IN_FLIGHT: usize = 500;

const BEFORE_RESTORING: Duration = Duration::from_secs(1);

/// From the first publish of a window to its last confirm.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Publisher {
    endpoint: Arc<Endpoint>,
    names: Names,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    link: Option<Link>,
    /// Blocked by an alarm of the broker. Kept, since it could not even be closed; what it still owes is nobody's.
    blocked: Option<Link>,
    backoff: Backoff,
    /// After a failed attempt to connect, batches until then are `Unknown` at once.
    not_before: Instant,
}

/// Field order: the channel closes before its connection.
#[derive(Debug)]
struct Link {
    channel: Channel,
    connection: Connection,
}

impl State {
    fn set_aside(&mut self, link: Link) {
        tracing::warn!(
            "RabbitMQ runs, but takes no messages: it is short of disk or memory. They wait in the outbox"
        );
        self.blocked = Some(link);
    }
}

impl Link {
    fn is_blocked(&self) -> bool {
        self.connection.status().connected() && self.connection.status().blocked()
    }

    /// What the broker says, or `None` where it says nothing in time.
    async fn answer<T>(
        &self,
        deadline: Instant,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Option<lapin::Result<T>> {
        tokio::select! {
            // What has come is taken even when the connection is down since.
            biased;
            answer = timeout_at(deadline, answer) => answer.ok(),
            () = endpoint::stalled(&self.connection, &self.channel) => None,
        }
    }
}

impl Publisher {
    pub(crate) fn new(endpoint: Arc<Endpoint>, names: Names) -> Self {
        let state = State { link: None, blocked: None, backoff: Backoff::new(), not_before: Instant::now() };
        Self { endpoint, names, state: Mutex::new(state) }
    }

    pub(crate) async fn publish(&self, batch: &[Message]) -> Vec<Receipt> {
        let mut receipts = Vec::with_capacity(batch.len());
        let mut state = self.state.lock().await;
        if let Some(link) = self.take_link(&mut state).await {
            let mut complete = true;
            for window in batch.chunks(IN_FLIGHT) {
                let sent = self.send(&link, window).await;
                complete = sent.complete();
                if !sent.returned.is_empty() {
                    self.restore(&link).await;
                }
                receipts.extend(sent.receipts(window));
                if !complete {
                    break;
                }
            }
            if complete {
                state.link = Some(link);
            } else if link.is_blocked() {
                state.set_aside(link);
            }
        }
        receipts.resize(batch.len(), Receipt::Unknown);
        receipts
    }

    async fn take_link(&self, state: &mut State) -> Option<Link> {
        if let Some(blocked) = state.blocked.take() {
            if blocked.is_blocked() {
                state.blocked = Some(blocked);
                return None;
            }
            // The alarm is over. Confirms that come now belong to an earlier batch.
            endpoint::close(&blocked.connection).await;
        }
        if let Some(link) = state.link.take().filter(|link| link.channel.status().connected()) {
            if link.is_blocked() {
                state.set_aside(link);
                return None;
            }
            return Some(link);
        }
        if Instant::now() < state.not_before {
            return None;
        }
        match self.open().await {
            Ok(link) => {
                state.backoff.reset();
                Some(link)
            }
            Err(error) => {
                let wait = state.backoff.next_wait();
                state.not_before = Instant::now() + wait;
                metrics::failed("publish");
                tracing::warn!(why = chain(&error), ?wait, "not publishing, trying again");
                None
            }
        }
    }

    async fn open(&self) -> Result<Link, ConnectError> {
        let connection = self.endpoint.connect("publish").await?;
        topology::declare(&self.endpoint, &connection, &self.names, &TOPOLOGY).await?;
        let channel = self.endpoint.step("open a channel", connection.create_channel()).await?;
        let options = ConfirmSelectOptions { nowait: false }; // the first confirm must not be missed
        self.endpoint.step("turn on confirms", channel.confirm_select(options)).await?;
        Ok(Link { channel, connection })
    }

    /// A command came back, so a queue or a binding may have been deleted: declared again, the next attempt finds it. Not
    /// at once: of a queue that is there again within a moment, RabbitMQ 3.10 does not tell its consumers (measured).
    async fn restore(&self, link: &Link) {
        sleep(BEFORE_RESTORING).await;
        let declared = topology::declare(&self.endpoint, &link.connection, &self.names, &TOPOLOGY).await;
        if let Err(error) = declared {
            tracing::warn!(why = chain(&error), "the topology was not declared again");
        }
    }

    /// Publishes a window, then waits for all of its confirms.
    async fn send(&self, link: &Link, window: &[Message]) -> Sent {
        let deadline = Instant::now() + PATIENCE;
        let mut pending = Vec::with_capacity(window.len());
        for message in window {
            let Some(outgoing) = wire::encode(message, &self.names) else {
                tracing::error!(id = message.id, "message not sendable: a name in it exceeds 255 bytes");
                pending.push(Pending::Unsendable);
                continue;
            };
            let options = BasicPublishOptions {
                mandatory: outgoing.mandatory,
                immediate: false, // RabbitMQ refuses it
            };
            let published = link.channel.basic_publish(
                outgoing.exchange,
                outgoing.key,
                options,
                &message.body,
                outgoing.properties,
            );
            // Once the channel is broken the rest of the window stays unsent.
            match link.answer(deadline, published).await {
                Some(Ok(confirm)) => pending.push(Pending::Confirm(confirm)),
                Some(Err(error)) => {
                    tracing::warn!(why = chain(&error), "publishing failed");
                    break;
                }
                None => break,
            }
        }
        let mut sent = Sent::default();
        for pending in pending {
            sent.note(pending, link, deadline).await;
        }
        sent.outcomes.extend(iter::repeat_n(Outcome::Lost, window.len() - sent.outcomes.len()));
        sent
    }
}

enum Pending {
    Confirm(PublisherConfirm),
    Unsendable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Acked,
    Nacked,
    /// No confirm came.
    Lost,
    Unsendable,
}

/// What came back for one window, in its order.
#[derive(Debug, Default)]
struct Sent {
    outcomes: Vec<Outcome>,
    /// Message ids. lapin may hand a returned message to the confirm of another, but hands out all of them.
    returned: HashSet<String>,
}

impl Sent {
    async fn note(&mut self, pending: Pending, link: &Link, deadline: Instant) {
        let outcome = match pending {
            Pending::Unsendable => Outcome::Unsendable,
            Pending::Confirm(confirm) => match link.answer(deadline, confirm).await {
                Some(Ok(confirmation)) => {
                    let outcome = match confirmation {
                        Confirmation::Ack(_) => Outcome::Acked,
                        Confirmation::Nack(_) => Outcome::Nacked,
                        Confirmation::NotRequested => Outcome::Lost,
                    };
                    let returned = confirmation.take_message();
                    self.returned.extend(returned.and_then(|message| {
                        message.delivery.properties.message_id().as_ref().map(ToString::to_string)
                    }));
                    outcome
                }
                Some(Err(_)) | None => Outcome::Lost,
            },
        };
        self.outcomes.push(outcome);
    }

    fn complete(&self) -> bool {
        !self.outcomes.contains(&Outcome::Lost)
    }

    fn receipts(&self, window: &[Message]) -> Vec<Receipt> {
        let complete = self.complete();
        let receipt = |(message, outcome): (&Message, &Outcome)| match (outcome, &message.route) {
            (Outcome::Unsendable, _) => Receipt::Unroutable,
            (Outcome::Nacked | Outcome::Lost, _) => Receipt::Unknown,
            // Not mandatory, so never returned.
            (Outcome::Acked, Route::Event(_)) => Receipt::Accepted,
            (Outcome::Acked, Route::Command(_)) if self.returned.contains(&message.id) => Receipt::Unroutable,
            (Outcome::Acked, Route::Command(_)) if complete => Receipt::Accepted,
            // Its return may be pinned to a confirm that never came.
            (Outcome::Acked, Route::Command(_)) => Receipt::Unknown,
        };
        window.iter().zip(&self.outcomes).map(receipt).collect()
    }
}
