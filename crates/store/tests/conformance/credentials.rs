//! Versions of credentials, who may refresh them, consents, episodes, and what is due.

use std::time::Duration;

use chrono::TimeDelta;
use tidemark_domain::{
    capability::{Availability, Capability, Finding},
    connection::{CredentialKind, Reason, Region, State},
    id::ConnectionId,
};
use tidemark_store::{Attempted, Connection, Consent, Purge, Sealed, SealedCredential, Store};
use tidemark_testkit::TestDatabase;

use crate::fixture::*;

on_both_databases! {
    a_version_reads_back_as_written,
    old_versions_of_a_kind_go_and_the_present_one_stays,
    of_many_refreshers_one_begins,
    a_refresh_that_was_begun_and_not_ended_is_in_doubt,
    what_is_due_is_claimed_once,
    what_fails_each_time_is_claimed_later_and_later,
    a_consent_is_taken_once_in_time_and_by_its_session,
    what_was_begun_and_never_made_is_forgotten,
    one_episode_is_open_at_most,
    facts_are_purged_to_the_last,
}

fn sealed() -> Sealed {
    Sealed {
        algorithm: "xchacha20poly1305".to_owned(),
        key_id: "k1".to_owned(),
        wrapped_key: vec![0, 255, 1],
        ciphertext: b"canary".to_vec(),
    }
}

fn version(id: &ConnectionId, generation: i64, kind: CredentialKind) -> SealedCredential {
    SealedCredential::new(id.clone(), generation, kind, sealed(), now())
}

async fn put(store: &Store, versions: &[SealedCredential]) {
    let tx = store.begin().await.unwrap();
    for version in versions {
        tx.insert_credential(version).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn a_version_reads_back_as_written(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let written = SealedCredential {
        capabilities: vec![Finding { capability: Capability::Notes, availability: Availability::Forbidden }],
        access_expires_at: Some(now()),
        refresh_expires_at: Some(now()),
        refresh_started_at: Some(now()),
        refresh_attempt: 3,
        in_doubt: true,
        refresh_due_at: Some(now()),
        failures: 2,
        cooldown_until: Some(now()),
        rejected: Some(Reason::RefreshInDoubt),
        proven_at: Some(now()),
        reminded_at: Some(now()),
        ..version(&id, 1, CredentialKind::Oauth)
    };
    put(&store, &[written.clone(), version(&id, 2, CredentialKind::ApiKey)]).await;
    assert_eq!(store.credential(&id, 1).await.unwrap(), Some(written.clone()));
    assert_eq!(store.credential(&id, 3).await.unwrap(), None);
    let all = store.credentials_of(&id).await.unwrap();
    assert_eq!(all, [version(&id, 2, CredentialKind::ApiKey), written.clone()]);
    let (connection, held) = store.held(&id).await.unwrap().unwrap();
    assert_eq!((connection.id, held), (id, all));
    assert!(store.held(&connection_id(9)).await.unwrap().is_none());
    assert!(!format!("{written:?}").contains("99"), "Debug shows no byte of it");
}

async fn old_versions_of_a_kind_go_and_the_present_one_stays(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let kinds = [CredentialKind::ApiKey, CredentialKind::Oauth, CredentialKind::Oauth, CredentialKind::Oauth];
    let versions: Vec<_> =
        kinds.into_iter().zip(1..).map(|(kind, number)| version(&id, number, kind)).collect();
    put(&store, &versions).await;
    let tx = store.begin().await.unwrap();
    assert_eq!(tx.delete_credentials_before(&id, CredentialKind::Oauth, 3).await.unwrap(), 1);
    tx.commit().await.unwrap();
    let left = async || {
        store.credentials_of(&id).await.unwrap().iter().map(|row| row.generation).collect::<Vec<_>>()
    };
    assert_eq!(left().await, [4, 3, 1]);

    store.prove_credential(&versions[3], now()).await.unwrap();
    assert_eq!(left().await, [4, 1], "the one before is needed no more");
    assert_eq!(store.credential(&id, 4).await.unwrap().unwrap().proven_at, Some(now()));
    let tx = store.begin().await.unwrap();
    assert!(tx.reject_credential(&id, 4, Reason::ConsentWithdrawn).await.unwrap());
    assert!(!tx.reject_credential(&id, 4, Reason::KeyRejected).await.unwrap(), "once");
    let finding = [Finding { capability: Capability::Teams, availability: Availability::Available }];
    assert!(tx.put_capabilities(&id, 1, &finding).await.unwrap());
    assert!(!tx.put_capabilities(&id, 9, &finding).await.unwrap());
    assert!(tx.remind(&versions[0], now()).await.unwrap());
    assert!(!tx.remind(&versions[0], now()).await.unwrap(), "once");
    tx.commit().await.unwrap();
    assert_eq!(store.credential(&id, 1).await.unwrap().unwrap().capabilities, finding);
    let tx = store.begin().await.unwrap();
    assert_eq!(tx.delete_credentials(&id).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert!(left().await.is_empty());
}

async fn of_many_refreshers_one_begins(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let read = version(&id, 1, CredentialKind::Oauth);
    put(&store, std::slice::from_ref(&read)).await;
    let attempts = (0..8).map(|_| store.begin_refresh(&read, now()));
    let mut begun = 0;
    for attempt in attempts {
        begun += u32::from(attempt.await.unwrap());
    }
    assert_eq!(begun, 1);
    let row = store.credential(&id, 1).await.unwrap().unwrap();
    assert_eq!((row.refresh_started_at, row.refresh_attempt, row.in_doubt), (Some(now()), 1, false));

    let cooldown_until = now() + TimeDelta::seconds(30);
    let attempted = Attempted { in_doubt: false, failures: 1, cooldown_until };
    assert!(!store.end_refresh(&read, attempted).await.unwrap(), "only who began it ends it");
    assert!(store.end_refresh(&row, attempted).await.unwrap());
    let ended = store.credential(&id, 1).await.unwrap().unwrap();
    assert_eq!((ended.refresh_started_at, ended.failures), (None, 1));
    assert_eq!(ended.cooldown_until, Some(cooldown_until));

    put(&store, &[version(&id, 2, CredentialKind::Oauth)]).await;
    assert!(!store.begin_refresh(&ended, now()).await.unwrap(), "it was replaced");
}

async fn a_refresh_that_was_begun_and_not_ended_is_in_doubt(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    put(&store, &[version(&id, 1, CredentialKind::Oauth)]).await;
    for doubted in [false, true] {
        let row = store.credential(&id, 1).await.unwrap().unwrap();
        assert!(store.begin_refresh(&row, now()).await.unwrap());
        assert_eq!(store.credential(&id, 1).await.unwrap().unwrap().in_doubt, doubted);
    }
    let row = store.credential(&id, 1).await.unwrap().unwrap();
    let attempted = Attempted { in_doubt: true, failures: 1, cooldown_until: now() };
    assert!(store.end_refresh(&row, attempted).await.unwrap());
    let row = store.credential(&id, 1).await.unwrap().unwrap();
    assert_eq!(
        (row.in_doubt, row.refresh_started_at),
        (true, None),
        "known to be over, and how is not known"
    );
}

async fn what_fails_each_time_is_claimed_later_and_later(database: &TestDatabase) {
    let store = database.store();
    let (failing, claim) = (connected(&store, 1).await.id, Duration::from_secs(300));
    let due = SealedCredential { refresh_due_at: Some(now()), ..version(&failing, 1, CredentialKind::Oauth) };
    put(&store, std::slice::from_ref(&due)).await;
    let mut at = now();
    for minutes in [5, 10, 20, 40, 80, 160, 240, 240] {
        assert_eq!(store.claim_probes(at, 10, claim).await.unwrap(), std::slice::from_ref(&failing), "{at}");
        assert_eq!(store.claim_refreshes(at, 10, claim).await.unwrap(), [(failing.clone(), 1)]);
        let before = at + TimeDelta::minutes(minutes) - TimeDelta::seconds(1);
        assert!(store.claim_probes(before, 10, claim).await.unwrap().is_empty(), "{minutes} min");
        assert!(store.claim_refreshes(before, 10, claim).await.unwrap().is_empty(), "{minutes} min");
        at += TimeDelta::minutes(minutes);
    }
    // What comes of it, or a reconnect, sets the next time: all begins again.
    store.schedule_probe(&failing, at, None).await.unwrap();
    store.end_refresh(&due, Attempted { in_doubt: false, failures: 1, cooldown_until: at }).await.unwrap();
    for minutes in [5, 10] {
        assert_eq!(store.claim_probes(at, 10, claim).await.unwrap().len(), 1);
        assert_eq!(store.claim_refreshes(at, 10, claim).await.unwrap().len(), 1);
        at += TimeDelta::minutes(minutes);
    }
}

async fn what_is_due_is_claimed_once(database: &TestDatabase) {
    let store = database.store();
    let claim = Duration::from_secs(60);
    let never_tried = connected(&store, 1).await.id;
    let later = connected(&store, 2).await.id;
    store.schedule_probe(&later, now() + TimeDelta::hours(1), Some(now())).await.unwrap();
    let waiting = Connection::begun(connection_id(3), organization_id(1), Region::Us, now());
    let tx = store.begin().await.unwrap();
    tx.insert_connection(&waiting).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.claim_probes(now(), 10, claim).await.unwrap(), std::slice::from_ref(&never_tried));
    assert!(store.claim_probes(now(), 10, claim).await.unwrap().is_empty());
    let after = store.claim_probes(now() + TimeDelta::hours(2), 10, claim).await.unwrap();
    assert_eq!(after.len(), 2, "the one was due, the other's claimer died");
    assert_eq!(store.connection(&later).await.unwrap().unwrap().probed_at, Some(now()));

    let due = |generation, at| SealedCredential {
        refresh_due_at: at,
        ..version(&later, generation, CredentialKind::Oauth)
    };
    put(&store, &[due(1, None), due(2, Some(now())), due(3, Some(now() + TimeDelta::hours(1)))]).await;
    let claimed = store.claim_refreshes(now(), 10, claim).await.unwrap();
    assert_eq!(claimed, [(later.clone(), 2)]);
    assert!(store.claim_refreshes(now(), 10, claim).await.unwrap().is_empty());
}

async fn a_consent_is_taken_once_in_time_and_by_its_session(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let consent = Consent {
        state_hash: "state".to_owned(),
        session_hash: "session".to_owned(),
        connection_id: id,
        verifier: sealed(),
        created_at: now(),
        expires_at: now() + TimeDelta::minutes(10),
    };
    let tx = store.begin().await.unwrap();
    tx.insert_consent(&consent).await.unwrap();
    tx.commit().await.unwrap();
    let take = async |session: &str, minutes| {
        store.take_consent("state", session, now() + TimeDelta::minutes(minutes)).await.unwrap()
    };
    assert_eq!(take("another", 1).await, None);
    assert_eq!(take("session", 10).await, None, "too late");
    assert_eq!(take("session", 9).await, Some(consent));
    assert_eq!(take("session", 9).await, None, "once");
}

async fn what_was_begun_and_never_made_is_forgotten(database: &TestDatabase) {
    let store = database.store();
    let made = connected(&store, 1).await;
    let begun = Connection::begun(connection_id(2), organization_id(1), Region::Us, now());
    let consent = Consent {
        state_hash: "state".to_owned(),
        session_hash: "session".to_owned(),
        connection_id: begun.id.clone(),
        verifier: sealed(),
        created_at: now(),
        expires_at: now() + TimeDelta::minutes(10),
    };
    let tx = store.begin().await.unwrap();
    tx.insert_connection(&begun).await.unwrap();
    tx.insert_consent(&consent).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        store.delete_abandoned(now() + TimeDelta::minutes(5)).await.unwrap(),
        0,
        "it may still be made"
    );
    assert_eq!(store.delete_abandoned(now() + TimeDelta::minutes(11)).await.unwrap(), 1);
    assert_eq!(store.connection(&begun.id).await.unwrap(), None);
    assert_eq!(store.connection(&made.id).await.unwrap().map(|row| row.state), Some(State::Connected));
}

async fn one_episode_is_open_at_most(database: &TestDatabase) {
    let store = database.store();
    let id = connected(&store, 1).await.id;
    let tx = store.begin().await.unwrap();
    assert!(tx.open_episode(&id, Reason::KeyRejected, 1, now()).await.unwrap());
    assert!(!tx.open_episode(&id, Reason::ConsentWithdrawn, 1, now()).await.unwrap());
    tx.close_episode(&id, now()).await.unwrap();
    assert!(tx.open_episode(&id, Reason::ConsentWithdrawn, 2, now()).await.unwrap());
    tx.commit().await.unwrap();
    let episodes = store.episodes(&id).await.unwrap();
    let told: Vec<_> = episodes.iter().map(|episode| (episode.generation, episode.closed_at)).collect();
    assert_eq!(told, [(1, Some(now())), (2, None)]);
}

async fn facts_are_purged_to_the_last(database: &TestDatabase) {
    let store = database.store();
    let old = connected(&store, 1).await;
    let (id, other) = (old.id.clone(), connected(&store, 2).await.id);
    let empty = store.facts_digest(&id).await.unwrap();
    for id in [&id, &other] {
        let tx = store.begin().await.unwrap();
        let days: Vec<_> = (0..7).map(|offset| member_day(1, offset, 1)).collect();
        tx.upsert_member_days(id, &days).await.unwrap();
        tx.cover_days(id, &[day(1), day(2)], day(3), &run_id(1)).await.unwrap();
        tx.commit().await.unwrap();
    }
    let kept = store.facts_digest(&other).await.unwrap();
    let tx = store.begin().await.unwrap();
    let asked = Connection { purge: Some(Purge::Asked), state: State::Disconnected, ..old.clone() };
    assert!(tx.update_connection(&asked, &old).await.unwrap());
    tx.commit().await.unwrap();
    let claim = async |at| store.claim_purges(at, 10, Duration::from_secs(60)).await.unwrap();
    assert_eq!(claim(now()).await, std::slice::from_ref(&id));
    assert!(claim(now()).await.is_empty(), "another process has it");
    assert_eq!(claim(now() + TimeDelta::seconds(61)).await, std::slice::from_ref(&id), "and lost it");
    let mut deleted = Vec::new();
    while let rows @ 1.. = store.purge_facts(&id, 3).await.unwrap() {
        deleted.push(rows);
    }
    assert!(deleted.iter().all(|rows| *rows <= 3), "a batch at a time: {deleted:?}");
    assert_eq!(deleted.iter().sum::<u64>(), 10);
    assert!(claim(now() + TimeDelta::days(1)).await.is_empty());
    assert_eq!(store.connection(&id).await.unwrap().unwrap().purge, Some(Purge::Done));
    assert_eq!(store.facts_digest(&id).await.unwrap(), empty);
    assert_eq!(store.facts_digest(&other).await.unwrap(), kept);
}
