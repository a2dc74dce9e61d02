//! What the service finds out by itself, on a clock that is moved.

use chrono::TimeDelta;
use tidemark_domain::{
    connection::CredentialKind,
    event::{Data, Event},
};
use tidemark_productboard_sim::Route;
use tidemark_rpc::connections::ConnectionState;

use crate::world::{ACME, CLIENT, World};

#[tokio::test]
async fn an_idle_connection_is_tried_within_the_interval() {
    let world = World::new().await;
    let id = world.connected().await.id;
    assert_eq!(world.service.detect().await.unwrap().probes, 0, "it was tried just now");
    world.simulator.revoke(ACME);
    world.advance(TimeDelta::hours(6));
    assert_eq!(world.service.detect().await.unwrap().probes, 1);
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.reconnect_required"]);
    assert_eq!(world.service.detect().await.unwrap().probes, 0, "nothing is live any more");
}

#[tokio::test]
async fn once_a_day_everything_is_asked_for() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.forbid(ACME, Route::Teams);
    world.advance(TimeDelta::hours(6));
    world.service.detect().await.unwrap();
    assert_eq!(
        world.get(&id).await.unwrap().state(),
        ConnectionState::Connected,
        "only whether it is accepted"
    );
    world.advance(TimeDelta::hours(24));
    world.service.detect().await.unwrap();
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Degraded);
}

#[tokio::test]
async fn a_vendor_in_trouble_changes_nothing() {
    let world = World::new().await;
    let id = world.connected().await.id;
    for _ in 0..8 {
        world.simulator.faults(ACME, |faults| faults.fail_next = [503; 20].into());
        world.advance(TimeDelta::hours(6));
        world.service.detect().await.unwrap();
    }
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

#[tokio::test]
async fn a_grant_that_nobody_uses_is_kept_alive() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    for day in 1..=200 {
        world.advance(TimeDelta::hours(24));
        assert!(world.service.detect().await.unwrap().renewals >= 1, "day {day}");
    }
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
    assert_eq!(world.events(&id).await, ["connection.connected"], "longer than a refresh token lives");
    let uses = world.simulator.refresh_uses(CLIENT);
    assert!(uses.iter().all(|token| token.uses <= 1), "{uses:?}");
}

#[tokio::test]
async fn an_end_that_comes_near_is_told_three_times_and_its_passing_once() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next = [503; 10_000].into());
    world.advance(TimeDelta::days(165));
    for _ in 0..14 * 4 {
        world.advance(TimeDelta::hours(6));
        world.service.detect().await.unwrap();
    }
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Expiring);
    let outgoing = world.store.outgoing_of(&id.parse().unwrap()).await.unwrap();
    let warnings: Vec<_> = outgoing
        .iter()
        .filter_map(|outgoing| match Event::decode(&outgoing.body).unwrap().data {
            Data::Expiring(expiring) => Some((expiring.credential, expiring.days)),
            _ => None,
        })
        .collect();
    assert_eq!(warnings, [14, 7, 1].map(|days| (CredentialKind::Oauth, Some(days))));
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next.clear());
    world.advance(TimeDelta::hours(2));
    world.service.detect().await.unwrap();
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
    assert_eq!(world.events(&id).await.last().unwrap(), "connection.recovered");
}

#[tokio::test]
async fn a_grant_that_could_not_be_renewed_in_time_says_so() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next = [503].into());
    world.advance(TimeDelta::days(181));
    world.service.detect().await.unwrap();
    world.advance(TimeDelta::hours(2));
    world.service.detect().await.unwrap();
    let connection = world.get(&id).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::ReconnectRequired);
    assert_eq!(connection.reason.unwrap().code, "refresh_expired");
}

#[tokio::test]
async fn an_old_key_is_reminded_of_and_stays_connected() {
    let world = World::new().await;
    let id = world.connected().await.id;
    world.advance(TimeDelta::days(366));
    for _ in 0..3 {
        world.service.detect().await.unwrap();
        world.advance(TimeDelta::hours(6));
    }
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.expiring"]);
}
