//! The newest rollup of a connection as an answer.

use tidemark_domain::{
    contract::Contract,
    recommendation::{Recommendation, Savings},
    rollup::{Ratio, SHOWN_WINDOWS, Seat, SeatState, Stickiness, WindowUse},
};
use tidemark_rpc::utilization as wire;

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
    seats: Vec<Seat>,
    recommendations: Vec<Recommendation>,
    contract: Contract,
}

/// The newest numbers.
pub(crate) async fn answer(desk: &Desk) -> Result<wire::Summary, Fault> {
    let (store, connection) = (&desk.store, &desk.connection);
    let mut ground = desk.ground().await?;
    let mut reads = 1;
    loop {
        let windows = store.windows_on(connection, ground.head.as_of).await?;
        let seats = store.seats(connection).await?;
        let recommendations = store.recommendations(connection).await?;
        let contract = store.contract(connection).await?;
        // These are not one snapshot: a rollup that was written meanwhile shows in its head.
        let newer = desk.ground().await?;
        if newer.head == ground.head || reads >= READS {
            return Ok(summary(&Parts { ground: newer, windows, seats, recommendations, contract }));
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
        windows: windows.iter().map(|(days, window)| window_use(*days, window, contract.purchased)).collect(),
        seat_states: states(seats.iter()),
        basis: Some(ground.wire()),
        allocation: Some(share(Ratio::of_known(assigned, contract.purchased))),
        stickiness: month.map(|window| share(Stickiness::of(window).ratio())),
        cost_per_active_seat: money(cost, contract.price),
        idle: SHOWN_WINDOWS
            .into_iter()
            .enumerate()
            .map(|(at, days)| idle(days, at, seats, contract))
            .collect(),
        savings: Some(savings(&Savings::of(&parts.recommendations, contract), contract.price)),
    }
}

fn idle(days: u32, at: usize, seats: &[Seat], contract: &Contract) -> wire::IdleSeats {
    let idle = seats.iter().filter(|seat| seat.uses[at].active_days == 0);
    let states = states(idle);
    let count = states.iter().map(|state| u64::from(state.seats)).sum();
    let cost = contract.price.map(|price| price.times(count, 1));
    wire::IdleSeats { days, states, cost_per_month: money(cost, contract.price) }
}

/// Paid seats per state, in order of precedence; states that nobody is in are left out.
fn states<'a>(seats: impl Iterator<Item = &'a Seat>) -> Vec<wire::SeatStateCount> {
    let mut counts = SeatState::ALL.map(|_| 0_u32);
    for seat in seats.filter(|seat| seat.standing.is_paid_seat()) {
        counts
            [SeatState::ALL.iter().position(|state| *state == seat.state).expect("all states are listed")] +=
            1;
    }
    let named = SeatState::ALL.into_iter().zip(counts).filter(|(_, seats)| *seats > 0);
    named.map(|(state, seats)| wire::SeatStateCount { state: state.as_str().to_owned(), seats }).collect()
}
