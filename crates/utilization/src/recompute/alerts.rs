//! What alerts are judged by, read before the transaction that tells them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    Clock,
    alert::{Situation, Told, Turn},
    connection::State,
    contract::Contract,
    exemption::Exemption,
    id::ConnectionId,
    recommendation::Savings,
    rollup::{Cut, Ratio, Rollup, WindowUse},
};
use tidemark_store::{Error, NewRollup, Store};

use super::plan::Span;

const WINDOW: u32 = 28;

/// What stands before the rollup is written.
pub(super) struct Facts {
    contract: Contract,
    reconnect_required: bool,
    /// There was no rollup before.
    first_look: bool,
    /// The windows of the whole workspace that end on the day, and on those before up to one window earlier.
    windows: BTreeMap<NaiveDate, WindowUse>,
}

impl Facts {
    pub(super) async fn read(
        store: &Store,
        connection: &ConnectionId,
        span: &Span,
        first_look: bool,
    ) -> Result<Self, Error> {
        let state = store.connection(connection).await?.map(|connection| connection.state);
        let days = (window_before(span.last), span.last);
        Ok(Self {
            contract: store.contract(connection).await?,
            reconnect_required: state == Some(State::ReconnectRequired),
            first_look,
            windows: store.trend(connection, &Cut::All, WINDOW, days).await?.into_iter().collect(),
        })
    }

    pub(super) fn turn(
        &self,
        clock: &dyn Clock,
        new: &NewRollup,
        exemptions: &[Exemption],
        told: &BTreeSet<Told>,
    ) -> Turn {
        let (as_of, seats) = (new.head.as_of, &new.rollup.seats);
        let assigned = seats.iter().filter(|seat| seat.standing.is_paid_seat()).count();
        let holding = exemptions.iter().filter(|exemption| exemption.holds(as_of));
        let situation = Situation {
            as_of,
            today: clock.today(),
            utilization: self.utilization(&new.rollup, as_of),
            utilization_before: self.utilization(&new.rollup, window_before(as_of)),
            assigned: u32::try_from(assigned).unwrap_or(u32::MAX),
            seats,
            exempt: &holding.map(|exemption| exemption.member_id).collect(),
            contract: &self.contract,
            droppable: Savings::of(&new.recommendations, &self.contract).droppable_at_renewal,
            reconnect_required: self.reconnect_required,
        };
        situation.turn(told, self.first_look)
    }

    /// Seat utilization over the window that ends on that day, where it is covered whole: from what was just computed, or
    /// else as it stands.
    fn utilization(&self, computed: &Rollup, day: NaiveDate) -> Option<Ratio> {
        let window = computed.windows.get(&(Cut::All, day, WINDOW)).or_else(|| self.windows.get(&day));
        let whole = window.filter(|window| window.covered_days == WINDOW);
        whole.map(|window| Ratio::of(window.active_seats, window.assigned))
    }
}

fn window_before(day: NaiveDate) -> NaiveDate {
    day - Days::new(WINDOW.into())
}
