//! Where messages go, in which order, and to how many.

use std::{
    collections::{BTreeMap, BTreeSet},
    future,
};

use bytes::Bytes;
use tidemark_ports::{
    Message, Receipt, Route, Verdict,
    topology::{Binding, Queue, SYNC_RUN},
};

use super::{JOBS, Subject, done, event, job, message, next, publish_all, settle, within};

/// Id, route, headers and body are those of the publisher.
pub async fn a_command_arrives_whole(subject: Subject) {
    let bus = subject.bus();
    let mut jobs = bus.subscribe(&JOBS, 10).await;
    let headers = [("traceparent", "00-4bf92f35-00f067aa-01"), ("empty", ""), ("umlaut", "Größe")];
    let sent = Message {
        id: "msg_whole".to_owned(),
        route: Route::Command("test.job".to_owned()),
        headers: BTreeMap::from(headers.map(|(key, value)| (key.to_owned(), value.to_owned()))),
        body: Bytes::from_static(br#"{"run":"run_1","note":"\u0000 and more"}"#),
    };
    publish_all(bus, vec![sent.clone()]).await;
    let delivery = next(&mut jobs).await;
    assert_eq!(delivery.message, sent);
    assert!(!delivery.redelivered);
    settle(delivery, Verdict::Ack).await;
}

/// Each queue with a matching pattern gets the event once, the others do not.
pub async fn an_event_reaches_every_matching_queue_and_no_other(subject: Subject) {
    const ORDERS: Queue = Queue { name: "test.orders", binding: Binding::Events(&["order.*"]) };
    // Two patterns that match the same event: still one copy.
    const MIXED: Queue =
        Queue { name: "test.mixed", binding: Binding::Events(&["order.created", "order.#", "user.#"]) };
    const USERS: Queue = Queue { name: "test.users", binding: Binding::Events(&["user.*"]) };
    let bus = subject.bus();
    let mut orders = bus.subscribe(&ORDERS, 10).await;
    let mut mixed = bus.subscribe(&MIXED, 10).await;
    let mut users = bus.subscribe(&USERS, 10).await;
    // The last event of each queue shows that nothing else came before it.
    let batch = vec![
        event("created", "order.created"),
        event("deep", "order.line.added"),
        event("user", "user.added"),
        event("end", "order.end"),
    ];
    publish_all(bus, batch).await;
    for expected in ["created", "end"] {
        assert_eq!(done(&mut orders).await, expected);
    }
    for expected in ["created", "deep", "user", "end"] {
        assert_eq!(done(&mut mixed).await, expected);
    }
    assert_eq!(done(&mut users).await, "user");
}

/// A command must have a queue; an event need not.
pub async fn a_command_without_a_queue_is_unroutable_and_an_unheard_event_is_accepted(subject: Subject) {
    let batch = vec![
        message("lost", Route::Command("test.nobody".to_owned())),
        event("unheard", "test.unheard"),
        // Commands and events do not meet: no queue takes the *command* of that name.
        message("mixed-up", Route::Command("sync.completed".to_owned())),
    ];
    let receipts = within("the receipts", subject.bus().publish(batch)).await;
    assert_eq!(receipts, [Receipt::Unroutable, Receipt::Accepted, Receipt::Unroutable]);
}

/// Across batches, too.
pub async fn order_is_kept_for_one_consumer(subject: Subject) {
    let bus = subject.bus();
    let mut jobs = bus.subscribe(&JOBS, 16).await;
    let sent: Vec<String> = (0..200).map(|number| format!("msg_{number}")).collect();
    for batch in sent.chunks(50) {
        publish_all(bus, batch.iter().map(job).collect()).await;
    }
    for expected in &sent {
        assert_eq!(&done(&mut jobs).await, expected);
    }
}

/// The queues of the topology exist before anybody consumes them.
pub async fn a_message_published_before_the_first_subscription_is_delivered(subject: Subject) {
    let bus = subject.bus();
    publish_all(bus, vec![message("early", Route::Command("sync.run".to_owned()))]).await;
    let mut runs = bus.subscribe(&SYNC_RUN, 1).await;
    assert_eq!(done(&mut runs).await, "early");
}

/// Every second of 2,000 commands has no queue: no receipt is taken for its neighbour's.
pub async fn a_large_batch_has_exact_receipts(subject: Subject) {
    const SIZE: usize = 2_000;
    let bus = subject.bus();
    let mut jobs = bus.subscribe(&JOBS, 200).await;
    let batch = (0..SIZE)
        .map(|number| match number % 2 {
            0 => job(format!("msg_{number}")),
            _ => message(format!("msg_{number}"), Route::Command("test.nobody".to_owned())),
        })
        .collect();
    let receipts = within("the receipts", bus.publish(batch)).await;
    let expected: Vec<Receipt> =
        [Receipt::Accepted, Receipt::Unroutable].into_iter().cycle().take(SIZE).collect();
    assert_eq!(receipts, expected);
    for number in (0..SIZE).step_by(2) {
        assert_eq!(done(&mut jobs).await, format!("msg_{number}"));
    }
}

/// Competing consumers each get some, and each message goes to one of them.
pub async fn two_consumers_share_the_work(subject: Subject) {
    let bus = subject.bus();
    let mut one = bus.subscribe(&JOBS, 1).await;
    let mut two = bus.subscribe(&JOBS, 1).await;
    let sent: BTreeSet<String> = (0..100).map(|number| format!("msg_{number}")).collect();
    publish_all(bus, sent.iter().map(job).collect()).await;
    // While both hold one, neither can have taken the other's.
    let (first, second) = (next(&mut one).await, next(&mut two).await);
    let mut seen = vec![first.message.id.clone(), second.message.id.clone()];
    settle(first, Verdict::Ack).await;
    settle(second, Verdict::Ack).await;
    while seen.len() < sent.len() {
        let delivery = within("a delivery", async {
            tokio::select! { delivery = one.next() => delivery, delivery = two.next() => delivery }
        })
        .await;
        seen.push(delivery.message.id.clone());
        settle(delivery, Verdict::Ack).await;
    }
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), sent);
}

/// What exceeds one consumer's prefetch is free for another.
pub async fn prefetch_holds_back(subject: Subject) {
    let bus = subject.bus();
    let mut busy = bus.subscribe(&JOBS, 2).await;
    publish_all(bus, ["a", "b", "c"].map(job).into()).await;
    let held = [next(&mut busy).await, next(&mut busy).await];
    let mut idle = bus.subscribe(&JOBS, 2).await;
    let third = next(&mut idle).await;
    assert_eq!((third.message.id.as_str(), third.redelivered), ("c", false));
    settle(third, Verdict::Ack).await;
    // A settled one makes room again.
    drop(idle);
    publish_all(bus, vec![job("d")]).await;
    for delivery in held {
        settle(delivery, Verdict::Ack).await;
    }
    assert_eq!(done(&mut busy).await, "d");
}

/// A consumer may look for other things while it waits.
pub async fn a_cancelled_next_loses_nothing(subject: Subject) {
    let bus = subject.bus();
    let mut jobs = bus.subscribe(&JOBS, 3).await;
    let sent: Vec<String> = (0..50).map(|number| format!("msg_{number}")).collect();
    publish_all(bus, sent.iter().map(job).collect()).await;
    for expected in &sent {
        let delivery = within("a delivery", async {
            loop {
                tokio::select! {
                    biased;
                    delivery = jobs.next() => break delivery,
                    // Polled once, then cancelled.
                    () = future::ready(()) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        assert_eq!(&delivery.message.id, expected);
        settle(delivery, Verdict::Ack).await;
    }
}
