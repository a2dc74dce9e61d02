//! What comes again, what does not, and what is given up.

use std::time::Duration;

use tidemark_ports::{AckLost, Verdict, topology::DELIVERY_LIMIT};

use super::{JOBS, Subject, dead_letters_become, done, job, next, publish_all, settle, within};

/// A handler that panicked has dropped its delivery.
pub async fn a_dropped_delivery_comes_again(subject: Subject) {
    let bus = subject.bus();
    let mut jobs = bus.subscribe(&JOBS, 1).await;
    publish_all(bus, vec![job("dropped")]).await;
    drop(next(&mut jobs).await);
    let again = next(&mut jobs).await;
    assert_eq!((again.message.id.as_str(), again.redelivered), ("dropped", true));
    settle(again, Verdict::Ack).await;
}

/// And so has one that asked for it.
pub async fn a_requeued_delivery_comes_again(subject: Subject) {
    let bus = subject.bus();
    let mut jobs = bus.subscribe(&JOBS, 1).await;
    publish_all(bus, vec![job("requeued")]).await;
    settle(next(&mut jobs).await, Verdict::Requeue).await;
    let again = next(&mut jobs).await;
    assert_eq!((again.message.id.as_str(), again.redelivered), ("requeued", true));
    settle(again, Verdict::Ack).await;
    // The acked one does not come again.
    publish_all(bus, vec![job("end")]).await;
    assert_eq!(done(&mut jobs).await, "end");
}

/// A consumer that stops gives back what it has not worked on.
pub async fn a_released_delivery_comes_again(subject: Subject) {
    let bus = subject.bus();
    let mut jobs = bus.subscribe(&JOBS, 1).await;
    publish_all(bus, vec![job("released"), job("end")]).await;
    settle(next(&mut jobs).await, Verdict::Release).await;
    let again = next(&mut jobs).await;
    assert_eq!((again.message.id.as_str(), again.redelivered), ("released", true));
    settle(again, Verdict::Ack).await;
    assert_eq!(done(&mut jobs).await, "end");
    assert_eq!(subject.dead_letters(&JOBS).await, Vec::<String>::new());
}

/// A consumer that goes away gives back what it held, and can no longer settle it.
pub async fn what_a_dropped_subscription_held_comes_again(subject: Subject) {
    let bus = subject.bus();
    let mut gone = bus.subscribe(&JOBS, 10).await;
    publish_all(bus, ["held", "assigned"].map(job).into()).await;
    let held = next(&mut gone).await;
    drop(gone);
    let mut jobs = bus.subscribe(&JOBS, 10).await;
    let (first, second) = (next(&mut jobs).await, next(&mut jobs).await);
    let mut ids = [first.message.id.clone(), second.message.id.clone()];
    ids.sort();
    assert_eq!(ids, ["assigned", "held"]);
    let again = if first.message.id == "held" { &first } else { &second };
    assert!(again.redelivered);
    assert_eq!(within("the settlement", held.settle(Verdict::Ack)).await, Err(AckLost));
    settle(first, Verdict::Ack).await;
    settle(second, Verdict::Ack).await;
}

/// It is in the dead-letter queue instead.
pub async fn a_dead_lettered_message_does_not_come_again(subject: Subject) {
    let bus = subject.bus();
    let mut jobs = bus.subscribe(&JOBS, 1).await;
    publish_all(bus, ["bad", "good"].map(job).into()).await;
    settle(next(&mut jobs).await, Verdict::DeadLetter).await;
    assert_eq!(done(&mut jobs).await, "good");
    dead_letters_become(&subject, &JOBS, &["bad"]).await;
    publish_all(bus, vec![job("end")]).await;
    assert_eq!(done(&mut jobs).await, "end");
}

/// A message that is put back for ever does not go round for ever.
pub async fn too_many_requeues_end_in_the_dead_letter_queue(subject: Subject) {
    let bus = subject.bus();
    let mut jobs = bus.subscribe(&JOBS, 1).await;
    publish_all(bus, vec![job("poison")]).await;
    let mut deliveries = 0;
    within("the dead letter", async {
        loop {
            tokio::select! {
                delivery = jobs.next() => {
                    deliveries += 1;
                    settle(delivery, Verdict::Requeue).await;
                }
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    if subject.dead_letters(&JOBS).await == ["poison"] {
                        break;
                    }
                }
            }
        }
    })
    .await;
    // RabbitMQ counts redeliveries, so the first one is free.
    assert!((DELIVERY_LIMIT..=DELIVERY_LIMIT + 1).contains(&deliveries), "delivered {deliveries} times");
}
