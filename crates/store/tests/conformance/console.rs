//! Sessions of the console: redeemed once, used by their present secret or briefly by the one before, and ended.

use chrono::{DateTime, TimeDelta, Utc};
use tidemark_domain::id::ConsoleSessionId;
use tidemark_store::{ConsoleSession, SessionTimes, Store};
use tidemark_testkit::{ManualClock, SeededEntropy, TestDatabase};

use crate::fixture::{day, forget, now, organization_id};

on_both_databases! {
    a_console_link_becomes_one_session,
    a_session_changes_its_secret_and_ends,
}

const LINK: [u8; 32] = [1; 32];
const FIRST: [u8; 32] = [2; 32];
const SECOND: [u8; 32] = [3; 32];

fn link() -> ConsoleSession {
    ConsoleSession {
        id: ConsoleSessionId::generate(&ManualClock::noon(day(100)), &SeededEntropy::new(1)),
        organization_id: organization_id(1),
        organization_name: "Acme".to_owned(),
        person: "Ada".to_owned(),
        role: "admin".to_owned(),
        path: "/connections".to_owned(),
        created_by: "platform".to_owned(),
        form_token: "a-form-token".to_owned(),
        created_at: now(),
        expires_at: now() + TimeDelta::minutes(5),
        rotated_at: None,
        seen_at: None,
        session_expires_at: None,
    }
}

fn times(minutes: i64) -> SessionTimes {
    let now = now() + TimeDelta::minutes(minutes);
    SessionTimes {
        now,
        seen_since: now - TimeDelta::minutes(60),
        replaced_since: now - TimeDelta::minutes(1),
    }
}

async fn insert(store: &Store, link: &ConsoleSession) {
    let tx = store.begin().await.unwrap();
    tx.insert_console_link(link, &LINK).await.unwrap();
    tx.commit().await.unwrap();
}

async fn redeem(store: &Store, at: DateTime<Utc>, end: DateTime<Utc>) -> Option<ConsoleSession> {
    let tx = store.begin().await.unwrap();
    let redeemed = tx.redeem_console_link(&LINK, &FIRST, at, end).await.unwrap();
    tx.commit().await.unwrap();
    redeemed
}

async fn a_console_link_becomes_one_session(database: &TestDatabase) {
    let (store, link) = (database.store(), link());
    insert(&store, &link).await;
    assert_eq!(store.console_link(&LINK, now()).await.unwrap(), Some(link.clone()));
    assert_eq!(store.console_link(&LINK, link.expires_at).await.unwrap(), None);
    let end = now() + TimeDelta::hours(12);
    let redeem = async |at| redeem(&store, at, end).await;
    assert_eq!(redeem(link.expires_at).await, None, "too late");
    let session = redeem(now()).await.unwrap();
    assert_eq!((session.seen_at, session.session_expires_at), (Some(now()), Some(end)));
    assert_eq!(redeem(now()).await, None, "once");
    let find = async |hash: &[u8], minutes| store.console_session(hash, times(minutes)).await.unwrap();
    assert_eq!(find(&FIRST, 59).await, Some((session.clone(), true)));
    assert_eq!(find(&FIRST, 60).await, None, "left");
    assert_eq!(find(&LINK, 0).await, None, "the link is not the session");
    for minutes in (30..=719).step_by(30) {
        store.console_session_seen(&session.id, now() + TimeDelta::minutes(minutes)).await.unwrap();
    }
    assert!(find(&FIRST, 719).await.is_some());
    assert_eq!(find(&FIRST, 720).await, None, "over, however much it is used");
    assert_eq!(forget(&store, "console_sessions", end, 10).await, 0);
    assert_eq!(forget(&store, "console_sessions", end + TimeDelta::seconds(1), 10).await, 1);
}

async fn a_session_changes_its_secret_and_ends(database: &TestDatabase) {
    let store = database.store();
    insert(&store, &link()).await;
    let end = now() + TimeDelta::hours(12);
    redeem(&store, now(), end).await.unwrap();
    let find = async |hash: &[u8], seconds| {
        let mut at = times(0);
        at.now += TimeDelta::seconds(seconds);
        at.replaced_since += TimeDelta::seconds(seconds);
        store.console_session(hash, at).await.unwrap().map(|(_, present)| present)
    };
    assert!(store.rotate_console_session(&FIRST, &SECOND, now()).await.unwrap());
    assert!(!store.rotate_console_session(&FIRST, &[4; 32], now()).await.unwrap(), "one of two");
    assert_eq!(find(&SECOND, 0).await, Some(true));
    assert_eq!(find(&FIRST, 59).await, Some(false), "what was on its way");
    assert_eq!(find(&FIRST, 60).await, None);
    store.end_console_session(&FIRST, now()).await.unwrap();
    assert_eq!(find(&SECOND, 0).await, None);
    assert_eq!(find(&FIRST, 0).await, None);
    assert!(!store.rotate_console_session(&SECOND, &[5; 32], now()).await.unwrap());
    store.end_console_session(&SECOND, now()).await.unwrap();
}
