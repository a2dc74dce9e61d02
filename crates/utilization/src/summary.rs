//! The newest rollup of a connection as an answer.

use tidemark_domain::{
    activity::Area,
    id::ConnectionId,
    rollup::{AreaUse, Seat, SeatState, WindowUse},
};
use tidemark_rpc::utilization as wire;
use tidemark_store::{Result, RollupHead, Store};

/// Reads of one answer before it is given as it is.
const READS: u32 = 3;

/// The newest numbers, or `None` before the first rollup.
pub(crate) async fn read(store: &Store, connection: &ConnectionId) -> Result<Option<wire::Summary>> {
    let Some(mut head) = store.rollup_head(connection).await? else { return Ok(None) };
    let mut reads = 1;
    loop {
        let windows = store.windows_on(connection, head.as_of).await?;
        let seats = store.seats(connection).await?;
        // These are not one snapshot: a rollup that was written meanwhile shows in its head.
        match store.rollup_head(connection).await? {
            Some(newer) if newer != head && reads < READS => head = newer,
            _ => return Ok(Some(summary(connection, &head, &windows, &seats))),
        }
        reads += 1;
    }
}

fn summary(
    connection: &ConnectionId,
    head: &RollupHead,
    windows: &[(u32, WindowUse)],
    seats: &[Seat],
) -> wire::Summary {
    wire::Summary {
        connection_id: connection.to_string(),
        as_of: head.as_of.to_string(),
        history_start: head.history_start.to_string(),
        definition_version: head.definition_version,
        run_id: head.run_id.to_string(),
        members: u32::try_from(head.members).unwrap_or(u32::MAX),
        windows: windows.iter().map(|(days, window)| window_use(*days, window)).collect(),
        seat_states: seat_states(seats),
    }
}

fn window_use(days: u32, window: &WindowUse) -> wire::WindowUse {
    wire::WindowUse {
        days,
        covered_days: window.covered_days,
        assigned_seats: window.assigned,
        active_seats: window.active_seats,
        idle_seats: window.idle_seats(),
        active_members: window.active_members,
        member_days: window.member_days,
        areas: Area::ALL.into_iter().zip(window.areas).map(area_use).collect(),
    }
}

fn area_use((area, AreaUse { members, creators, openers, actions }): (Area, AreaUse)) -> wire::AreaUse {
    wire::AreaUse { area: area.as_str().to_owned(), members, creators, openers, actions }
}

/// Paid seats per state, in order of precedence; states that nobody is in are left out.
fn seat_states(seats: &[Seat]) -> Vec<wire::SeatStateCount> {
    let count = |state: SeatState| {
        let seats = seats.iter().filter(|seat| seat.state == state && seat.standing.is_paid_seat()).count();
        let seats = u32::try_from(seats).unwrap_or(u32::MAX);
        wire::SeatStateCount { state: state.as_str().to_owned(), seats }
    };
    SeatState::ALL.into_iter().map(count).filter(|of| of.seats > 0).collect()
}
