//! What the cases are about: ids, instants, days, people.

use chrono::{DateTime, Days, NaiveDate, Utc};
use tidemark_domain::{
    Clock,
    activity::{Counters, MemberDay},
    capability::{Availability, Capability, Finding},
    connection::{self, Region},
    id::{ConnectionId, OrganizationId, RunId},
    member::{Role, Standing},
    run,
};
use tidemark_store::{Aging, Connection, Retention, Run, Store};
use tidemark_testkit::{ManualClock, SeededEntropy};
use uuid::Uuid;

pub(crate) fn day(offset: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(offset)
}

pub(crate) fn now() -> DateTime<Utc> {
    ManualClock::noon(day(100)).now()
}

pub(crate) fn organization_id(seed: u64) -> OrganizationId {
    OrganizationId::generate(&ManualClock::noon(day(100)), &SeededEntropy::new(seed))
}

pub(crate) fn connection_id(seed: u64) -> ConnectionId {
    ConnectionId::generate(&ManualClock::noon(day(100)), &SeededEntropy::new(seed))
}

/// Later offsets make later ids.
pub(crate) fn run_id(offset: u64) -> RunId {
    RunId::generate(&ManualClock::noon(day(offset)), &SeededEntropy::new(offset))
}

pub(crate) fn member(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn maker() -> Standing {
    Standing { role: Role::Maker, disabled: false, pending: false }
}

pub(crate) fn connection(seed: u64) -> Connection {
    let made = Connection::begun(connection_id(seed), organization_id(1), Region::Eu, now());
    Connection {
        workspace: Some("acme".to_owned()),
        anchors: vec![member(1), member(2)],
        generation: 1,
        capabilities: vec![Finding { capability: Capability::Teams, availability: Availability::NotInPlan }],
        ..made.standing_as(connection::Standing::connected())
    }
}

/// A connection that is in the database.
pub(crate) async fn connected(store: &Store, seed: u64) -> Connection {
    let connection = connection(seed);
    let tx = store.begin().await.unwrap();
    tx.insert_connection(&connection).await.unwrap();
    tx.commit().await.unwrap();
    connection
}

pub(crate) fn queued(connection: &ConnectionId, offset: u64) -> Run {
    Run::queued(run_id(offset), connection.clone(), run::Priority::Schedule, now(), now())
}

/// A member day with a counter at zero, one with a value and the others absent.
pub(crate) fn member_day(number: u128, offset: u64, notes: u32) -> MemberDay {
    let mut counters = Counters::default();
    counters.0[0] = Some(0);
    counters.0[5] = Some(notes);
    MemberDay {
        member_id: member(number),
        day: day(offset),
        role: Role::Other("guest".to_owned()),
        active_flag: offset.is_multiple_of(2),
        counters,
    }
}

/// Forgets what of a table ended before that instant, at most so much in each way; gives how much.
pub(crate) async fn forget(store: &Store, table: &str, before: DateTime<Utc>, limit: u64) -> u64 {
    let at_once = Retention { messages_days: 0, links_days: 0, invitations_days: 0, history_days: 0 };
    let mut deleted = 0;
    for aging in Aging::all().filter(|aging| aging.table == table) {
        deleted += store.forget_old(aging, before, &at_once, limit).await.unwrap();
    }
    deleted
}
