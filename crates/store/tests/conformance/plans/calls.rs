//! What the services ask of the store, once each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::TimeDelta;
use tidemark_domain::{
    id::ConnectionId,
    member::Role,
    recommendation::Tier,
    rollup::{CutSet, SeatState},
    stream::Stream,
};
use tidemark_store::{
    Aging, AlertFilter, Resource, RollupSettlement, RosterMember, SeatDigest, SeatFilter, SeatList,
    SeatOrder, Store, TeamRoster,
};

use uuid::Uuid;

use crate::fixture::*;

pub(super) async fn read(store: &Store, seed: u64) {
    let id = connection_id(seed);
    roster_and_activity(store, &id).await;
    seats(store, &id).await;
    for stream in [Stream::Notes, Stream::Entities] {
        store.resource_count(&id, stream).await.unwrap();
        store.resources_since(&id, stream, now(), "objective").await.unwrap();
        let page = store.resources(&id, stream, None, 100).await.unwrap();
        store.resources(&id, stream, page.last().map(|it| it.id), 100).await.unwrap();
    }
    store.listings(&id, Stream::Notes).await.unwrap();
    store.quarantine(&id).await.unwrap();
    store.unknown_days(&id).await.unwrap();
    store.maker_rows(&id, (day(0), day(28))).await.unwrap();
    store.known_member_ids(&id).await.unwrap();
    store.unknown_seats(&id, day(28)).await.unwrap();
    store.unknown_roles(&id).await.unwrap();
    store.facts_digest(&id).await.unwrap();
    let filter = AlertFilter { open_only: true, ..AlertFilter::default() };
    let page = store.alerts_of(&organization_id(seed), &filter, None, 100).await.unwrap();
    let place = page.last().map(|alert| alert.place());
    store.alerts_of(&organization_id(seed), &filter, place.as_ref(), 100).await.unwrap();
    store.open_alerts(&organization_id(seed), &filter).await.unwrap();
    store.feed_after(0, Some(&organization_id(seed)), 100).await.unwrap();
    store.feed_of(&id, None, 100).await.unwrap();
    store.runs_of(&id, None, 100).await.unwrap();
    over_all(store).await;
}

async fn roster_and_activity(store: &Store, id: &ConnectionId) {
    store.member_count(id).await.unwrap();
    store.member_ids(id).await.unwrap();
    store.memberships(id).await.unwrap();
    store.roster_start(id).await.unwrap();
    store.cut_counts(id, (day(0), day(60))).await.unwrap();
    store.is_rollup_due(id, day(90), now()).await.unwrap();
    store.histories(id).await.unwrap();
    let teams = store.team_ids(id).await.unwrap();
    store.members_of_teams(id, &teams.into_iter().take(3).collect()).await.unwrap();
    let days = (day(0), day(60));
    let page = store.fold_members(id, None, 1_000, days).await.unwrap();
    let ids: Vec<_> = page.iter().map(|member| member.member_id).collect();
    store.fold_members(id, ids.last().copied(), 1_000, days).await.unwrap();
    store.fold_these(id, &ids[..ids.len().min(200)], days).await.unwrap();
    store.active_days(id, &ids[..ids.len().min(200)], days).await.unwrap();
    store.member_facts(id, None, 1_000, day(0)).await.unwrap();
    store.uses_on(id, (day(0), day(0))).await.unwrap();
    let page = store.member_days(id, days, None, 1_000).await.unwrap();
    store.member_days(id, days, page.last().map(|it| (it.member_id, it.day)), 1_000).await.unwrap();
    store.covered_days(id).await.unwrap();
    store.member_day_count(id).await.unwrap();
    store.has_member_days_since(id, day(1)).await.unwrap();
}

async fn seats(store: &Store, id: &ConnectionId) {
    let team = store.team_ids(id).await.unwrap().pop_first();
    let text = "9".to_owned();
    let filters = [
        SeatFilter::default(),
        SeatFilter {
            states: vec![SeatState::Dormant],
            roles: vec!["maker".to_owned()],
            ..SeatFilter::default()
        },
        SeatFilter { team, ..SeatFilter::default() },
        SeatFilter { text, ..SeatFilter::default() },
        SeatFilter { paid_only: true, exempt_only: true, ..SeatFilter::default() },
        SeatFilter { recommended_only: true, tiers: vec![Tier::Certain], ..SeatFilter::default() },
    ];
    let orders = [SeatOrder::Member, SeatOrder::Name, SeatOrder::State, SeatOrder::Recommendation];
    for filter in filters {
        store.seat_count(id, &filter).await.unwrap();
        for order in orders {
            let list = SeatList { filter: filter.clone(), order, descending: false };
            let page = store.seat_page(id, &list, None, 100).await.unwrap();
            let place = page.last().map(|row| (100, row.seat.member_id));
            store.seat_page(id, &list, place, 100).await.unwrap();
        }
    }
    store.seat_counts(id).await.unwrap();
    store.reclaimable_seats(id).await.unwrap();
    store.recommendation_counts(id).await.unwrap();
    store.recommendations(id).await.unwrap();
}

async fn over_all(store: &Store) {
    store.unsent().await.unwrap();
    store.dead_outgoing().await.unwrap();
    store.stuck_outgoing(100).await.unwrap();
    store.open_runs().await.unwrap();
    store.ready_runs().await.unwrap();
    store.forgotten_runs(now()).await.unwrap();
    store.rollups_behind().await.unwrap();
    store.pending_webhooks(now()).await.unwrap();
    store.connections_by_state().await.unwrap();
    store.rollups_due(day(90), now(), 100).await.unwrap();
}

pub(super) async fn write(store: &Store, seed: u64) {
    let id = connection_id(seed);
    lists(store, &id).await;
    roster(store, &id).await;
    let claim = store.claim_rollup(&id, now(), now()).await.unwrap().unwrap();
    store.keep_rollup(&claim, now()).await.unwrap();
    store.settle_rollup(&claim, RollupSettlement::Failed(now())).await.unwrap();
    store.ask_for_rollup(&id).await.unwrap();
    // The numbers of ten days, of which most are to go.
    let tx = store.begin().await.unwrap();
    for cuts in [CutSet::Whole, CutSet::WithoutTeams, CutSet::Teams([Uuid::from_u128(1)].into())] {
        tx.put_numbers(&id, (day(0), day(9)), &cuts, &BTreeMap::new()).await.unwrap();
    }
    tx.teams_with_numbers(&id).await.unwrap();
    tx.members_of_teams(&id, &[Uuid::from_u128(1)].into()).await.unwrap();
    drop(tx);
    let tx = store.begin().await.unwrap();
    let days = store_days(&id, &tx).await;
    tx.remove_vanished(&id, &days, true).await.unwrap();
    let mut seats = Vec::new();
    drop(tx);
    for mut seat in store.seats(&id).await.unwrap() {
        seat.standing.role = Role::Viewer;
        seats.push(seat);
    }
    let before = store.seats(&id).await.unwrap();
    let tx = store.begin().await.unwrap();
    let writer = store.seat_writer(&id);
    for (before, seats) in before.chunks(4_096).zip(seats.chunks(4_096)) {
        let changed = before.iter().zip(seats);
        let changed =
            changed.map(|(before, seat)| (seat.member_id, SeatDigest::of(Some(before)), Some(seat)));
        tx.write_seats(&id, writer.statements(changed)).await.unwrap();
    }
    tx.commit().await.unwrap();
    messages(store).await;
}

async fn lists(store: &Store, id: &ConnectionId) {
    store.missing(id, Stream::Notes).await.unwrap();
    store.missing(id, Stream::Entities).await.unwrap();
    let page = store.missing_ids(id, Stream::Notes, None, 100).await.unwrap();
    store.missing_ids(id, Stream::Notes, page.last().map(|it| it.0), 100).await.unwrap();
    let known: Vec<Resource> = store.resources(id, Stream::Notes, None, 1_000).await.unwrap();
    let tx = store.begin().await.unwrap();
    tx.upsert_resources(id, Stream::Notes, &known, &run_id(1), now()).await.unwrap();
    tx.add_listed(id, Stream::Notes, known.iter().map(|it| (it.id, None))).await.unwrap();
    tx.bury_missing(id, Stream::Notes, now()).await.unwrap();
    // Nothing of this stream is listed: everything goes.
    tx.bury_missing(id, Stream::Entities, now()).await.unwrap();
    tx.end_listings(id, Stream::Notes).await.unwrap();
    tx.commit().await.unwrap();
}

async fn roster(store: &Store, id: &ConnectionId) {
    let listed = |member_id| RosterMember { member_id, name: None, email: None, standing: maker() };
    let ids = store.member_ids(id).await.unwrap();
    let tx = store.begin().await.unwrap();
    tx.apply_roster(id, &ids.iter().copied().map(listed).collect::<Vec<_>>(), day(50)).await.unwrap();
    let members: Vec<_> = ids.iter().copied().collect();
    let team = TeamRoster { team_id: member(7), name: "One".to_owned(), handle: "one".to_owned(), members };
    tx.replace_teams(id, &[team]).await.unwrap();
    tx.commit().await.unwrap();
}

/// What a fetch of two days brought: half of the members.
async fn store_days(
    id: &ConnectionId,
    tx: &tidemark_store::Tx,
) -> BTreeMap<chrono::NaiveDate, BTreeSet<uuid::Uuid>> {
    let rows: Vec<_> = (0..1_000).map(|number| member_day(number, 0, 3)).collect();
    tx.write_member_days(id, &rows, &run_id(1), now()).await.unwrap();
    let members: BTreeSet<_> = rows.iter().map(|row| row.member_id).collect();
    BTreeMap::from([(day(0), members.clone()), (day(1), members)])
}

async fn messages(store: &Store) {
    let claimed = store.claim_outgoing(now(), 200, Duration::from_secs(30)).await.unwrap();
    store.mark_sent(&claimed.iter().map(|it| it.id).collect::<Vec<_>>(), now()).await.unwrap();
    let later = now() + TimeDelta::days(1);
    for aging in Aging::all() {
        forget(store, aging.table, later, 100).await;
    }
    let tx = store.begin().await.unwrap();
    tx.number_feed(200).await.unwrap();
    tx.commit().await.unwrap();
    store.endpoints_with_due_deliveries(now()).await.unwrap();
    store.claim_probes(now(), 100, Duration::from_secs(60)).await.unwrap();
    store.claim_refreshes(now(), 100, Duration::from_secs(60)).await.unwrap();
}

pub(super) async fn purge(store: &Store, seed: u64) {
    while store.purge_facts(&connection_id(seed), 5_000).await.unwrap() > 0 {}
}
