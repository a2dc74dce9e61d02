//! Renewals: once, whoever asks; never lost; and only the vendor's word ends a grant.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::future::join_all;
use tidemark_domain::connection::CredentialKind;
use tidemark_rpc::{connections::ConnectionState, credentials::Verdict, status};
use tonic::Code;

use crate::{
    leases::BrokenLeases,
    world::{CLIENT, World, replica, settings},
};

/// A connection by consent, whose token is about to end.
async fn aging(world: &World) -> String {
    let id = world.consented("acme").await.id;
    world.advance(TimeDelta::hours(23));
    id
}

fn spent(world: &World) -> (u64, u64) {
    let uses = world.simulator.refresh_uses(CLIENT);
    (uses.iter().map(|token| token.uses).sum(), uses.iter().map(|token| token.reuse_detected).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_renew_once() {
    let world = World::new().await;
    let id = aging(&world).await;
    let tokens = join_all((0..32).map(|_| world.token(&id))).await;
    let generations: Vec<_> = tokens.into_iter().map(|token| token.unwrap().generation).collect();
    assert!(generations.contains(&2) && generations.iter().all(|generation| [1, 2].contains(generation)));
    assert_eq!(spent(&world), (1, 0));
    assert_eq!(world.report(&id, 1).await.unwrap(), Verdict::Superseded, "the old generation");
    assert_eq!(world.events(&id).await, ["connection.connected"], "a renewal is nobody's news");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_without_leases_renew_once() {
    let world = World::new().await;
    let id = aging(&world).await;
    let url = world.simulator.base_url();
    let replicas: Vec<_> = (10..14)
        .map(|seed| {
            let settings = settings(&world.simulator, &url, &url);
            replica(&world.store, Arc::new(BrokenLeases), settings, world.clock.clone(), seed)
        })
        .collect();
    let calls = (0..32).map(|number| crate::world::token_from(&replicas[number % 4], &id));
    let tokens = join_all(calls).await;
    assert!(tokens.iter().all(Result::is_ok), "{tokens:?}");
    assert_eq!(spent(&world), (1, 0));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_token() {
    let world = World::new().await;
    let id = aging(&world).await;
    world.simulator.app_faults(CLIENT, |faults| faults.token_answer_lost = 1);
    assert_eq!(world.token(&id).await.unwrap().generation, 2);
    assert_eq!(spent(&world), (2, 0), "the second use is within the grace");
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

#[tokio::test]
async fn two_lost_answers_leave_a_doubt_that_the_next_try_dissolves() {
    let world = World::new().await;
    let id = aging(&world).await;
    world.simulator.app_faults(CLIENT, |faults| faults.token_answer_lost = 2);
    assert_eq!(world.token(&id).await.unwrap().generation, 1, "it still works for an hour");
    let version = world.version(&id, CredentialKind::Oauth).await;
    assert!(version.in_doubt && version.refresh_started_at.is_none());
    world.advance(TimeDelta::seconds(31));
    assert_eq!(world.token(&id).await.unwrap().generation, 2);
    assert_eq!(spent(&world), (3, 0));
}

#[tokio::test]
async fn a_doubt_that_outlives_the_grace_ends_in_one_reconnect() {
    let world = World::new().await;
    let id = aging(&world).await;
    world.simulator.app_faults(CLIENT, |faults| faults.token_answer_lost = 2);
    assert!(world.token(&id).await.is_ok());
    world.advance(TimeDelta::minutes(61));
    let refused = join_all((0..8).map(|_| world.token(&id))).await;
    for refused in refused {
        let refused = refused.unwrap_err();
        assert_eq!(status::reason(&refused).as_deref(), Some(status::RECONNECT_REQUIRED), "{refused}");
    }
    let connection = world.get(&id).await.unwrap();
    assert_eq!(connection.reason.unwrap().code, "refresh_in_doubt");
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.reconnect_required"]);
}

/// The vendor is away for most of its grace, and back in time: the token that may be spent is tried often enough.
#[tokio::test]
async fn a_doubt_is_dissolved_whenever_the_vendor_is_back_within_its_grace() {
    let world = World::new().await;
    let id = aging(&world).await;
    world.simulator.app_faults(CLIENT, |faults| faults.token_answer_lost = 2);
    assert_eq!(world.token(&id).await.unwrap().generation, 1);
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next = vec![503; 1_000].into());
    for _ in 0..45 {
        world.advance(TimeDelta::minutes(1));
        world.service.detect().await.unwrap();
    }
    let version = world.version(&id, CredentialKind::Oauth).await;
    assert!(version.in_doubt && version.failures >= 7, "{version:?}");
    assert_eq!(
        world.whole(&id).await.unwrap().credentials[0].renewal_failures,
        version.failures,
        "it is shown"
    );
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next.clear());
    for _ in 0..6 {
        world.advance(TimeDelta::minutes(1));
        world.service.detect().await.unwrap();
    }
    assert_eq!(world.token(&id).await.unwrap().generation, 2);
    assert_eq!(spent(&world).1, 0);
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

/// The renewed version was never seen to work, and the vendor refuses it: the one before is asked, and only its own
/// `invalid_grant` ends the connection.
#[tokio::test]
async fn the_version_before_is_asked_before_a_grant_is_given_up() {
    let world = World::new().await;
    let id = aging(&world).await;
    let token = world.token(&id).await.unwrap();
    assert_eq!(token.generation, 2);
    world.simulator.revoke(&token.access_token);
    world.advance(TimeDelta::minutes(2));
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next = [400, 503].into());
    assert_eq!(world.report(&id, 2).await.unwrap(), Verdict::Undecided, "nobody has said that it is over");
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
    world.advance(TimeDelta::minutes(1));
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next = [400].into());
    assert_eq!(world.report(&id, 2).await.unwrap(), Verdict::Superseded, "the one before was good");
    assert_eq!(world.token(&id).await.unwrap().generation, 3);
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

/// What the vendor has just granted may be refused somewhere for a moment.
#[tokio::test]
async fn a_new_token_that_is_refused_at_once_ends_nothing() {
    let world = World::new().await;
    let id = aging(&world).await;
    let token = world.token(&id).await.unwrap();
    world.simulator.revoke(&token.access_token);
    assert_eq!(world.report(&id, 2).await.unwrap(), Verdict::Undecided);
    assert_eq!(world.events(&id).await, ["connection.connected"]);
    world.advance(TimeDelta::minutes(2));
    assert_eq!(world.report(&id, 2).await.unwrap(), Verdict::Superseded, "the grant gave another one");
}

#[tokio::test]
async fn a_process_that_died_before_the_answer_is_followed_by_another() {
    let world = World::new().await;
    let id = aging(&world).await;
    let version = world.version(&id, CredentialKind::Oauth).await;
    assert!(world.store.begin_refresh(&version, world.now()).await.unwrap(), "and dies");
    // As long as it may be alive, the token that still works is handed out.
    let calls = tokio::time::timeout(std::time::Duration::from_secs(20), world.token(&id));
    assert_eq!(calls.await.unwrap().unwrap().generation, 1);
    world.advance(TimeDelta::minutes(6));
    assert_eq!(world.token(&id).await.unwrap().generation, 2);
    assert_eq!(spent(&world), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_doubt_is_dissolved_by_one_of_many_replicas_without_leases() {
    let world = World::new().await;
    let id = aging(&world).await;
    let version = world.version(&id, CredentialKind::Oauth).await;
    assert!(world.store.begin_refresh(&version, world.now()).await.unwrap(), "and dies");
    world.advance(TimeDelta::minutes(6));
    let url = world.simulator.base_url();
    world.simulator.app_faults(CLIENT, |faults| faults.token_latency = std::time::Duration::from_millis(300));
    let replicas: Vec<_> = (10..14)
        .map(|seed| {
            let settings = settings(&world.simulator, &url, &url);
            replica(&world.store, Arc::new(BrokenLeases), settings, world.clock.clone(), seed)
        })
        .collect();
    let tokens = join_all((0..16).map(|number| crate::world::token_from(&replicas[number % 4], &id))).await;
    assert!(tokens.iter().all(Result::is_ok), "{tokens:?}");
    assert_eq!(spent(&world), (1, 0));
    assert_eq!(world.probe(&id).await.unwrap().state(), ConnectionState::Connected);
}

#[tokio::test]
async fn a_withdrawn_consent_is_found_out_once() {
    let world = World::new().await;
    let id = aging(&world).await;
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next.push_back(400));
    let refused = join_all((0..8).map(|_| world.token(&id))).await;
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    let connection = world.get(&id).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::ReconnectRequired);
    assert_eq!(connection.reason.unwrap().code, "consent_withdrawn");
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.reconnect_required"]);
    assert_eq!(spent(&world).0, 0, "the refused answer was the switch's");

    let begun = world.begin(&id).await.unwrap();
    assert_eq!(world.complete(&begun, "acme").await.unwrap().state(), ConnectionState::Connected);
    assert_eq!(world.events(&id).await.last().unwrap(), "connection.reconnected");
}

#[tokio::test]
async fn trouble_of_the_vendor_ends_nothing_and_pauses_grow() {
    let world = World::new().await;
    let id = aging(&world).await;
    for (failures, status) in [408, 425, 429, 500, 502, 503, 504].into_iter().enumerate() {
        world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next = [status].into());
        assert_eq!(world.token(&id).await.unwrap().generation, 1, "{status}");
        let version = world.version(&id, CredentialKind::Oauth).await;
        assert_eq!(version.failures, failures as u32 + 1, "{status}");
        let asked = world.simulator.refresh_uses(CLIENT).len();
        assert_eq!(world.token(&id).await.unwrap().generation, 1, "no second try within the pause");
        assert_eq!(world.simulator.refresh_uses(CLIENT).len(), asked);
        let pause = version.cooldown_until.unwrap() - world.now();
        // An answer of 500 says nothing of the token: then the pauses stay well within the vendor's grace.
        let longest = if version.in_doubt { 300 } else { 3600 };
        assert!(pause >= TimeDelta::seconds((30 << failures).min(longest)), "{pause}");
        world.clock.advance(pause + TimeDelta::seconds(1));
    }
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

#[tokio::test]
async fn no_token_is_handed_out_past_its_end() {
    let world = World::new().await;
    let id = aging(&world).await;
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next = [503; 40].into());
    world.advance(TimeDelta::minutes(55));
    assert!(world.token(&id).await.is_ok(), "five minutes are left");
    world.advance(TimeDelta::minutes(2));
    let refused = world.token(&id).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "no clock would be sure: {refused}");
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next.clear());
    world.advance(TimeDelta::hours(2));
    assert_eq!(world.token(&id).await.unwrap().generation, 2, "it heals by itself");
}

#[tokio::test]
async fn the_version_before_stays_sealed_until_the_new_one_has_worked() {
    let world = World::new().await;
    let id = aging(&world).await;
    world.token(&id).await.unwrap();
    let kept = world.store.credentials_of(&id.parse().unwrap()).await.unwrap();
    assert_eq!(kept.iter().map(|version| version.generation).collect::<Vec<_>>(), [2, 1]);
    world.probe(&id).await.unwrap();
    let kept = world.store.credentials_of(&id.parse().unwrap()).await.unwrap();
    assert_eq!(kept.iter().map(|version| version.generation).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn a_reported_access_token_is_renewed_before_anything_is_said() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    let token = world.token(&id).await.unwrap();
    world.advance(TimeDelta::minutes(5));
    world.simulator.revoke(&token.access_token);
    assert_eq!(world.report(&id, 1).await.unwrap(), Verdict::Superseded);
    assert_eq!(world.token(&id).await.unwrap().generation, 2);
    assert_eq!(world.report(&id, 2).await.unwrap(), Verdict::StillValid, "a flapping 401 renews nothing");
    world.advance(TimeDelta::minutes(5));
    world.simulator.app_faults(CLIENT, |faults| faults.token_fail_next.push_back(400));
    // The grant has been seen to work, so that there is no version before it to fall back to.
    assert_eq!(world.report(&id, 2).await.unwrap(), Verdict::ReconnectRequired);
    assert_eq!(world.events(&id).await, ["connection.connected", "connection.reconnect_required"]);
}
