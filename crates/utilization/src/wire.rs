//! Domain to wire: numbers with what they are a part of, and nothing rounded.

use tidemark_domain::{
    activity::Area,
    contract::{Contract, Price},
    exemption::Exemption,
    recommendation::{Acceptance, Savings, Tier},
    rollup::{AreaUse, Cut, Ratio, SHOWN_WINDOWS, SeatUse, WindowUse},
};
use tidemark_rpc::{timestamp, utilization as wire};
use tidemark_store::SeatRow;

use crate::basis::Ground;

pub(crate) fn share(ratio: Ratio) -> wire::Share {
    wire::Share { numerator: ratio.numerator, denominator: ratio.denominator, value: ratio.value() }
}

pub(crate) fn money(minor: Option<u64>, price: Option<Price>) -> Option<wire::Money> {
    let (minor, price) = minor.zip(price)?;
    Some(wire::Money { minor, currency: price.currency.to_string() })
}

/// Adoption and utilization come with the counts. Purchased seats are of everybody: cuts have none of their own.
pub(crate) fn window_use(days: u32, window: &WindowUse, purchased: Option<u32>) -> wire::WindowUse {
    wire::WindowUse {
        days,
        covered_days: window.covered_days,
        assigned_seats: window.assigned,
        active_seats: window.active_seats,
        idle_seats: window.idle_seats(),
        active_members: window.active_members,
        member_days: window.member_days,
        areas: Area::ALL.into_iter().zip(window.areas).map(|it| area_use(it, window.active_seats)).collect(),
        seat_utilization: Some(share(Ratio::of(window.active_seats, window.assigned))),
        purchased_utilization: Some(share(Ratio::of_known(window.active_seats, purchased))),
        daily_actives: window.daily_actives,
        unknown_seats: 0,
    }
}

fn area_use((area, numbers): (Area, AreaUse), active_seats: u32) -> wire::AreaUse {
    let AreaUse { members, creators, openers, actions } = numbers;
    let adoption = Some(share(Ratio::of(members, active_seats)));
    wire::AreaUse { area: area.as_str().to_owned(), members, creators, openers, actions, adoption }
}

pub(crate) fn savings(savings: &Savings, price: Option<Price>) -> wire::Savings {
    wire::Savings {
        certain: savings.certain,
        probable: savings.probable,
        review: savings.review,
        reassignable_now: savings.reassignable_now,
        reassignable_per_month: money(savings.reassignable_per_month, price),
        droppable_at_renewal: savings.droppable_at_renewal,
        saving_at_renewal: money(savings.saving_at_renewal, price),
    }
}

pub(crate) fn contract(contract: &Contract) -> wire::Contract {
    wire::Contract {
        purchased_seats: contract.purchased,
        price_per_seat_month: money(contract.price.map(|price| price.minor), contract.price),
        minimum_seats: contract.minimum,
        renewal_date: contract.renewal.map(|day| day.to_string()).unwrap_or_default(),
        target_percent: contract.target_percent,
    }
}

pub(crate) fn exemption(exemption: &Exemption, ground: Option<&Ground>) -> wire::Exemption {
    wire::Exemption {
        member_id: exemption.member_id.to_string(),
        reason: exemption.reason.clone(),
        until: exemption.until.to_string(),
        set_at: Some(timestamp(exemption.set_at)),
        ended_at: exemption.ended_at.map(timestamp),
        holds: ground.is_none_or(|ground| exemption.holds(ground.head.as_of)) && exemption.ended_at.is_none(),
    }
}

/// With its evidence, as it is shown and as it is exported; none where nothing is recommended for the seat.
pub(crate) fn recommendation(
    row: &SeatRow,
    ground: &Ground,
    covered: Covered,
    price: Option<Price>,
) -> Option<wire::Recommendation> {
    let (tier, action) = row.recommendation?;
    // A seat to look at is not one to save.
    let cost = price.filter(|_| tier != Tier::Review).map(|price| price.minor);
    Some(wire::Recommendation {
        tier: tier.as_str().to_owned(),
        action: action.as_str().to_owned(),
        sentence: action.sentence().to_owned(),
        seat: Some(seat(row, ground, covered, &[])),
        cost_per_month: money(cost, price),
    })
}

pub(crate) fn acceptance(acceptance: &Acceptance) -> wire::Acceptance {
    wire::Acceptance { by: acceptance.by.clone(), at: Some(timestamp(acceptance.at)) }
}

pub(crate) fn cut(cut: &Cut, name: Option<String>) -> wire::Cut {
    wire::Cut { kind: cut.kind().to_owned(), key: cut.key(), name: name.unwrap_or_else(|| cut.key()) }
}

/// Covered days per window that seats are told for, shortest first.
pub(crate) type Covered = [u32; 3];

/// `weeks` are active days per week, where they were asked for.
pub(crate) fn seat(row: &SeatRow, ground: &Ground, covered: Covered, weeks: &[u32]) -> wire::Seat {
    let (seat, tells) = (&row.seat, ground.tells_features());
    let day = |day: Option<chrono::NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
    let holding = row.exemption.as_ref().filter(|exemption| exemption.holds(ground.head.as_of));
    let areas = seat.areas_used.iter().filter(|_| tells).map(|area| area.as_str().to_owned());
    let uses = SHOWN_WINDOWS.into_iter().zip(covered).zip(&seat.uses);
    wire::Seat {
        member_id: seat.member_id.to_string(),
        name: row.name.clone().unwrap_or_default(),
        email: row.email.clone().unwrap_or_default(),
        role: seat.standing.role.to_string(),
        paid: seat.standing.is_paid_seat(),
        state: seat.state.as_str().to_owned(),
        first_seen_day: seat.first_seen_day.to_string(),
        last_active_day: day(seat.last_active_day),
        pending_since: day(seat.pending_since),
        uses: uses.map(|(window, used)| seat_use(window, used, tells)).collect(),
        areas_used: areas.collect(),
        tier: row.recommendation.map(|(tier, _)| tier.as_str().to_owned()).unwrap_or_default(),
        action: row.recommendation.map(|(_, action)| action.as_str().to_owned()).unwrap_or_default(),
        exemption: holding.map(|holding| exemption(holding, Some(ground))),
        covered_days_90: covered[2],
        acceptance: row.acceptance.as_ref().map(acceptance),
        active_days_by_week: weeks.to_vec(),
    }
}

fn seat_use((days, covered_days): (u32, u32), used: &SeatUse, tells: bool) -> wire::SeatUse {
    wire::SeatUse {
        days,
        active_days: used.active_days,
        breadth: tells.then_some(used.areas),
        depth: tells.then(|| share(Ratio::of(used.actions, used.active_days))),
        view_only_share: tells.then(|| share(Ratio::of(used.views, used.actions))),
        maker_actions: tells.then_some(used.maker_actions),
        covered_days,
    }
}
