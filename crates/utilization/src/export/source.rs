//! Where the rows of each table come from, a page at a time.

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    activity::{Area, COUNTER_TABLE, MemberDay},
    contract::Contract,
    rollup::{Cut, Key, WindowUse},
};
use tidemark_rpc::{
    instant,
    utilization::{self as wire, ExportTable},
};
use tidemark_store::{SeatList, SeatRow};
use uuid::Uuid;

use super::table::{Cell, Column, Kind, Row};
use crate::{
    basis::Ground,
    seats,
    service::{Desk, Fault},
    wire::{Covered, recommendation, seat as seat_message, window_use},
};

const PAGE: u64 = 5_000;
const SEATS: u64 = 2_000;
/// Days of numbers read at once.
const BLOCK: u64 = 7;

/// The rows that are still to come.
pub(super) struct Source {
    ground: Ground,
    contract: Contract,
    covered: Covered,
    rest: Rest,
}

enum Rest {
    Summary { from: NaiveDate, to: NaiveDate },
    MemberDays { days: (NaiveDate, NaiveDate), after: Option<(Uuid, NaiveDate)>, done: bool },
    Seats { list: SeatList, after: Option<(u64, Uuid)>, done: bool },
}

impl Source {
    pub(super) async fn open(
        desk: &Desk,
        ground: &Ground,
        table: ExportTable,
        (from, to): (NaiveDate, NaiveDate),
    ) -> Result<Self, Fault> {
        let rest = match table {
            ExportTable::Unspecified | ExportTable::Summary => Rest::Summary { from, to },
            ExportTable::MemberDays => Rest::MemberDays { days: (from, to), after: None, done: false },
            ExportTable::Seats => Rest::Seats { list: SeatList::default(), after: None, done: false },
            ExportTable::Recommendations => {
                Rest::Seats { list: seats::recommended(&[]), after: None, done: false }
            }
        };
        Ok(Self {
            ground: ground.clone(),
            contract: desk.store.contract(&desk.connection).await?,
            covered: seats::covered(desk, ground).await?,
            rest,
        })
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        match &self.rest {
            Rest::Summary { .. } => summary_columns(),
            Rest::MemberDays { .. } => member_day_columns(),
            Rest::Seats { list, .. } if list.filter.recommended_only => recommendation_columns(),
            Rest::Seats { .. } => seat_columns(),
        }
    }

    /// The next rows; none where all have been given.
    pub(super) async fn next(&mut self, desk: &Desk) -> Result<Option<Vec<Row>>, Fault> {
        let (store, connection) = (&desk.store, &desk.connection);
        match &mut self.rest {
            Rest::Summary { from, to } if *from <= *to => {
                let last = (*from + Days::new(BLOCK - 1)).min(*to);
                let numbers = store.numbers_between(connection, *from, last, None).await?;
                *from = last + Days::new(1);
                let row = |row: (&Key, &WindowUse)| summary_row(row, &self.contract, &self.ground);
                Ok(Some(numbers.iter().map(row).collect()))
            }
            Rest::MemberDays { days, after, done: done @ false } => {
                let page = store.member_days(connection, *days, *after, PAGE).await?;
                *after = page.last().map(|row| (row.member_id, row.day));
                *done = (page.len() as u64) < PAGE;
                Ok(Some(page.iter().map(member_day_row).collect()))
            }
            Rest::Seats { list, after, done: done @ false } => {
                let page = store.seat_page(connection, list, *after, SEATS).await?;
                let place = after.map_or(0, |(place, _)| place) + page.len() as u64;
                *after = page.last().map(|row| (place, row.seat.member_id));
                *done = (page.len() as u64) < SEATS;
                let (ground, covered, price) = (&self.ground, self.covered, self.contract.price);
                let cells = |row: &SeatRow| {
                    if list.filter.recommended_only {
                        let advice = recommendation(row, ground, covered, price)?;
                        Some(recommendation_row(&advice, ground))
                    } else {
                        Some(seat_row(&seat_message(row, ground, covered, &[]), ground))
                    }
                };
                Ok(Some(page.iter().filter_map(cells).collect()))
            }
            _ => Ok(None),
        }
    }
}

fn columns(of: &[(&str, Kind)]) -> Vec<Column> {
    of.iter().map(|(name, kind)| Column { name: (*name).to_owned(), kind: *kind }).collect()
}

/// The part, and what it comes to; what it is a part of has a column of its own.
fn share(share: Option<&wire::Share>) -> (Cell, Cell) {
    (Cell::Count(share.map(|share| share.numerator)), Cell::Share(share.and_then(|share| share.value)))
}

fn summary_columns() -> Vec<Column> {
    let mut all = columns(&[
        ("day", Kind::Day),
        ("window_days", Kind::Count),
        ("cut_kind", Kind::Text),
        ("cut_key", Kind::Text),
        ("covered_days", Kind::Count),
        ("assigned_seats", Kind::Count),
        ("active_seats", Kind::Count),
        ("idle_seats", Kind::Count),
        ("seat_utilization", Kind::Share),
        ("purchased_seats", Kind::Count),
        ("purchased_utilization", Kind::Share),
        ("active_members", Kind::Count),
        ("member_days", Kind::Count),
        ("daily_actives", Kind::Count),
    ]);
    for area in Area::ALL {
        for number in ["members", "creators", "openers", "actions"] {
            all.push(Column { name: format!("{}_{number}", area.as_str()), kind: Kind::Count });
        }
    }
    all.extend(ground_columns());
    all
}

/// What every row of numbers ends with.
fn ground_columns() -> Vec<Column> {
    columns(&[("as_of", Kind::Day), ("stale", Kind::Flag), ("definition_version", Kind::Count)])
}

fn ground_cells(ground: &Ground) -> [Cell; 3] {
    let head = &ground.head;
    [Cell::Day(Some(head.as_of)), Cell::Flag(ground.is_stale()), Cell::count(head.definition_version)]
}

fn summary_row(((cut, day, days), numbers): (&Key, &WindowUse), contract: &Contract, ground: &Ground) -> Row {
    let purchased = contract.purchased.filter(|_| *cut == Cut::All);
    let shown = window_use(*days, numbers, purchased);
    let mut cells = vec![
        Cell::Day(Some(*day)),
        Cell::count(*days),
        Cell::text(cut.kind()),
        Cell::text(cut.key()),
        Cell::count(shown.covered_days),
        Cell::count(shown.assigned_seats),
        Cell::count(shown.active_seats),
        Cell::count(shown.idle_seats),
        share(shown.seat_utilization.as_ref()).1,
        Cell::Count(purchased.map(u64::from)),
        share(shown.purchased_utilization.as_ref()).1,
        Cell::count(shown.active_members),
        Cell::count(shown.member_days),
        Cell::count(shown.daily_actives),
    ];
    for area in &shown.areas {
        cells.extend([area.members, area.creators, area.openers].map(Cell::count));
        cells.push(Cell::count(area.actions));
    }
    cells.extend(ground_cells(ground));
    cells
}

fn member_day_columns() -> Vec<Column> {
    let mut all = columns(&[
        ("member_id", Kind::Text),
        ("day", Kind::Day),
        ("role", Kind::Text),
        ("active", Kind::Flag),
        ("active_flag", Kind::Flag),
    ]);
    all.extend(
        COUNTER_TABLE.iter().map(|counter| Column { name: counter.column.to_owned(), kind: Kind::Count }),
    );
    all
}

fn member_day_row(row: &MemberDay) -> Row {
    let mut cells = vec![
        Cell::text(row.member_id.to_string()),
        Cell::Day(Some(row.day)),
        Cell::text(row.role.as_str()),
        Cell::Flag(row.is_active()),
        Cell::Flag(row.active_flag),
    ];
    cells.extend(row.counters.0.iter().map(|counter| Cell::Count(counter.map(u64::from))));
    cells
}

fn seat_columns() -> Vec<Column> {
    let mut all = columns(&[
        ("member_id", Kind::Text),
        ("name", Kind::Text),
        ("email", Kind::Text),
        ("role", Kind::Text),
        ("paid", Kind::Flag),
        ("state", Kind::Text),
        ("first_seen_day", Kind::Day),
        ("last_active_day", Kind::Day),
        ("pending_since", Kind::Day),
    ]);
    for days in [7, 28, 90] {
        for (name, kind) in [
            ("active_days", Kind::Count),
            ("breadth", Kind::Count),
            ("actions", Kind::Count),
            ("depth", Kind::Share),
            ("views", Kind::Count),
            ("view_only_share", Kind::Share),
            ("maker_actions", Kind::Count),
        ] {
            all.push(Column { name: format!("{name}_{days}"), kind });
        }
    }
    all.extend(columns(&[
        ("areas_used", Kind::Text),
        ("recommended_tier", Kind::Text),
        ("recommended_action", Kind::Text),
        ("accepted_by", Kind::Text),
        ("accepted_at", Kind::Moment),
        ("exempt_reason", Kind::Text),
        ("exempt_until", Kind::Day),
        ("covered_days_7", Kind::Count),
        ("covered_days_28", Kind::Count),
        ("covered_days_90", Kind::Count),
    ]));
    all.extend(ground_columns());
    all
}

fn seat_row(seat: &wire::Seat, ground: &Ground) -> Row {
    let mut cells = vec![
        Cell::text(&seat.member_id),
        Cell::text(&seat.name),
        Cell::text(&seat.email),
        Cell::text(&seat.role),
        Cell::Flag(seat.paid),
        Cell::text(&seat.state),
        Cell::day(&seat.first_seen_day),
        Cell::day(&seat.last_active_day),
        Cell::day(&seat.pending_since),
    ];
    for used in &seat.uses {
        let (actions, depth) = share(used.depth.as_ref());
        let (views, view_only_share) = share(used.view_only_share.as_ref());
        cells.extend([
            Cell::count(used.active_days),
            Cell::Count(used.breadth.map(u64::from)),
            actions,
            depth,
            views,
            view_only_share,
            Cell::Count(used.maker_actions),
        ]);
    }
    let (exemption, acceptance) = (seat.exemption.as_ref(), seat.acceptance.as_ref());
    cells.extend([
        Cell::text(seat.areas_used.join(" ")),
        Cell::text(&seat.tier),
        Cell::text(&seat.action),
        Cell::Text(acceptance.map(|acceptance| acceptance.by.clone())),
        Cell::moment(acceptance.and_then(|acceptance| instant(acceptance.at.as_ref()?))),
        Cell::Text(exemption.map(|exemption| exemption.reason.clone())),
        exemption.map_or(Cell::Day(None), |exemption| Cell::day(&exemption.until)),
    ]);
    cells.extend(seat.uses.iter().map(|used| Cell::count(used.covered_days)));
    cells.extend(ground_cells(ground));
    cells
}

fn recommendation_columns() -> Vec<Column> {
    let mut all = columns(&[
        ("tier", Kind::Text),
        ("action", Kind::Text),
        ("sentence", Kind::Text),
        ("cost_per_month_minor", Kind::Count),
        ("currency", Kind::Text),
    ]);
    all.extend(seat_columns());
    all
}

fn recommendation_row(advice: &wire::Recommendation, ground: &Ground) -> Row {
    let cost = advice.cost_per_month.as_ref();
    let mut cells = vec![
        Cell::text(&advice.tier),
        Cell::text(&advice.action),
        Cell::text(&advice.sentence),
        Cell::Count(cost.map(|cost| cost.minor)),
        Cell::Text(cost.map(|cost| cost.currency.clone())),
    ];
    cells.extend(advice.seat.iter().flat_map(|seat| seat_row(seat, ground)));
    cells
}
