//! Consumes `sync.run`: first a free slot, then a delivery, then a task with the slot moved in. Every delivery is
//! acknowledged; a run that has to come again has its time in the database.
//!
//! A message only rings: with a free slot the worker also looks every few seconds without one, so that a lost message costs
//! no more than that; and after a claim that failed it looks until one is answered. A share of the slots is kept for runs that a person waits for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidemark_domain::run::Priority;
use tidemark_ports::{Delivery, Verdict, topology::SYNC_RUN};
use tidemark_runtime::{Shutdown, metrics::tasks as metrics, tasks};
use tokio::{
    sync::{Notify, Semaphore},
    time::{MissedTickBehavior, interval},
};
use tokio_util::task::TaskTracker;

use crate::{
    attempt::{self, Delivered},
    context::Context,
};

/// How often a free slot looks for work that nobody rang for.
const LOOK: Duration = Duration::from_secs(15);
/// After a claim that failed, the next one comes so soon.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);
/// One slot of so many is for people only.
const KEPT_SHARE: usize = 4;

/// The slots of this process.
struct Slots {
    all: Arc<Semaphore>,
    /// Those that are for everybody.
    common: Arc<Semaphore>,
    /// Whether a message found kept slots only, or work of a region that has all the slots that it may have.
    has_missed: AtomicBool,
    /// Rings without a message.
    bell: Notify,
}

impl Slots {
    fn new(concurrency: usize) -> Self {
        let common = concurrency - concurrency / KEPT_SHARE;
        Self {
            all: Arc::new(Semaphore::new(concurrency)),
            common: Arc::new(Semaphore::new(common)),
            has_missed: AtomicBool::new(false),
            bell: Notify::new(),
        }
    }
}

/// Works until the soft stop, then waits for the deliveries in hand.
pub(crate) async fn consume(cx: &Arc<Context>, shutdown: &Shutdown) {
    let soft = shutdown.soft();
    let concurrency = cx.settings.concurrency.max(1);
    let slots = Arc::new(Slots::new(concurrency as usize));
    // No more than there are slots: what this process cannot begin is for the others.
    let prefetch = u16::try_from(concurrency).unwrap_or(u16::MAX);
    let Some(mut runs) = soft.run_until_cancelled(cx.bus.subscribe(&SYNC_RUN, prefetch)).await else {
        return;
    };
    let tasks = TaskTracker::new();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let slot = soft.run_until_cancelled(Arc::clone(&slots.all).acquire_owned()).await;
        let Some(slot) = slot else { break };
        let delivery = tokio::select! {
            biased;
            () = soft.cancelled() => break,
            delivery = runs.next() => Some(delivery),
            () = slots.bell.notified() => None,
            _ = looks.tick() => None,
        };
        let (cx, shutdown, slots) = (Arc::clone(cx), shutdown.clone(), Arc::clone(&slots));
        tasks.spawn(async move {
            let _slot = slot;
            serve(&cx, delivery, &slots, &shutdown).await;
        });
    }
    tasks.close();
    tasks.wait().await;
    // Until here: an adapter may need its subscription to settle what came from it.
    drop(runs);
}

async fn serve(cx: &Arc<Context>, delivery: Option<Delivery>, slots: &Slots, shutdown: &Shutdown) {
    let common = Arc::clone(&slots.common).try_acquire_owned().ok();
    let least = if common.is_some() { Priority::Backfill } else { Priority::Person };
    let rang = delivery.is_some();
    let delivered = match delivery {
        Some(delivery) => handle(cx, delivery, least, shutdown).await,
        None => work(cx, least, shutdown).await,
    };
    if delivered == Delivered::Unknown {
        // The message is gone, and there may be work: somebody looks until the database says so.
        shutdown.pause(AFTER_A_FAULT).await;
        return slots.bell.notify_one();
    }
    let has_worked = delivered == Delivered::Worked;
    let is_spared = delivered == Delivered::Spared;
    if !has_worked && (is_spared || common.is_none()) {
        if rang || is_spared {
            slots.has_missed.store(true, Ordering::SeqCst);
        }
        return;
    }
    drop(common);
    // What this or another slot could not take, and what comes behind a run that nobody rang for.
    if slots.has_missed.swap(false, Ordering::SeqCst) || has_worked && !rang {
        slots.bell.notify_one();
    }
}

async fn handle(cx: &Arc<Context>, delivery: Delivery, least: Priority, shutdown: &Shutdown) -> Delivered {
    // A command in a newer version's words rings as well.
    let rings = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&delivery.message.body);
    let (delivered, verdict) = match rings {
        Ok(command) if command.contains_key("run_id") => (work(cx, least, shutdown).await, Verdict::Ack),
        _ => {
            let id = &delivery.message.id;
            tracing::error!(id, "a message in sync.run is no command, it goes to the dead letters");
            (Delivered::Worked, Verdict::DeadLetter)
        }
    };
    if let Err(error) = delivery.settle(verdict).await {
        tracing::warn!(%error, "a sync.run message was not settled");
    }
    delivered
}

async fn work(cx: &Arc<Context>, least: Priority, shutdown: &Shutdown) -> Delivered {
    // Boxed: a delivery is a large future.
    let delivered = tasks::caught(Box::pin(attempt::deliver(cx, least, shutdown))).await;
    if delivered.is_none() {
        metrics::failed("delivery");
        tracing::error!("a delivery panicked; the sweeper will bring its run back");
    }
    delivered.unwrap_or(Delivered::Worked)
}
