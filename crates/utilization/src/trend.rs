//! Numbers over time and by cut, feature adoption, and coverage.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use tidemark_domain::rollup::{Coverage, Cut, Ratio, SHOWN_WINDOWS, WINDOWS};
use tidemark_rpc::{status::Refusal, utilization as wire};
use uuid::Uuid;

use crate::{
    service::{Desk, Fault},
    wire::{cut as cut_message, share, window_use},
};

/// The longest range that is answered at once: three years and a bit.
const LONGEST_DAYS: i64 = 1_100;
const DEFAULT_DAYS: u64 = 90;
const DEFAULT_WINDOW: u32 = 28;
/// Days after which the rows of a day do not change any more.
const SETTLED_DAYS: i64 = 3;

/// A day of a request; none where it is empty.
pub(crate) fn day(field: &'static str, text: &str) -> Result<Option<NaiveDate>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|day| day.to_string() == text);
    day.map(Some).ok_or_else(|| Refusal::invalid(field, "a date as YYYY-MM-DD"))
}

/// A range of days of a request, with what stands for an empty end.
pub(crate) fn range(
    (from, to): (&str, &str),
    default: (NaiveDate, NaiveDate),
) -> Result<(NaiveDate, NaiveDate), Refusal> {
    let to = day("to", to)?.unwrap_or(default.1);
    let from = day("from", from)?.unwrap_or_else(|| default.0.min(to));
    if from > to {
        return Err(Refusal::invalid("from", "a day that is not after the last one"));
    }
    if (to - from).num_days() >= LONGEST_DAYS {
        return Err(Refusal::invalid("from", format!("at most {LONGEST_DAYS} days before the last one")));
    }
    Ok((from, to))
}

fn window(days: u32) -> Result<u32, Refusal> {
    match days {
        0 => Ok(DEFAULT_WINDOW),
        days if WINDOWS.contains(&days) => Ok(days),
        _ => Err(Refusal::invalid("window_days", "1, 7, 28 or 90; 0 means 28")),
    }
}

fn cut(asked: Option<wire::Cut>) -> Result<Cut, Refusal> {
    let Some(asked) = asked.filter(|asked| !asked.kind.is_empty()) else { return Ok(Cut::All) };
    Cut::parse(&asked.kind, &asked.key).ok_or_else(|| {
        let expected =
            "kind `all`, `team` with a team's id, `role` with a role, or `cohort` with a month as YYYY-MM";
        Refusal::invalid("cut", expected)
    })
}

async fn team_names(desk: &Desk) -> Result<BTreeMap<Uuid, String>, Fault> {
    Ok(desk.store.team_names(&desk.connection).await?)
}

fn named(cut: &Cut, teams: &BTreeMap<Uuid, String>) -> wire::Cut {
    let name = match cut {
        Cut::All => Some("everybody".to_owned()),
        Cut::Team(id) => teams.get(id).cloned(),
        Cut::Role(_) | Cut::Cohort(_) => None,
    };
    cut_message(cut, name)
}

/// Purchased seats are of everybody.
async fn purchased(desk: &Desk, cut: &Cut) -> Result<Option<u32>, Fault> {
    Ok(if *cut == Cut::All { desk.store.contract(&desk.connection).await?.purchased } else { None })
}

pub(crate) async fn trend(
    desk: &Desk,
    asked: wire::GetTrendRequest,
) -> Result<wire::GetTrendResponse, Fault> {
    let (days, cut) = (window(asked.window_days)?, cut(asked.cut)?);
    let ground = desk.ground().await?;
    let last = day("to", &asked.to)?.unwrap_or(ground.head.as_of);
    let default = (last.checked_sub_days(Days::new(DEFAULT_DAYS - 1)).unwrap_or(last), last);
    let range = range((&asked.from, &asked.to), default)?;
    let purchased = purchased(desk, &cut).await?;
    let points = desk.store.trend(&desk.connection, &cut, days, range).await?;
    Ok(wire::GetTrendResponse {
        basis: Some(ground.wire()),
        cut: Some(named(&cut, &team_names(desk).await?)),
        points: points
            .iter()
            .map(|(day, numbers)| wire::TrendPoint {
                day: day.to_string(),
                window: Some(window_use(days, numbers, purchased)),
            })
            .collect(),
    })
}

pub(crate) async fn cuts(desk: &Desk, asked: wire::ListCutsRequest) -> Result<wire::ListCutsResponse, Fault> {
    let days = window(asked.window_days)?;
    if !["", "team", "role", "cohort"].contains(&asked.kind.as_str()) {
        return Err(Refusal::invalid("kind", "`team`, `role` or `cohort`; empty means all of them").into());
    }
    let (ground, teams) = (desk.ground().await?, team_names(desk).await?);
    let (as_of, kind) = (ground.head.as_of, Some(asked.kind.as_str()).filter(|kind| !kind.is_empty()));
    let numbers = desk.store.numbers_between(&desk.connection, as_of, as_of, kind).await?;
    let wanted = numbers.iter().filter(|((cut, _, window), _)| *window == days && *cut != Cut::All);
    let cuts = wanted.map(|((cut, ..), numbers)| wire::CutUse {
        cut: Some(named(cut, &teams)),
        window: Some(window_use(days, numbers, None)),
    });
    Ok(wire::ListCutsResponse { basis: Some(ground.wire()), cuts: cuts.collect() })
}

pub(crate) async fn adoption(
    desk: &Desk,
    asked: wire::GetFeatureAdoptionRequest,
) -> Result<wire::GetFeatureAdoptionResponse, Fault> {
    let (on, cut) = (day("day", &asked.day)?, cut(asked.cut)?);
    let ground = desk.ground().await?;
    let on = on.unwrap_or(ground.head.as_of);
    let purchased = purchased(desk, &cut).await?;
    let mut windows = Vec::new();
    for days in SHOWN_WINDOWS {
        let point = desk.store.trend(&desk.connection, &cut, days, (on, on)).await?.pop();
        windows.extend(point.map(|(_, numbers)| window_use(days, &numbers, purchased)));
    }
    let cut = Some(named(&cut, &team_names(desk).await?));
    Ok(wire::GetFeatureAdoptionResponse { basis: Some(ground.wire()), cut, windows })
}

pub(crate) async fn coverage(desk: &Desk) -> Result<wire::GetCoverageResponse, Fault> {
    let ground = desk.ground().await?;
    let known = desk.store.coverage(&desk.connection).await?;
    let covered: Coverage = known.iter().map(|it| it.day).collect();
    let as_of = ground.head.as_of;
    let windows = SHOWN_WINDOWS.map(|days| wire::WindowCoverage {
        days,
        coverage: Some(share(Ratio::of(covered.covered(as_of, days), days))),
    });
    let mut gaps: Vec<wire::DayRange> = Vec::new();
    for pair in known.windows(2).filter(|pair| pair[1].day > pair[0].day + Days::new(1)) {
        let (from, to) = (pair[0].day + Days::new(1), pair[1].day - Days::new(1));
        gaps.push(wire::DayRange { from: from.to_string(), to: to.to_string() });
    }
    let settled = known.iter().filter(|it| (it.fetched_on - it.day).num_days() >= SETTLED_DAYS);
    Ok(wire::GetCoverageResponse {
        basis: Some(ground.wire()),
        windows: windows.to_vec(),
        gaps,
        settled_until: settled.map(|it| it.day).max().map(|day| day.to_string()).unwrap_or_default(),
    })
}
