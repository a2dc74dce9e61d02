//! One supervisor per subscription: connect, declare, set the prefetch, consume; on any trouble start again.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::StreamExt;
use lapin::{
    Channel, Connection, Consumer,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tidemark_ports::{
    Delivery, Subscription,
    topology::{Queue, TOPOLOGY},
};
use tidemark_runtime::metrics::bus as metrics;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    backoff::Backoff,
    depth,
    endpoint::{self, Endpoint},
    error::{ConnectError, chain},
    settle::Ticket,
    topology::{self, Names},
    wire,
};

/// A session that lived so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// A dozen small questions to the broker: cheap.
const RESTORE: Duration = Duration::from_secs(10);

/// Starts to consume; returns after the first attempt, whether it worked or not.
pub(crate) async fn subscribe(
    endpoint: Arc<Endpoint>,
    names: Names,
    queue: Queue,
    prefetch: u16,
) -> Box<dyn Subscription> {
    // Zero would mean "no limit" to the broker.
    let prefetch = prefetch.max(1);
    let stop = CancellationToken::new();
    let (out, incoming) = mpsc::channel(usize::from(prefetch));
    let (attempted, first) = oneshot::channel();
    let supervisor = Supervisor { endpoint, names: names.clone(), queue, prefetch, out, stop: stop.clone() };
    tokio::spawn(supervisor.run(attempted));
    let subscription = Consumption { incoming, names, _stop: stop.drop_guard() };
    // An error would be a supervisor that ended, and it does so only when stopped.
    let _ = first.await;
    Box::new(subscription)
}

/// A delivery of one session.
struct Incoming {
    delivery: lapin::message::Delivery,
    session: CancellationToken,
}

struct Consumption {
    incoming: mpsc::Receiver<Incoming>,
    names: Names,
    /// Ends the supervisor, which closes the connection.
    _stop: DropGuard,
}

#[async_trait]
impl Subscription for Consumption {
    async fn next(&mut self) -> Delivery {
        loop {
            let Some(Incoming { mut delivery, session }) = self.incoming.recv().await else {
                // Only when the runtime goes down under us.
                return std::future::pending().await;
            };
            // One of a session that is over comes again: handing it out would do the work twice.
            if delivery.acker.usable() && !session.is_cancelled() {
                let message = wire::decode(&mut delivery, &self.names);
                let ticket = Ticket::new(delivery.acker, session);
                return Delivery::new(message, delivery.redelivered, Box::new(ticket));
            }
        }
    }
}

struct Supervisor {
    endpoint: Arc<Endpoint>,
    names: Names,
    queue: Queue,
    prefetch: u16,
    out: mpsc::Sender<Incoming>,
    stop: CancellationToken,
}

impl Supervisor {
    async fn run(self, attempted: oneshot::Sender<()>) {
        let mut attempted = Some(attempted);
        let mut backoff = Backoff::new();
        while let Some(opened) = self.stop.run_until_cancelled(Session::open(&self)).await {
            if let Some(attempted) = attempted.take() {
                // Nobody waits when the subscriber was cancelled.
                let _ = attempted.send(());
            }
            let why = match opened {
                Ok(session) => {
                    let started = Instant::now();
                    let why = self.forward(session).await;
                    if started.elapsed() > GOOD {
                        backoff.reset();
                    }
                    why
                }
                Err(error) => chain(&error),
            };
            if self.stop.is_cancelled() {
                return;
            }
            let wait = backoff.next_wait();
            metrics::failed(self.queue.name);
            tracing::warn!(queue = self.queue.name, why, ?wait, "not consuming, trying again");
            self.stop.run_until_cancelled(sleep(wait)).await;
        }
    }

    /// Hands out what comes until something ends the session; says what.
    async fn forward(&self, session: Session) -> String {
        tracing::info!(queue = self.queue.name, "consuming");
        let Session { connection, channel, consumer } = session;
        let over = CancellationToken::new();
        let why = tokio::select! {
            () = self.stop.cancelled() => "the subscription was dropped".to_owned(),
            () = over.cancelled() => "an acknowledgement was lost".to_owned(),
            why = pump(consumer, &self.out, &over) => why,
            why = self.restore(&connection) => why,
            () = endpoint::down(&connection, &channel) => "the connection is down".to_owned(),
        };
        over.cancel();
        if self.stop.is_cancelled() {
            // An error would say that the connection is gone: then all of it goes back anyway.
            let _ = self.endpoint.step("give back what is unsettled", endpoint::give_back(&channel)).await;
        }
        endpoint::close(&connection).await;
        why
    }
}

impl Supervisor {
    /// Says how many consume the queue.
    async fn declare(&self, connection: &Connection) -> Result<u64, ConnectError> {
        topology::declare(&self.endpoint, connection, &self.names, &[self.queue]).await?;
        let channel = self.endpoint.step("open a channel", connection.create_channel()).await?;
        let asked = depth::ask(&channel, self.names.queue(self.queue.name));
        let (_, consumers) = self.endpoint.step("ask for a queue", asked).await?;
        // A channel that the broker ended is closed already.
        let _ = channel.close(200, "done".into()).await;
        Ok(consumers)
    }

    /// Declares the queue and its bindings again and again: what somebody deletes comes back within [`RESTORE`]. Says
    /// why it could not.
    async fn restore(&self, connection: &Connection) -> String {
        loop {
            sleep(RESTORE).await;
            match self.declare(connection).await {
                Ok(0) => return "the queue has no consumer: it was deleted and is there again".to_owned(),
                Ok(_) => {}
                Err(error) => return chain(&error),
            }
        }
    }
}

/// One connection with one consumer.
struct Session {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
}

impl Session {
    async fn open(supervisor: &Supervisor) -> Result<Self, ConnectError> {
        let Supervisor { endpoint, names, queue, prefetch, .. } = supervisor;
        let connection = endpoint.connect(&format!("consume {}", queue.name)).await?;
        let mut queues = TOPOLOGY.to_vec();
        if !queues.contains(queue) {
            queues.push(*queue);
        }
        topology::declare(endpoint, &connection, names, &queues).await?;
        let channel = endpoint.step("open a channel", connection.create_channel()).await?;
        let options = BasicQosOptions { global: false }; // per consumer; quorum queues know no other
        endpoint.step("set the prefetch", channel.basic_qos(*prefetch, options)).await?;
        let options = BasicConsumeOptions {
            no_local: false,  // RabbitMQ does not have it
            no_ack: false,    // a message is gone when it is done, not when it is sent
            exclusive: false, // others compete
            nowait: false,    // wait, so that an error is seen here
        };
        let consume =
            channel.basic_consume(names.queue(queue.name), "".into(), options, FieldTable::default());
        let consumer = endpoint.step("start to consume", consume).await?;
        Ok(Self { connection, channel, consumer })
    }
}

async fn pump(mut consumer: Consumer, out: &mpsc::Sender<Incoming>, session: &CancellationToken) -> String {
    loop {
        // Room first: leftovers of earlier sessions may fill the channel until somebody asks for the next.
        let Ok(room) = out.reserve().await else { return "the subscription was dropped".to_owned() };
        match consumer.next().await {
            Some(Ok(delivery)) => room.send(Incoming { delivery, session: session.clone() }),
            Some(Err(error)) => return chain(&error),
            None => return "the broker ended it".to_owned(),
        }
    }
}
