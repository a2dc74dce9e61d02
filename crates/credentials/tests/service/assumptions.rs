//! What is assumed of the vendor is checked when a workspace is connected, kept with it, and never in the way.

use std::time::{Duration, Instant};

use tidemark_productboard_sim::{Faults, Route};

use crate::world::{ACME, World};

/// What is kept of the connection, by assumption.
async fn found(world: &World, id: &str) -> Vec<(String, Option<bool>)> {
    let findings = world.store.vendor_findings(&id.parse().unwrap()).await.unwrap();
    findings.into_iter().map(|it| (it.assumption.into_owned(), it.holds)).collect()
}

async fn flags(world: &World, id: &str) -> Vec<String> {
    let flags = world.store.data_flags(&id.parse().unwrap()).await.unwrap();
    flags.into_iter().map(|it| it.flag).collect()
}

#[tokio::test]
async fn what_is_assumed_is_kept_with_a_new_connection_and_looked_at_again_with_a_reconnect() {
    let world = World::new().await;
    world.simulator.faults(ACME, |faults| faults.date_to_exclusive = true);
    let connection = world.create(ACME).await.unwrap();
    let expected = [
        ("date_to_inclusive", Some(false)),
        ("roster_whole", Some(true)),
        ("unknown_route", Some(true)),
        ("window_obeyed", Some(true)),
    ];
    let expected = expected.map(|(name, holds)| (name.to_owned(), holds));
    assert_eq!(found(&world, &connection.id).await, expected);
    assert_eq!(flags(&world, &connection.id).await, ["assumption.date_to_inclusive"]);

    world.simulator.issue_token("acme", "second-key");
    world.simulator.faults("second-key", |faults| faults.window_ignored = true);
    world.reconnect(&connection.id, "second-key").await.unwrap();
    assert_eq!(flags(&world, &connection.id).await, ["assumption.window_obeyed"]);
}

#[tokio::test]
async fn a_consent_is_checked_as_a_key_is() {
    let world = World::new().await;
    let connection = world.consented("acme").await;
    let findings = found(&world, &connection.id).await;
    assert!(findings.contains(&("date_to_inclusive".to_owned(), Some(true))), "{findings:?}");
}

/// Whatever goes wrong with the checks: the workspace is connected, soon, and what could not be seen is said to be so.
#[tokio::test]
async fn no_connect_fails_or_hangs_for_a_check() {
    // The probe reads four lists and the day's activity; what comes behind it is the checks'.
    let troubles: [fn(&mut Faults); 3] = [
        |faults| faults.broken = [Route::MemberActivities].into(),
        |faults| faults.forbidden = [Route::MemberActivities].into(),
        |faults| faults.latency = Duration::from_millis(1_400),
    ];
    for trouble in troubles {
        let world = World::new().await;
        world.simulator.faults(ACME, trouble);
        let begun = Instant::now();
        let connection = world.create(ACME).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        let findings = found(&world, &connection.id).await;
        assert!(findings.len() == 4 && findings.iter().any(|it| it.1.is_none()), "{findings:?}");
        assert_eq!(flags(&world, &connection.id).await, [""; 0]);
    }
}

/// Of a key that dies behind the probe nothing is seen, and what was seen before stands.
#[tokio::test]
async fn checks_are_few_and_take_nothing_back() {
    let world = World::new().await;
    let begun = Instant::now();
    let connection = world.create(ACME).await.unwrap();
    let all = world.simulator.requests(ACME);
    assert!(all <= 5 + 8, "{all} requests");
    world.simulator.issue_token("acme", "limited-key");
    world.simulator.faults("limited-key", |faults| {
        faults.revoke_after = Some(6);
    });
    world.reconnect(&connection.id, "limited-key").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let kept = found(&world, &connection.id).await;
    assert!(kept.iter().all(|(_, holds)| *holds == Some(true)), "what was seen before stands: {kept:?}");
}
