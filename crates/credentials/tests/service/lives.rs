//! What the vendor says of a token's life, and what becomes of it: never a loop, never a panic, never a lost token.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tidemark_domain::connection::CredentialKind;
use tidemark_rpc::{
    connections::{ConnectWithAssertionRequest, ConnectionState},
    credentials::Verdict,
};
use tonic::Code;

use crate::world::{CLIENT, World};

/// From now on the token endpoint says that.
fn says(world: &World, members: Value) {
    let Value::Object(members) = members else { panic!("expected members") };
    world.simulator.app_faults(CLIENT, |faults| faults.token_members = members.clone());
}

/// How often refresh tokens were sent.
fn spent(world: &World) -> u64 {
    world.simulator.refresh_uses(CLIENT).iter().map(|token| token.uses).sum()
}

async fn life(world: &World, id: &str) -> i64 {
    let version = world.version(id, CredentialKind::Oauth).await;
    (version.access_expires_at.unwrap() - version.created_at).num_seconds()
}

/// What is no life: zero, a second, a negative number, nothing, a word, a fraction of one.
fn no_lives() -> Vec<Value> {
    vec![json!(0), json!(1), json!(-86_400), json!(null), json!("soon"), json!("0"), json!(0.5), json!([])]
}

#[tokio::test]
async fn a_life_that_is_none_is_an_hour_and_no_loop() {
    for said in no_lives() {
        let world = World::new().await;
        says(&world, json!({ "expires_in": said }));
        let id = world.consented("acme").await.id;
        assert_eq!(life(&world, &id).await, 3600, "{said}");
        for _ in 0..50 {
            world.service.detect().await.unwrap();
            assert_eq!(world.token(&id).await.unwrap().generation, 1, "{said}");
        }
        assert_eq!(spent(&world), 0, "{said}");
        for _ in 0..24 * 6 {
            world.advance(TimeDelta::minutes(10));
            world.service.detect().await.unwrap();
            assert!(world.token(&id).await.is_ok(), "{said}");
        }
        assert!((24..=30).contains(&spent(&world)), "{said}: {} renewals in a day", spent(&world));
        assert_eq!(world.events(&id).await, ["connection.connected"], "{said}");
    }
}

#[tokio::test]
async fn a_token_that_really_lives_for_half_a_minute_is_there_all_the_time_and_renewed_when_it_must_be() {
    let world = World::new().await;
    let life = std::time::Duration::from_secs(30);
    world.simulator.app_faults(CLIENT, |faults| faults.access_life = life);
    let id = world.consented("acme").await.id;
    let (mut released, mut refused) = (0, 0);
    for _ in 0..600 {
        world.advance(TimeDelta::seconds(1));
        world.service.detect().await.unwrap();
        match world.token(&id).await {
            Ok(token) => {
                released += 1;
                let end = token.expires_at.unwrap().seconds;
                assert!(end > world.now().timestamp(), "no token is handed out past its end");
            }
            Err(status) => {
                refused += 1;
                assert_eq!(status.code(), Code::Unavailable, "{status}");
            }
        }
    }
    assert!(spent(&world) <= 25, "{} renewals in ten minutes", spent(&world));
    assert!(released >= 590, "{released} releases, {refused} refusals");
    assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

/// The vendor says a day and means a minute: callers see 401, and it is never taken for the end of the consent.
#[tokio::test]
async fn a_token_that_dies_before_its_time_ends_no_grant() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    for generation in 1..6 {
        let token = world.token(&id).await.unwrap();
        assert_eq!(token.generation, generation);
        world.simulator.revoke(&token.access_token);
        world.advance(TimeDelta::seconds(20));
        assert_eq!(world.report(&id, generation).await.unwrap(), Verdict::Undecided, "renewed just now");
        world.advance(TimeDelta::seconds(45));
        assert_eq!(world.report(&id, generation).await.unwrap(), Verdict::Superseded);
    }
    assert_eq!(spent(&world), 5);
    assert_eq!(world.events(&id).await, ["connection.connected"]);
}

#[tokio::test]
async fn lives_beyond_every_calendar_are_cut_at_ten_years_and_the_rotated_token_is_kept() {
    for said in
        [json!(i64::MAX), json!(u64::MAX), json!(10_000_000_000_000_u64), json!("9223372036854775807")]
    {
        let world = World::new().await;
        let id = world.consented("acme").await.id;
        says(&world, json!({ "expires_in": said, "refresh_token_expires_in": said }));
        world.advance(TimeDelta::hours(23));
        assert_eq!(world.token(&id).await.unwrap().generation, 2, "{said}");
        assert_eq!(life(&world, &id).await, 315_360_000, "{said}");
        let version = world.version(&id, CredentialKind::Oauth).await;
        let refresh = version.refresh_expires_at.unwrap() - version.created_at;
        assert_eq!(refresh, TimeDelta::days(3650), "{said}");
        assert!(!version.in_doubt && version.refresh_started_at.is_none(), "{said}");
        // The rotated token is the one that is sent next.
        says(&world, json!({}));
        world.advance(TimeDelta::minutes(5));
        world.simulator.revoke(&world.token(&id).await.unwrap().access_token);
        assert_eq!(world.report(&id, 2).await.unwrap(), Verdict::Superseded, "{said}");
        assert_eq!(
            world.simulator.refresh_uses(CLIENT).iter().map(|token| token.reuse_detected).sum::<u64>(),
            0
        );
        assert_eq!(world.get(&id).await.unwrap().state(), ConnectionState::Connected);
    }
}

/// The siblings of a renewal: the exchange of a consent, and an assertion.
#[tokio::test]
async fn odd_lives_do_no_harm_to_consents_and_assertions() {
    for said in [json!(i64::MAX), json!(10_000_000_000_000_u64), json!(0), json!(-1), json!(null)] {
        // The vendor checks the dates of an assertion.
        let world = World::new().await.in_real_time();
        says(&world, json!({ "expires_in": said, "refresh_token_expires_in": said }));
        let consented = world.consented("acme").await.id;
        assert!(world.token(&consented).await.is_ok(), "{said}");
        let request = ConnectWithAssertionRequest {
            organization_id: world.organization.to_string(),
            subject: world.admin("globex"),
            ..Default::default()
        };
        let answer = world.caller.connections().connect_with_assertion(request).await.unwrap().into_inner();
        let asserted = answer.connection.unwrap().id;
        for _ in 0..20 {
            assert_eq!(world.token(&asserted).await.unwrap().generation, 1, "{said}");
        }
        assert_eq!(world.events(&asserted).await, ["connection.connected"], "{said}");
    }
}

#[tokio::test]
async fn a_renewal_without_a_refresh_token_keeps_the_one_that_was_used() {
    for said in [
        json!({ "refresh_token": "" }),
        json!({ "refresh_token": null }),
        json!({ "refresh_token": "  " }),
        json!({}),
    ] {
        let world = World::new().await;
        let id = world.consented("acme").await.id;
        let ends = world.version(&id, CredentialKind::Oauth).await.refresh_expires_at;
        world.simulator.app_faults(CLIENT, |faults| faults.no_rotation = true);
        says(&world, said.clone());
        for generation in 2..5 {
            world.advance(TimeDelta::hours(23));
            assert_eq!(world.token(&id).await.unwrap().generation, generation, "{said}");
            world.probe(&id).await.unwrap();
        }
        assert_eq!(spent(&world), 3, "{said}");
        let version = world.version(&id, CredentialKind::Oauth).await;
        assert_eq!(version.refresh_expires_at, ends, "{said}: it ends when it would have");
        assert_eq!(world.events(&id).await, ["connection.connected"], "{said}");
    }
}

#[tokio::test]
async fn a_consent_without_a_refresh_token_works_until_its_end_and_says_so() {
    for said in [json!({ "refresh_token": "" }), json!({ "refresh_token": null })] {
        let world = World::new().await;
        says(&world, said.clone());
        let id = world.consented("acme").await.id;
        assert!(!world.version(&id, CredentialKind::Oauth).await.renews(), "{said}");
        world.advance(TimeDelta::hours(12));
        assert_eq!(world.token(&id).await.unwrap().generation, 1, "{said}");
        world.advance(TimeDelta::hours(12));
        assert_eq!(world.token(&id).await.unwrap_err().code(), Code::FailedPrecondition, "{said}");
        let connection = world.get(&id).await.unwrap();
        assert_eq!(connection.reason.unwrap().code, "refresh_expired", "{said}");
    }
}

/// A wrong clock writes a version, and is set right.
#[tokio::test]
async fn a_clock_that_steps_neither_loops_nor_freezes_a_grant() {
    let world = World::new().await;
    says(&world, json!({ "expires_in": 0 }));
    let id = world.consented("acme").await.id;
    for step in [TimeDelta::hours(2), TimeDelta::seconds(-90), TimeDelta::days(-2), TimeDelta::days(400)] {
        world.clock.advance(step);
        let before = spent(&world);
        for _ in 0..20 {
            assert!(world.token(&id).await.is_ok(), "{step}");
            world.service.detect().await.unwrap();
        }
        assert!(spent(&world) - before <= 1, "{step}: {} renewals", spent(&world) - before);
        let version = world.version(&id, CredentialKind::Oauth).await;
        let off = (version.created_at - world.now()).num_seconds();
        assert!(off <= 240, "{step}: the version is {off} s ahead of the clock");
    }
}

/// However short the life, processes that share a record renew it once within the floor.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_floor_between_two_renewals_holds_for_all_processes_and_after_a_restart() {
    let world = World::new().await;
    let id = world.consented("acme").await.id;
    says(&world, json!({ "expires_in": 12 }));
    world.advance(TimeDelta::hours(23));
    assert_eq!(world.token(&id).await.unwrap().generation, 2);
    let url = world.simulator.base_url();
    for seed in 20..26 {
        let settings = crate::world::settings(&world.simulator, &url, &url);
        let leases = std::sync::Arc::new(crate::leases::BrokenLeases);
        let process = crate::world::replica(&world.store, leases, settings, world.clock.clone(), seed);
        process.detect().await.unwrap();
        assert_eq!(crate::world::token_from(&process, &id).await.unwrap().generation, 2);
    }
    assert_eq!(spent(&world), 1);
}
