//! The newest rollup of a connection as an answer.

use std::collections::BTreeMap;

use tidemark_domain::{
    contract::Contract,
    recommendation::Savings,
    rollup::{Ratio, SHOWN_WINDOWS, SeatState, Stickiness, WindowUse},
};
use tidemark_rpc::utilization as wire;
use tidemark_store::SeatCount;

use crate::{
    basis::Ground,
    service::{Desk, Fault},
    wire::{money, savings, share, window_use},
};

/// Reads of one answer before it is given as it is.
const READS: u32 = 3;

/// What a summary is made of.
struct Parts {
    ground: Ground,
    windows: Vec<(u32, WindowUse)>,
    seats: Vec<SeatCount>,
    recommendations: [u32; 3],
    unknown_roles: Vec<(String, u32)>,
    unknown_seats: [BTreeMap<SeatState, u32>; 3],
    contract: Contract,
}

/// The newest numbers.
pub(crate) async fn answer(desk: &Desk) -> Result<wire::Summary, Fault> {
    let (store, connection) = (&desk.store, &desk.connection);
    let mut ground = desk.ground().await?;
    let mut reads = 1;
    loop {
        let windows = store.windows_on(connection, ground.head.as_of).await?;
        let seats = store.seat_counts(connection).await?;
        let recommendations = store.recommendation_counts(connection).await?;
        let unknown_roles = store.unknown_roles(connection).await?;
        let unknown_seats = store.unknown_seats(connection, ground.head.as_of).await?;
        let contract = store.contract(connection).await?;
        // These are not one snapshot: a rollup that was written meanwhile shows in its head.
        let newer = desk.ground().await?;
        if newer.head == ground.head || reads >= READS {
            let ground = newer;
            let parts =
                Parts { ground, windows, seats, recommendations, unknown_roles, unknown_seats, contract };
            return Ok(summary(&parts));
        }
        ground = newer;
        reads += 1;
    }
}

fn summary(parts: &Parts) -> wire::Summary {
    let Parts { ground, windows, seats, contract, .. } = parts;
    let head = &ground.head;
    let month = windows.iter().find(|(days, _)| *days == 28).map(|(_, window)| window);
    let assigned = month.map_or(0, |window| window.assigned);
    let cost = contract.price.zip(month).filter(|(_, window)| window.active_seats > 0);
    let cost = cost.map(|(price, window)| price.times(assigned.into(), 1) / u64::from(window.active_seats));
    wire::Summary {
        connection_id: ground.connection.to_string(),
        as_of: head.as_of.to_string(),
        history_start: head.history_start.to_string(),
        definition_version: head.definition_version,
        run_id: head.run_id.to_string(),
        members: u32::try_from(head.members).unwrap_or(u32::MAX),
        windows: windows.iter().map(|(days, window)| window_of(parts, *days, window)).collect(),
        seat_states: states(seats, |count| count.seats),
        basis: Some(ground.wire()),
        allocation: Some(share(Ratio::of_known(assigned, contract.purchased))),
        stickiness: month.map(|window| share(Stickiness::of(window).ratio())),
        cost_per_active_seat: money(cost, contract.price),
        idle: SHOWN_WINDOWS.into_iter().enumerate().map(|(at, days)| idle(days, at, parts)).collect(),
        savings: Some(savings(&Savings::of_counts(parts.recommendations, contract), contract.price)),
        price_per_seat_month: money(contract.price.map(|price| price.minor), contract.price),
        unknown_roles: parts.unknown_roles.iter().map(role).collect(),
    }
}

fn role((role, members): &(String, u32)) -> wire::RoleCount {
    wire::RoleCount { role: role.clone(), members: *members }
}

fn window_of(parts: &Parts, days: u32, window: &WindowUse) -> wire::WindowUse {
    let at = SHOWN_WINDOWS.iter().position(|shown| *shown == days);
    let unknown: u32 = at.map_or(0, |at| parts.unknown_seats[at].values().sum());
    let told = window_use(days, window, parts.contract.purchased);
    wire::WindowUse { idle_seats: told.idle_seats.saturating_sub(unknown), unknown_seats: unknown, ..told }
}

fn idle(days: u32, at: usize, parts: &Parts) -> wire::IdleSeats {
    let contract = &parts.contract;
    let unknown = |state| parts.unknown_seats[at].get(&state).copied().unwrap_or(0);
    let states = states(&parts.seats, |count| count.idle[at].saturating_sub(unknown(count.state)));
    let count = states.iter().map(|state| u64::from(state.seats)).sum();
    let cost = contract.price.map(|price| price.times(count, 1));
    wire::IdleSeats { days, states, cost_per_month: money(cost, contract.price) }
}

/// Paid seats per state; states that nobody is in are left out.
fn states(seats: &[SeatCount], number: impl Fn(&SeatCount) -> u32) -> Vec<wire::SeatStateCount> {
    let counts = seats.iter().map(|count| (count.state, number(count))).filter(|(_, seats)| *seats > 0);
    counts.map(|(state, seats)| wire::SeatStateCount { state: state.as_str().to_owned(), seats }).collect()
}
