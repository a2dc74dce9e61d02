//! From evidence to the page: what is said in words, and what the template loops over.

use anyhow::{Context, Result};
use askama::Template;
use tidemark_domain::{contract::Currency, recommendation::Action};
use tidemark_rpc::utilization::{Basis, Money, Savings, Seat, Share, Summary, WindowUse};

use super::{
    chart::{Piece, Series, Trend, level, stack},
    evidence::{Evidence, ROWS},
};

const BAR: f64 = 270.0;
/// Letters of a name beside the heatmap.
const NAME: usize = 22;

/// An area's bar.
struct AreaBar {
    name: String,
    members: u32,
    creators: u32,
    openers: u32,
    actions: u64,
    percent: String,
    width: f64,
    creators_width: f64,
    y: f64,
}

struct IdleBar {
    days: u32,
    idle: u32,
    pieces: Vec<Piece>,
    cost: String,
    y: f64,
}

struct HeatRow {
    name: String,
    state: String,
    cells: Vec<HeatCell>,
    y: f64,
}

struct HeatCell {
    x: f64,
    level: u8,
    days: u32,
}

struct Todo {
    seats: u32,
    sentence: &'static str,
    tier: &'static str,
}

struct Line {
    who: String,
    role: String,
    tier: String,
    what: String,
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

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    workspace: &'a str,
    summary: &'a Summary,
    basis: &'a Basis,
    paid: u32,
    used: u32,
    used_percent: String,
    coverage: String,
    full: bool,
    todos: Vec<Todo>,
    trend: Trend,
    trend_rows: Vec<TrendRow>,
    areas: Vec<AreaBar>,
    idle: Vec<IdleBar>,
    heat: Vec<HeatRow>,
    heat_height: f64,
    heat_left_out: u32,
    heat_weeks: usize,
    savings: &'a Savings,
    now: String,
    now_width: f64,
    renewal: String,
    renewal_width: f64,
    lines: Vec<Line>,
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
    let (now, renewal) =
        (money(savings.reassignable_per_month.as_ref()), money(savings.saving_at_renewal.as_ref()));
    let most = savings.reassignable_now.max(savings.droppable_at_renewal.unwrap_or(0)).max(1);
    let wide = |seats: u32| f64::from(seats) / f64::from(most) * BAR;
    let heat = heat(evidence);
    let page = Page {
        workspace: &evidence.workspace,
        summary,
        basis,
        paid: month.assigned_seats,
        used: month.active_seats,
        used_percent: percent(month.seat_utilization.as_ref()),
        coverage: format!("{} of {} days known", month.covered_days, month.days),
        full: month.covered_days == month.days,
        todos: todos(evidence),
        trend: trend(evidence),
        trend_rows: trend_rows(evidence),
        areas: areas(month),
        idle: idle(summary),
        heat_height: heat.len() as f64 * 18.0 + 26.0,
        heat_left_out: evidence.seats_left_out,
        heat_weeks: heat.first().map_or(0, |row| row.cells.len()),
        heat,
        savings,
        now_width: wide(savings.reassignable_now),
        renewal_width: wide(savings.droppable_at_renewal.unwrap_or(0)),
        now,
        renewal,
        lines: evidence.recommendations.iter().take(ROWS as usize).filter_map(line).collect(),
        lines_left_out: evidence.recommendations.len().saturating_sub(ROWS as usize),
        allocation: shown(summary.allocation.as_ref()),
        cost_per_active: money(summary.cost_per_active_seat.as_ref()),
        stickiness: percent(summary.stickiness.as_ref()),
    };
    page.render().context("the page could not be written")
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
    Trend::new(&series, 560.0, 250.0)
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
    let wide = |members: u32| f64::from(members) / f64::from(month.active_seats.max(1)) * BAR;
    let bar = |(at, area): (usize, &tidemark_rpc::utilization::AreaUse)| AreaBar {
        name: area.area.clone(),
        members: area.members,
        creators: area.creators,
        openers: area.openers,
        actions: area.actions,
        percent: percent(area.adoption.as_ref()),
        width: wide(area.members),
        creators_width: wide(area.creators),
        y: at as f64 * 34.0,
    };
    month.areas.iter().enumerate().map(bar).collect()
}

fn idle(summary: &Summary) -> Vec<IdleBar> {
    let paid = window(summary, 28).map_or(0, |window| window.assigned_seats);
    let bar = |(at, idle): (usize, &tidemark_rpc::utilization::IdleSeats)| {
        let states: Vec<_> = idle.states.iter().map(|state| (state.state.clone(), state.seats)).collect();
        IdleBar {
            days: idle.days,
            idle: states.iter().map(|(_, seats)| seats).sum(),
            pieces: stack(&states, paid, BAR),
            cost: money(idle.cost_per_month.as_ref()),
            y: at as f64 * 44.0,
        }
    };
    summary.idle.iter().enumerate().map(bar).collect()
}

fn who(seat: &Seat) -> String {
    let readable = |text: &str| !text.is_empty() && text != "[redacted]";
    let named = [&seat.name, &seat.email].into_iter().find(|text| readable(text)).cloned();
    named.unwrap_or_else(|| format!("member {}", seat.member_id.chars().take(8).collect::<String>()))
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

fn heat(evidence: &Evidence) -> Vec<HeatRow> {
    let row = |(at, seat): (usize, &Seat)| {
        let cell = |(week, days): (usize, &u32)| HeatCell {
            x: 150.0 + week as f64 * 24.5,
            level: level(*days),
            days: *days,
        };
        HeatRow {
            name: short(&who(seat)),
            state: seat.state.replace('_', " "),
            cells: seat.active_days_by_week.iter().enumerate().map(cell).collect(),
            y: at as f64 * 18.0,
        }
    };
    evidence.seats.iter().enumerate().map(row).collect()
}

fn line(recommendation: &tidemark_rpc::utilization::Recommendation) -> Option<Line> {
    let seat = recommendation.seat.as_ref()?;
    let active =
        |days: u32| seat.uses.iter().find(|used| used.days == days).map_or(0, |used| used.active_days);
    Some(Line {
        who: who(seat),
        role: seat.role.clone(),
        tier: recommendation.tier.clone(),
        what: recommendation.sentence.clone(),
        last_active: if seat.last_active_day.is_empty() {
            "never".to_owned()
        } else {
            seat.last_active_day.clone()
        },
        active_days_28: active(28),
        active_days_90: active(90),
        areas: seat.areas_used.join(", "),
        covered: seat.covered_days_90,
    })
}
