//! From evidence to the page: what is said in words, and what the template loops over.

use anyhow::{Context, Result};
use askama::Template;
use tidemark_domain::{contract::Currency, recommendation::Action};
use tidemark_rpc::utilization::{Basis, Money, QualityFlag, Savings, Seat, Share, Summary, WindowUse};

use super::{
    chart::{Month, Piece, Series, Trend, level, months, percent_of, stack},
    evidence::{Evidence, ROWS},
};

/// An area's bar. Widths are in percent.
struct AreaBar {
    name: String,
    members: u32,
    creators: u32,
    openers: u32,
    actions: u64,
    percent: String,
    width: f64,
    creators_width: f64,
}

struct IdleBar {
    days: u32,
    known: String,
    idle: u32,
    pieces: Vec<Piece>,
    cost: String,
}

struct HeatRow {
    name: String,
    state: String,
    last_active: String,
    cells: Vec<HeatCell>,
}

struct HeatCell {
    level: u8,
    days: u32,
}

struct Todo {
    seats: u32,
    sentence: &'static str,
    tier: &'static str,
}

/// Seats that the same is recommended for.
struct Group {
    sentence: String,
    tier: String,
    lines: Vec<Line>,
}

struct Line {
    who: String,
    role: String,
    last_active: String,
    active_days_28: u32,
    active_days_90: u32,
    areas: String,
    covered: u32,
}

struct TrendRow {
    day: String,
    assigned: u32,
    active: Vec<u32>,
}

/// Something wrong with the facts.
struct Doubt {
    name: String,
    sentence: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    workspace: &'a str,
    summary: &'a Summary,
    basis: &'a Basis,
    flags: Vec<Doubt>,
    paid: u32,
    used: u32,
    used_percent: String,
    used_width: f64,
    not_used: Vec<Piece>,
    coverage: String,
    full: bool,
    /// Empty where all of the 28 days are known.
    known: String,
    todos: Vec<Todo>,
    trend: Trend,
    trend_rows: Vec<TrendRow>,
    areas: Vec<AreaBar>,
    idle: Vec<IdleBar>,
    heat: Vec<HeatRow>,
    heat_left_out: u32,
    months: Vec<Month>,
    weeks: usize,
    /// Weeks of which not all days are known.
    weeks_in_part: usize,
    savings: &'a Savings,
    now: String,
    now_width: f64,
    renewal: String,
    renewal_width: f64,
    groups: Vec<Group>,
    lines_left_out: usize,
    allocation: String,
    cost_per_active: String,
    stickiness: String,
}

/// The page.
pub(crate) fn render(evidence: &Evidence) -> Result<String> {
    let summary = &evidence.summary;
    let basis = summary.basis.as_ref().context("the summary says not what it stands on")?;
    let savings = summary.savings.as_ref().context("the summary has no savings")?;
    let month = window(summary, 28).context("the summary has no window of 28 days")?;
    let as_of = summary.as_of.parse().context("the summary tells no day")?;
    let most = savings.reassignable_now.max(savings.droppable_at_renewal.unwrap_or(0));
    let heat = heat(evidence);
    let weeks = heat.first().map_or(0, |row| row.cells.len());
    let page = Page {
        workspace: &evidence.workspace,
        summary,
        basis,
        flags: basis.quality.iter().map(doubt).collect(),
        paid: month.assigned_seats,
        used: month.active_seats,
        used_percent: percent(month.seat_utilization.as_ref()),
        used_width: percent_of(month.active_seats, month.assigned_seats),
        not_used: pieces(summary, 28, month.assigned_seats),
        coverage: format!("{} of {} days known", month.covered_days, month.days),
        full: month.covered_days == month.days,
        known: known(month),
        todos: todos(evidence),
        trend: trend(evidence),
        trend_rows: trend_rows(evidence),
        areas: areas(month),
        idle: idle(summary, month.assigned_seats),
        heat_left_out: evidence.seats_left_out,
        months: months(as_of, weeks),
        weeks,
        weeks_in_part: evidence.covered_by_week.iter().filter(|days| **days < 7).count(),
        heat,
        savings,
        now: money(savings.reassignable_per_month.as_ref()),
        now_width: percent_of(savings.reassignable_now, most),
        renewal: money(savings.saving_at_renewal.as_ref()),
        renewal_width: percent_of(savings.droppable_at_renewal.unwrap_or(0), most),
        groups: groups(evidence),
        lines_left_out: evidence.recommendations.len().saturating_sub(ROWS as usize),
        allocation: shown(summary.allocation.as_ref()),
        cost_per_active: money(summary.cost_per_active_seat.as_ref()),
        stickiness: percent(summary.stickiness.as_ref()),
    };
    page.render().context("the page could not be written")
}

/// How many days of a window are known; empty where all are.
fn known(window: &WindowUse) -> String {
    let whole = window.covered_days >= window.days;
    if whole { String::new() } else { format!("{} known", window.covered_days) }
}

fn doubt(found: &QualityFlag) -> Doubt {
    Doubt { name: found.flag.replace(['_', '.'], " "), sentence: found.detail.clone() }
}

fn window(summary: &Summary, days: u32) -> Option<&WindowUse> {
    summary.windows.iter().find(|window| window.days == days)
}

fn percent(share: Option<&Share>) -> String {
    share
        .and_then(|share| share.value)
        .map_or_else(|| "unknown".to_owned(), |value| format!("{:.0} %", value * 100.0))
}

fn shown(share: Option<&Share>) -> String {
    match share.and_then(|share| share.denominator.map(|whole| (share, whole))) {
        Some((share, whole)) => format!("{} of {whole} ({})", share.numerator, percent(Some(share))),
        None => String::new(),
    }
}

/// Empty where the price is not known.
pub(crate) fn money(money: Option<&Money>) -> String {
    let parsed = money.and_then(|money| Some((money.minor, money.currency.parse::<Currency>().ok()?)));
    parsed.map(|(minor, currency)| currency.show(minor)).unwrap_or_default()
}

/// What to do, surest first, with how many seats.
fn todos(evidence: &Evidence) -> Vec<Todo> {
    let each = Action::ALL.into_iter().map(|action| {
        let same = evidence.recommendations.iter().filter(|it| it.action == action.as_str());
        let tier = match action {
            Action::RemoveDisabled | Action::WithdrawInvitation => "certain",
            Action::Reassign => "probable",
            Action::ReviewContributor | Action::ReviewViewer => "review",
        };
        let seats = u32::try_from(same.count()).unwrap_or(u32::MAX);
        Todo { seats, sentence: action.sentence(), tier }
    });
    each.filter(|todo| todo.seats > 0).collect()
}

fn trend(evidence: &Evidence) -> Trend {
    let points = |days: u32, number: fn(&WindowUse) -> u32| {
        let trend = evidence.trends.get(&days).into_iter().flatten();
        trend.filter_map(|point| Some((point.day.parse().ok()?, number(point.window.as_ref()?)))).collect()
    };
    let used = |window: &WindowUse| window.active_seats;
    let series = [
        Series { class: "assigned", name: "paid", points: points(28, |window| window.assigned_seats) },
        Series { class: "w90", name: "in 90 days", points: points(90, used) },
        Series { class: "w28", name: "in 28 days", points: points(28, used) },
        Series { class: "w7", name: "in 7 days", points: points(7, used) },
    ];
    Trend::new(&series, 560.0, 190.0)
}

/// The same as a table: one row a week, ending on the as-of day.
fn trend_rows(evidence: &Evidence) -> Vec<TrendRow> {
    let days = evidence.trends.get(&28).map(Vec::as_slice).unwrap_or_default();
    let on = |days: u32, at: usize| {
        let point = evidence.trends.get(&days).and_then(|points| points.get(at));
        point.and_then(|point| point.window.as_ref()).map_or(0, |window| window.active_seats)
    };
    let rows = days.iter().enumerate().rev().step_by(7).map(|(at, point)| TrendRow {
        day: point.day.clone(),
        assigned: point.window.as_ref().map_or(0, |window| window.assigned_seats),
        active: [7, 28, 90].map(|days| on(days, at)).to_vec(),
    });
    rows.collect()
}

fn areas(month: &WindowUse) -> Vec<AreaBar> {
    let bar = |area: &tidemark_rpc::utilization::AreaUse| AreaBar {
        name: area.area.clone(),
        members: area.members,
        creators: area.creators,
        openers: area.openers,
        actions: area.actions,
        percent: percent(area.adoption.as_ref()),
        width: percent_of(area.members, month.active_seats),
        creators_width: percent_of(area.creators, month.active_seats),
    };
    month.areas.iter().map(bar).collect()
}

fn idle(summary: &Summary, paid: u32) -> Vec<IdleBar> {
    let bar = |idle: &tidemark_rpc::utilization::IdleSeats| IdleBar {
        days: idle.days,
        known: window(summary, idle.days).map(known).unwrap_or_default(),
        idle: idle.states.iter().map(|state| state.seats).sum(),
        pieces: pieces(summary, idle.days, paid),
        cost: money(idle.cost_per_month.as_ref()),
    };
    summary.idle.iter().map(bar).collect()
}

/// The idle seats of a window by state, as parts of all paid ones.
fn pieces(summary: &Summary, days: u32, paid: u32) -> Vec<Piece> {
    let idle = summary.idle.iter().find(|idle| idle.days == days);
    let states = idle.into_iter().flat_map(|idle| &idle.states);
    stack(&states.map(|state| (state.state.clone(), state.seats)).collect::<Vec<_>>(), paid)
}

fn who(seat: &Seat) -> String {
    let readable = |text: &str| !text.is_empty() && text != "[redacted]";
    let named = [&seat.name, &seat.email].into_iter().find(|text| readable(text)).cloned();
    named.unwrap_or_else(|| format!("member {}", seat.member_id.chars().take(8).collect::<String>()))
}

fn last_active(seat: &Seat) -> String {
    let never = seat.last_active_day.is_empty();
    if never { "never".to_owned() } else { seat.last_active_day.clone() }
}

fn heat(evidence: &Evidence) -> Vec<HeatRow> {
    let row = |seat: &Seat| HeatRow {
        name: who(seat),
        state: seat.state.replace('_', " "),
        last_active: last_active(seat),
        cells: seat
            .active_days_by_week
            .iter()
            .map(|days| HeatCell { level: level(*days), days: *days })
            .collect(),
    };
    evidence.seats.iter().map(row).collect()
}

/// The first recommendations, surest first, those of the same together.
fn groups(evidence: &Evidence) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for it in evidence.recommendations.iter().take(ROWS as usize) {
        let Some(seat) = &it.seat else { continue };
        match groups.last_mut() {
            Some(group) if group.sentence == it.sentence => group.lines.push(line(seat)),
            _ => groups.push(Group {
                sentence: it.sentence.clone(),
                tier: it.tier.clone(),
                lines: vec![line(seat)],
            }),
        }
    }
    groups
}

fn line(seat: &Seat) -> Line {
    let active =
        |days: u32| seat.uses.iter().find(|used| used.days == days).map_or(0, |used| used.active_days);
    Line {
        who: who(seat),
        role: seat.role.clone(),
        last_active: last_active(seat),
        active_days_28: active(28),
        active_days_90: active(90),
        areas: seat.areas_used.join(", "),
        covered: seat.covered_days_90,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tidemark_rpc::utilization::{IdleSeats, Recommendation, SeatUse};

    use super::*;

    /// The page of a workspace of whose last 28 days so many are known.
    fn page(covered_days: u32, covered_by_week: Vec<u32>) -> String {
        let window =
            WindowUse { days: 28, covered_days, assigned_seats: 2, active_seats: 1, ..Default::default() };
        let summary = Summary {
            as_of: "2026-05-01".to_owned(),
            windows: vec![window],
            idle: vec![IdleSeats { days: 28, ..Default::default() }],
            basis: Some(Basis::default()),
            savings: Some(Savings::default()),
            ..Default::default()
        };
        let seat = Seat {
            uses: vec![SeatUse { days: 28, active_days: 3, covered_days, ..Default::default() }],
            active_days_by_week: vec![1; covered_by_week.len()],
            ..Default::default()
        };
        let evidence = Evidence {
            workspace: "Acme".to_owned(),
            summary,
            trends: BTreeMap::new(),
            seats: vec![seat.clone()],
            covered_by_week,
            seats_left_out: 0,
            recommendations: vec![Recommendation { seat: Some(seat), ..Default::default() }],
        };
        render(&evidence).unwrap()
    }

    #[test]
    fn what_is_known_in_part_says_so() {
        let (partial, whole) = (page(20, vec![7, 5]), page(28, vec![7, 7]));
        for said in [
            "Active days of 28 (20 known)",
            "<span class=\"soft\">20 known</span>",
            "the last 2 weeks, 1 of them known only in part;",
        ] {
            assert!(partial.contains(said), "{said}");
        }
        assert!(!whole.contains("28 known") && !whole.contains("only in part"));
    }
}
