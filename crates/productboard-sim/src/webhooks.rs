//! Subscriptions and what became of each event. Deliveries are tasks that wait by the vendor's clock.
//!
//! A secret that was sent along is kept for deliveries and never told again.

mod delivery;
mod event;
mod subscription;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::clock::Clock;
use crate::{Access, Workspace};

pub use self::delivery::{Attempt, Delivery, DeliveryState, Outcome};
pub use self::event::WebhookEvent;
pub use self::subscription::WebhookState;

pub(crate) use self::event::scope as event_scope;
pub(crate) use self::subscription::{Draft, Subscription};

pub(crate) struct Webhooks {
    clock: Arc<Clock>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    client: Client<HttpConnector, Body>,
    book: Mutex<Book>,
}

struct Book {
    /// Oldest first.
    subscriptions: Vec<Arc<Subscription>>,
    deliveries: Vec<Delivery>,
    rng: ChaCha8Rng,
}

impl Webhooks {
    pub(crate) fn new(clock: Arc<Clock>, tasks: TaskTracker, stopping: CancellationToken) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(0x3E8_0074);
        let book = Book { subscriptions: Vec::new(), deliveries: Vec::new(), rng };
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { clock, tasks, stopping, client, book: Mutex::new(book) }
    }

    /// Subscribes for the application of the token, if it has one.
    pub(crate) fn create(&self, domain: &str, access: &Access, draft: Draft) -> Uuid {
        let mut book = self.book();
        let id = uuid::Builder::from_random_bytes(book.rng.random()).into_uuid();
        let subscription = Subscription::new(id, domain, access, self.clock.now(), draft);
        book.subscriptions.push(Arc::new(subscription));
        id
    }

    /// What a token sees of its workspace, oldest first: an application its own, an API key all.
    pub(crate) fn visible(&self, domain: &str, access: &Access) -> Vec<Arc<Subscription>> {
        let book = self.book();
        book.subscriptions.iter().filter(|known| known.is_visible(domain, access)).cloned().collect()
    }

    /// False when the token sees no such subscription.
    pub(crate) fn delete(&self, domain: &str, access: &Access, id: Uuid) -> bool {
        let mut book = self.book();
        let before = book.subscriptions.len();
        book.subscriptions.retain(|known| known.id != id || !known.is_visible(domain, access));
        book.subscriptions.len() < before
    }

    /// Sends an event to its subscribers and says how many these are. A disabled one loses it.
    pub(crate) fn deliver(
        self: &Arc<Self>,
        workspace: &Workspace,
        origin: &str,
        event: &WebhookEvent,
    ) -> usize {
        let domain = workspace.domain.as_str();
        let body = event.payload(workspace, origin).to_string();
        let mut book = self.book();
        let listens = |known: &&Arc<Subscription>| known.listens(domain, &event.event_type);
        let listeners: Vec<_> = book.subscriptions.iter().filter(listens).cloned().collect();
        for listener in &listeners {
            let number = book.deliveries.len();
            let delivery = Delivery::new(listener, &event.event_type, self.clock.now());
            if listener.is_disabled() {
                book.deliveries.push(delivery.lost());
                continue;
            }
            book.deliveries.push(delivery);
            let task = delivery::run(Arc::clone(self), number, Arc::clone(listener), body.clone());
            self.tasks.spawn(self.stopping.clone().run_until_cancelled_owned(task));
        }
        listeners.iter().filter(|listener| !listener.is_disabled()).count()
    }

    /// The subscriptions of a workspace, oldest first.
    pub(crate) fn states(&self, domain: &str) -> Vec<WebhookState> {
        let book = self.book();
        book.subscriptions.iter().filter(|known| known.domain() == domain).map(|known| known.told()).collect()
    }

    /// What became of the events of a workspace, oldest first.
    pub(crate) fn deliveries(&self, domain: &str) -> Vec<Delivery> {
        self.book().deliveries.iter().filter(|delivery| delivery.domain == domain).cloned().collect()
    }

    fn is_live(&self, listener: &Subscription) -> bool {
        !listener.is_disabled() && self.book().subscriptions.iter().any(|known| known.id == listener.id)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
