//! What every `Bus` must do, and the macro that makes the tests of one adapter out of it.

mod flow;
mod settling;

use std::{collections::BTreeMap, fmt, panic, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_ports::{
    Bus, Delivery, Message, Receipt, Route, Subscription, Verdict,
    topology::{Binding, Queue},
};
use tokio::time::timeout;

pub use flow::*;
pub use settling::*;

/// A bus of its own for one test, and what only the adapter's tests can look at.
#[async_trait]
pub trait BusUnderTest: Send + Sync {
    /// The bus.
    fn bus(&self) -> &dyn Bus;

    /// The ids of the messages that were given up of that queue, oldest first. They stay there.
    async fn dead_letters(&self, queue: &Queue) -> Vec<String>;

    /// Removes what the test left at the broker.
    async fn clean_up(&self);
}

/// What a case is given.
pub type Subject = Arc<dyn BusUnderTest>;

/// Runs one case and cleans up whether it passed or not.
pub async fn run<F>(subject: impl BusUnderTest + 'static, case: fn(Subject) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let subject: Subject = Arc::new(subject);
    let outcome = tokio::spawn(case(Arc::clone(&subject))).await;
    subject.clean_up().await;
    if let Err(error) = outcome {
        panic::resume_unwind(error.into_panic());
    }
}

/// Expands to one `#[tokio::test]` per case. The expression is a future of a [`BusUnderTest`].
#[macro_export]
macro_rules! bus_conformance {
    ($make:expr) => {
        $crate::bus_conformance! { @cases $make;
            a_command_arrives_whole
            an_event_reaches_every_matching_queue_and_no_other
            a_command_without_a_queue_is_unroutable_and_an_unheard_event_is_accepted
            order_is_kept_for_one_consumer
            a_message_published_before_the_first_subscription_is_delivered
            a_large_batch_has_exact_receipts
            two_consumers_share_the_work
            prefetch_holds_back
            a_cancelled_next_loses_nothing
            a_dropped_delivery_comes_again
            a_requeued_delivery_comes_again
            a_released_delivery_comes_again
            what_a_dropped_subscription_held_comes_again
            a_dead_lettered_message_does_not_come_again
            too_many_requeues_end_in_the_dead_letter_queue
        }
    };
    (@cases $make:expr; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::bus::run($make.await, $crate::conformance::bus::$case).await;
            }
        )*
    };
}

const JOBS: Queue = Queue { name: "test.jobs", binding: Binding::Command("test.job") };

/// Waits for a state, not for a time: the deadline only says when to give up.
async fn within<F: Future>(what: impl fmt::Display, future: F) -> F::Output {
    let Ok(output) = timeout(Duration::from_secs(30), future).await else {
        panic!("not within 30 s: {what}")
    };
    output
}

fn message(id: impl Into<String>, route: Route) -> Message {
    Message { id: id.into(), route, headers: BTreeMap::new(), body: Bytes::from_static(b"{}") }
}

fn job(id: impl Into<String>) -> Message {
    message(id, Route::Command("test.job".to_owned()))
}

fn event(id: impl Into<String>, kind: &str) -> Message {
    message(id, Route::Event(kind.to_owned()))
}

async fn publish_all(bus: &dyn Bus, batch: Vec<Message>) {
    let expected = vec![Receipt::Accepted; batch.len()];
    assert_eq!(within("the receipts", bus.publish(batch)).await, expected);
}

async fn next(subscription: &mut Box<dyn Subscription>) -> Delivery {
    within("a delivery", subscription.next()).await
}

async fn settle(delivery: Delivery, verdict: Verdict) {
    within("the settlement", delivery.settle(verdict)).await.expect("the broker takes the settlement");
}

/// Takes the next delivery, acks it, and answers its id.
async fn done(subscription: &mut Box<dyn Subscription>) -> String {
    let delivery = next(subscription).await;
    let id = delivery.message.id.clone();
    settle(delivery, Verdict::Ack).await;
    id
}

/// Waits until exactly that is in the dead-letter queue.
async fn dead_letters_become(subject: &Subject, queue: &Queue, expected: &[&str]) {
    within("the dead letters", async {
        while subject.dead_letters(queue).await != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}
