//! What alerts are judged by, read before the transaction that tells them.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    Clock,
    alert::{Situation, Told, Turn},
    connection::State,
    contract::Contract,
    id::ConnectionId,
    recommendation::Savings,
    rollup::{Cut, Ratio, Rollup, Seat},
};
use tidemark_store::{Error, Store};
use uuid::Uuid;

use super::Computed;

const WINDOW: u32 = 28;

/// The situation of a connection, with what it borrows from.
pub(super) struct Facts<'a> {
    as_of: NaiveDate,
    today: NaiveDate,
    utilization: Option<Ratio>,
    utilization_before: Option<Ratio>,
    seats: &'a [Seat],
    exempt: BTreeSet<Uuid>,
    contract: Contract,
    droppable: Option<u32>,
    reconnect_required: bool,
    first_look: bool,
}

impl<'a> Facts<'a> {
    pub(super) async fn read(
        store: &Store,
        connection: &ConnectionId,
        clock: &dyn Clock,
        computed: &'a Computed,
    ) -> Result<Self, Error> {
        let new = &computed.new;
        let as_of = new.head.as_of;
        let contract = store.contract(connection).await?;
        let state = store.connection(connection).await?.map(|connection| connection.state);
        let holding = computed.exemptions.iter().filter(|exemption| exemption.holds(as_of));
        Ok(Self {
            as_of,
            today: clock.today(),
            utilization: utilization(store, connection, &new.rollup, as_of).await?,
            utilization_before: utilization(store, connection, &new.rollup, as_of - Days::new(WINDOW.into()))
                .await?,
            seats: &new.rollup.seats,
            exempt: holding.map(|exemption| exemption.member_id).collect(),
            droppable: Savings::of(&new.recommendations, &contract).droppable_at_renewal,
            contract,
            reconnect_required: state == Some(State::ReconnectRequired),
            first_look: computed.first_look,
        })
    }

    pub(super) fn turn(&self, told: &BTreeSet<Told>) -> Turn {
        let assigned = self.seats.iter().filter(|seat| seat.standing.is_paid_seat()).count();
        let situation = Situation {
            as_of: self.as_of,
            today: self.today,
            utilization: self.utilization,
            utilization_before: self.utilization_before,
            assigned: u32::try_from(assigned).unwrap_or(u32::MAX),
            seats: self.seats,
            exempt: &self.exempt,
            contract: &self.contract,
            droppable: self.droppable,
            reconnect_required: self.reconnect_required,
        };
        situation.turn(told, self.first_look)
    }
}

/// Seat utilization over the window that ends on that day, where it is covered whole: from what was just computed, or
/// else as it stands.
async fn utilization(
    store: &Store,
    connection: &ConnectionId,
    computed: &Rollup,
    day: NaiveDate,
) -> Result<Option<Ratio>, Error> {
    let window = match computed.windows.get(&(Cut::All, day, WINDOW)) {
        Some(window) => Some(window.clone()),
        None => store.trend(connection, &Cut::All, WINDOW, (day, day)).await?.pop().map(|(_, window)| window),
    };
    let whole = window.filter(|window| window.covered_days == WINDOW);
    Ok(whole.map(|window| Ratio::of(window.active_seats, window.assigned)))
}
