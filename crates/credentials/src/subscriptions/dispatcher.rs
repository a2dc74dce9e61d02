//! Looks for due deliveries, claims them, and sends them: many at once, few to one endpoint, so that a slow one keeps
//! nobody else waiting.

use std::{collections::HashMap, error::Error as StdError, sync::Arc, time::Duration};

use tidemark_domain::id::WebhookEndpointId;
use tidemark_store as store;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use super::{Shared, attempt::attempt};

const AT_ONCE: usize = 32;
const AT_ONCE_PER_ENDPOINT: usize = 4;
/// Longer than an attempt: whoever has not finished by then is gone.
const CLAIM: Duration = Duration::from_secs(40);
const AFTER_A_FAULT: Duration = Duration::from_secs(1);

struct Dispatcher {
    shared: Arc<Shared>,
    all: Arc<Semaphore>,
    /// Of the endpoints that are being sent to.
    each: HashMap<WebhookEndpointId, Arc<Semaphore>>,
    attempts: JoinSet<()>,
}

/// Runs until the shutdown, and then until the attempts in hand are done.
pub(super) async fn dispatch(shared: Arc<Shared>) {
    let mut dispatcher = Dispatcher {
        all: Arc::new(Semaphore::new(AT_ONCE)),
        each: HashMap::new(),
        attempts: JoinSet::new(),
        shared: Arc::clone(&shared),
    };
    loop {
        let pause = match dispatcher.round().await {
            Ok(()) => shared.settings.poll,
            Err(error) => {
                tracing::warn!(error = &error as &dyn StdError, "no webhooks sent, trying again");
                AFTER_A_FAULT
            }
        };
        if !shared.shutdown.pause(pause).await {
            break;
        }
        dispatcher.reap();
    }
    while dispatcher.attempts.join_next().await.is_some() {}
}

impl Dispatcher {
    async fn round(&mut self) -> store::Result<()> {
        let store = self.shared.parts().store.clone();
        let mut due = store.endpoints_with_due_deliveries(self.shared.parts().clock.now()).await?;
        // Those that nothing is being sent to come first: endpoints that hang do not keep the places to themselves.
        due.sort_by_key(|endpoint| {
            self.each.get(endpoint).map_or(0, |each| AT_ONCE_PER_ENDPOINT - each.available_permits())
        });
        for endpoint in due {
            let each = self
                .each
                .entry(endpoint.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE_PER_ENDPOINT)));
            let room = each.available_permits().min(self.all.available_permits());
            if room == 0 {
                continue;
            }
            let each = Arc::clone(each);
            let now = self.shared.parts().clock.now();
            for delivery in store.claim_deliveries(&endpoint, now, room as u64, CLAIM).await? {
                let permits = [&self.all, &each].map(|semaphore| Arc::clone(semaphore).try_acquire_owned());
                self.spawn(delivery, permits.into_iter().flatten().collect());
            }
        }
        Ok(())
    }

    fn spawn(&mut self, delivery: store::DueDelivery, permits: Vec<OwnedSemaphorePermit>) {
        let shared = Arc::clone(&self.shared);
        self.attempts.spawn(async move {
            let _permits = permits;
            let id = delivery.delivery.id.clone();
            if let Err(error) = attempt(&shared, delivery).await {
                // The claim runs out, and it is tried again.
                tracing::warn!(delivery = %id, error = &error as &dyn StdError, "a webhook attempt was not written down");
            }
        });
    }

    /// Forgets the tasks that are done and the endpoints that nothing is being sent to.
    fn reap(&mut self) {
        while let Some(done) = self.attempts.try_join_next() {
            if let Err(error) = done {
                tracing::error!(
                    error = &error as &dyn StdError,
                    "a webhook attempt crashed, it is tried again"
                );
            }
        }
        self.each.retain(|_, each| each.available_permits() < AT_ONCE_PER_ENDPOINT);
    }
}
