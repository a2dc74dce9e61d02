//! What arrives at an endpoint, and what its log says.

use std::time::Duration;

use chrono::TimeDelta;
use tidemark_domain::Clock;
use tidemark_rpc::connections::{
    RotateWebhookSecretRequest, SendTestWebhookRequest, WebhookDeliveryState,
    webhooks_service_server::WebhooksService,
};

use crate::{
    receiver::{Receiver, Reply},
    world::{World, by, platform, run},
};

#[tokio::test]
async fn an_event_arrives_signed_and_is_in_the_log() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let (id, secret) = world.endpoint(&format!("{}/in?key=1", receiver.url)).await;
    let (_, connection) = world.customer().await;
    receiver.then(Reply::Status(202, "thank\nyou".to_owned()));
    let event = world.happens(&connection, 1).await;
    let hook = receiver.wait_for(1).await.remove(0);
    assert_eq!(hook.path, "/in?key=1");
    assert_eq!(hook.id(), event.id.as_str());
    assert_eq!(hook.timestamp(), world.clock.now().timestamp());
    assert_eq!(hook.headers["content-type"], "application/json");
    assert_eq!(hook.body, event.encode(), "the CloudEvent as it is everywhere");
    assert!(hook.is_signed_with(&secret) && hook.signatures() == 1);
    assert!(!hook.is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));

    let delivered = i32::from(WebhookDeliveryState::Delivered);
    let log = world.wait_for_log(&id, |log| log.len() == 1 && log[0].state == delivered).await;
    assert_eq!(
        (log[0].event_id.as_str(), log[0].event_type.as_str()),
        (event.id.as_str(), "connection.reconnected")
    );
    assert!(log[0].next_attempt_at.is_none());
    let attempt = &log[0].attempts[0];
    assert_eq!((attempt.number, attempt.status, attempt.failure.as_str()), (1, 202, ""));
    assert_eq!(attempt.response, "thank you", "on one line");
}

#[tokio::test]
async fn an_endpoint_gets_what_it_asked_for() {
    let world = World::new().await;
    let (mine, connection) = world.customer().await;
    let (_, other) = world.customer().await;
    let receivers = [Receiver::start().await, Receiver::start().await, Receiver::start().await];
    let [all, syncs, own] = &receivers;
    world.create("", &all.url, &["*"]).await.unwrap();
    world.create("", &syncs.url, &["sync.*", "utilization.updated"]).await.unwrap();
    world.create(mine.as_str(), &own.url, &["connection.reconnected"]).await.unwrap();
    for connection in [&connection, &other] {
        world.happens(connection, 1).await;
        world.sync_fails(connection).await;
    }
    all.wait_for(4).await;
    syncs.wait_for(2).await;
    own.wait_for(1).await;
    // Whatever else was due would be there by now: all were made in the same transactions.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((all.hooks().len(), syncs.hooks().len(), own.hooks().len()), (4, 2, 1));
    assert!(syncs.hooks().iter().all(|hook| hook.event()["type"] == "sync.failed"));
    assert_eq!(own.hooks()[0].event()["subject"], connection.as_str());
}

#[tokio::test]
async fn a_replaced_secret_signs_for_a_day_beside_the_new_one() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let (id, old) = world.endpoint(&receiver.url).await;
    let (_, connection) = world.customer().await;
    let request = by(&platform(), RotateWebhookSecretRequest { endpoint_id: id.clone() });
    let rotated = world.service.rotate_webhook_secret(request).await.unwrap().into_inner();
    let new = rotated.secret;
    assert_ne!(old, new);
    let until = world.clock.now() + TimeDelta::hours(24);
    assert_eq!(rotated.old_signs_until.unwrap().seconds, until.timestamp());
    assert_eq!(world.get(&id).await.secret_version, 2);

    world.happens(&connection, 1).await;
    let hook = receiver.wait_for(1).await.remove(0);
    assert_eq!(hook.signatures(), 2);
    assert!(hook.is_signed_with(&old) && hook.is_signed_with(&new));
    world.clock.advance(TimeDelta::hours(24));
    world.happens(&connection, 2).await;
    let hook = receiver.wait_for(2).await.remove(1);
    assert_eq!(hook.signatures(), 1);
    assert!(!hook.is_signed_with(&old) && hook.is_signed_with(&new));
}

#[tokio::test]
async fn a_test_arrives_whatever_the_endpoint_asked_for() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let created = world.create("", &receiver.url, &["sync.failed"]).await.unwrap();
    let id = created.endpoint.unwrap().id;
    let request = by(&platform(), SendTestWebhookRequest { endpoint_id: id.clone() });
    let delivery = world.service.send_test_webhook(request).await.unwrap().into_inner().delivery.unwrap();
    assert_eq!(
        (delivery.event_type.as_str(), delivery.state()),
        ("webhook.test", WebhookDeliveryState::Pending)
    );
    let hook = receiver.wait_for(1).await.remove(0);
    assert!(hook.is_signed_with(&created.secret));
    assert_eq!(hook.id(), delivery.event_id);
    let event = hook.event();
    assert_eq!((&event["type"], &event["subject"]), (&"webhook.test".into(), &id.into()));
    assert_eq!((&event["specversion"], &event["id"]), (&"1.0".into(), &delivery.event_id.into()));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_long_answer_not_kept() {
    let (world, receiver, elsewhere) = (World::new().await, Receiver::start().await, Receiver::start().await);
    let (id, _) = world.endpoint(&receiver.url).await;
    let (_, connection) = world.customer().await;
    receiver.then(Reply::Redirect(format!("{}/x", elsewhere.url)));
    receiver.then(Reply::Status(500, "x".repeat(1_000_000)));
    receiver.then(Reply::Hangup);
    for number in 0..3 {
        world.happens(&connection, number).await;
        receiver.wait_for(number as usize + 1).await;
        // Ids of one instant are in no order.
        world.clock.advance(TimeDelta::seconds(1));
    }
    let log =
        world.wait_for_log(&id, |log| log.len() == 3 && log.iter().all(|one| one.attempts.len() == 1)).await;
    let [broken, long, redirected] = [&log[0], &log[1], &log[2]].map(|delivery| &delivery.attempts[0]);
    assert!(redirected.failure.contains("redirects are not followed"), "{redirected:?}");
    assert_eq!(elsewhere.hooks().len(), 0);
    assert_eq!((long.status, long.response.len()), (500, 500));
    assert_eq!((broken.status, broken.response.as_str()), (0, ""));
    assert!(!broken.failure.contains("127.0.0.1"), "{broken:?}");
}

#[tokio::test]
async fn a_host_that_is_trusted_no_longer_gets_nothing() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let (id, _) = world.endpoint(&receiver.url).await;
    let (_, connection) = world.customer().await;
    world.shutdown.stop();
    let (service, shutdown) = world.distrusting();
    let running = run(&service);
    world.happens(&connection, 1).await;
    let log = world.wait_for_log(&id, |log| log.iter().any(|one| !one.attempts.is_empty())).await;
    let attempt = &log[0].attempts[0];
    assert!(attempt.failure.starts_with("not sent: expected https"), "{attempt:?}");
    assert_eq!(receiver.hooks().len(), 0);
    shutdown.stop();
    running.await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_keeps_nobody_waiting() {
    let world = World::new().await;
    let (silent, quick) = (Receiver::start().await, Receiver::start().await);
    silent.usually(Reply::Silence);
    world.endpoint(&silent.url).await;
    let (_, connection) = world.customer().await;
    for number in 0..50 {
        world.happens(&connection, number).await;
    }
    silent.wait_for(4).await;
    let (id, _) = world.endpoint(&quick.url).await;
    for number in 0..50 {
        world.happens(&connection, number).await;
    }
    quick.wait_for(50).await;
    assert_eq!(silent.hooks().len(), 4, "so many at once");
    let delivered = i32::from(WebhookDeliveryState::Delivered);
    world.wait_for_log(&id, |log| log.iter().all(|one| one.state == delivered)).await;
}
