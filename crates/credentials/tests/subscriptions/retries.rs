//! What is not taken comes again, by the clock; and what becomes of endpoints that take nothing.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::Clock;
use tidemark_rpc::{
    connections::{
        RedeliverWebhookRequest, SendTestWebhookRequest, UpdateWebhookEndpointRequest, WebhookDelivery,
        WebhookDeliveryState as State, WebhookEndpoint, webhooks_service_server::WebhooksService,
    },
    status,
};
use tonic::{Code, Status};

use crate::{
    receiver::{Receiver, Reply},
    world::{World, by, platform},
};

async fn redeliver(world: &World, id: &str) -> Result<WebhookDelivery, Status> {
    let request = by(&platform(), RedeliverWebhookRequest { delivery_id: id.to_owned() });
    Ok(world.service.redeliver_webhook(request).await?.into_inner().delivery.unwrap())
}

async fn enable(world: &World, id: &str, enabled: bool) -> WebhookEndpoint {
    let request = UpdateWebhookEndpointRequest {
        endpoint_id: id.to_owned(),
        enabled: Some(enabled),
        ..Default::default()
    };
    let response = world.service.update_webhook_endpoint(by(&platform(), request)).await.unwrap();
    response.into_inner().endpoint.unwrap()
}

fn next(delivery: &WebhookDelivery) -> DateTime<Utc> {
    let at = delivery.next_attempt_at.unwrap();
    DateTime::from_timestamp(at.seconds, at.nanos.cast_unsigned()).unwrap()
}

/// Moves the clock to the next attempt of every delivery, until that many are done.
async fn until_given_up(world: &World, endpoint: &str, count: usize) -> Vec<WebhookDelivery> {
    loop {
        let log = world
            .wait_for_log(endpoint, |log| {
                let rests =
                    |one: &WebhookDelivery| one.next_attempt_at.is_none() || next(one) > world.clock.now();
                log.len() == count && log.iter().all(rests)
            })
            .await;
        let Some(latest) = log.iter().filter(|one| one.next_attempt_at.is_some()).map(next).max() else {
            return log;
        };
        world.clock.advance(latest - world.clock.now());
    }
}

#[tokio::test]
async fn a_delivery_is_tried_ten_times_over_three_days_and_then_given_up() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let (id, secret) = world.endpoint(&receiver.url).await;
    let (_, connection) = world.customer().await;
    receiver.usually(Reply::Status(503, "not now".to_owned()));
    let began = world.clock.now();
    let event = world.happens(&connection, 1).await;
    let log = until_given_up(&world, &id, 1).await;
    let delivery = &log[0];
    assert_eq!((delivery.state(), delivery.attempts.len()), (State::Dead, 10));
    assert!(delivery.attempts.iter().all(|attempt| attempt.status == 503 && attempt.response == "not now"));
    let starts: Vec<_> =
        delivery.attempts.iter().map(|attempt| attempt.started_at.unwrap().seconds).collect();
    let pauses: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, usual) in pauses.iter().zip([5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]) {
        assert!((pause - usual).abs() <= usual / 10 + 1, "{pause} s instead of about {usual} s");
    }
    assert!(world.clock.now() - began > TimeDelta::days(2));
    let hooks = receiver.hooks();
    assert!(hooks.iter().all(|hook| hook.id() == event.id.as_str() && hook.is_signed_with(&secret)));
    assert_eq!(hooks[9].timestamp(), starts[9], "signed anew each time");
    assert!(world.get(&id).await.enabled, "one is not enough to end an endpoint");

    // Somebody mends it and asks for the delivery again.
    receiver.usually(Reply::Status(200, String::new()));
    let again = redeliver(&world, &delivery.id).await.unwrap();
    assert_eq!((again.state(), again.attempts.len()), (State::Pending, 10));
    let log = world.wait_for_log(&id, |log| log[0].state() == State::Delivered).await;
    assert_eq!(log[0].attempts.last().unwrap().number, 11);
    redeliver(&world, &delivery.id).await.unwrap();
    world.wait_for_log(&id, |log| log[0].state() == State::Delivered && log[0].attempts.len() == 12).await;
    assert_eq!(receiver.hooks().len(), 12);
}

#[tokio::test]
async fn an_endpoint_that_takes_nothing_is_disabled_with_a_reason() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let (id, _) = world.endpoint(&receiver.url).await;
    let (_, connection) = world.customer().await;
    receiver.usually(Reply::Status(500, String::new()));
    for number in 0..4 {
        world.happens(&connection, number).await;
    }
    until_given_up(&world, &id, 4).await;
    assert!(world.get(&id).await.enabled, "four in a row");
    // One that is taken in between makes the count begin anew.
    receiver.then(Reply::Status(200, String::new()));
    world.happens(&connection, 4).await;
    world.wait_for_log(&id, |log| log.iter().any(|one| one.state() == State::Delivered)).await;
    for number in 5..9 {
        world.happens(&connection, number).await;
    }
    until_given_up(&world, &id, 9).await;
    assert!(world.get(&id).await.enabled, "four in a row again");
    world.happens(&connection, 9).await;
    let log = until_given_up(&world, &id, 10).await;
    let endpoint = world.get(&id).await;
    assert_eq!((endpoint.enabled, endpoint.disabled_reason.as_str()), (false, "failing"));
    assert!(endpoint.disabled_sentence.contains("then enable it"), "{endpoint:?}");

    let sent = receiver.hooks().len();
    let dead = &log.iter().find(|one| one.state() == State::Dead).unwrap().id;
    let refused = redeliver(&world, dead).await.unwrap_err();
    assert_eq!(status::reason(&refused).as_deref(), Some("ENDPOINT_DISABLED"));
    let request = by(&platform(), SendTestWebhookRequest { endpoint_id: id.clone() });
    let refused = world.service.send_test_webhook(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    world.happens(&connection, 10).await;
    while world.store.feed_waits().await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    receiver.usually(Reply::Status(200, String::new()));
    let endpoint = enable(&world, &id, true).await;
    assert_eq!((endpoint.enabled, endpoint.disabled_reason.as_str()), (true, ""));
    redeliver(&world, dead).await.unwrap();
    let taken = |one: &WebhookDelivery| one.id == *dead && one.state() == State::Delivered;
    world.wait_for_log(&id, |log| log.iter().any(taken)).await;
    assert_eq!(receiver.hooks().len(), sent + 1, "what happened meanwhile is not sent later");
}

#[tokio::test]
async fn gone_ends_an_endpoint_at_once() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let (id, _) = world.endpoint(&receiver.url).await;
    let (_, connection) = world.customer().await;
    receiver.then(Reply::Status(410, "moved away".to_owned()));
    world.happens(&connection, 1).await;
    let log = world.wait_for_log(&id, |log| log.len() == 1 && log[0].state() == State::Dead).await;
    assert_eq!((log[0].attempts.len(), log[0].attempts[0].status), (1, 410));
    let endpoint = world.get(&id).await;
    assert_eq!((endpoint.enabled, endpoint.disabled_reason.as_str()), (false, "gone"));
}

#[tokio::test]
async fn what_waits_when_an_endpoint_is_disabled_goes_out_when_it_is_enabled() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let (id, _) = world.endpoint(&receiver.url).await;
    let (_, connection) = world.customer().await;
    receiver.then(Reply::Status(500, String::new()));
    world.happens(&connection, 1).await;
    world.wait_for_log(&id, |log| log.len() == 1 && log[0].attempts.len() == 1).await;
    let endpoint = enable(&world, &id, false).await;
    assert_eq!(endpoint.disabled_reason, "asked");
    world.clock.advance(TimeDelta::hours(1));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.hooks().len(), 1);
    enable(&world, &id, true).await;
    world.wait_for_log(&id, |log| log[0].state() == State::Delivered).await;
}
