//! Seats with their evidence: filtered, sorted, in pages; and what is recommended for them.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{Days, NaiveDate};
use tidemark_domain::{
    recommendation::{Savings, Tier},
    rollup::{Coverage, SHOWN_WINDOWS, SeatState},
};
use tidemark_rpc::{parse, status::Refusal, utilization as wire};
use tidemark_store::{SeatFilter, SeatList, SeatOrder, SeatRow};
use uuid::Uuid;

use crate::{
    basis::Ground,
    service::{Desk, Fault},
    wire::{Covered, recommendation, savings, seat as seat_message},
};

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;
/// Weeks that are told of a seat's activity.
const WEEKS: usize = 13;

pub(crate) async fn list(
    desk: &Desk,
    asked: wire::ListSeatsRequest,
) -> Result<wire::ListSeatsResponse, Fault> {
    let list = read(&asked)?;
    let mut paging = Paging::new(asked.page_size, &asked.page_token, hashed(&list))?;
    let ground = desk.ground().await?;
    let total = match paging.total {
        Some(total) => total,
        // Counted once, and told on each page.
        None => {
            u32::try_from(desk.store.seat_count(&desk.connection, &list.filter).await?).unwrap_or(u32::MAX)
        }
    };
    paging.total = Some(total);
    let (page, next_page_token) = paging.page(desk, &list).await?;
    let (as_of, covered) = (ground.head.as_of, covered(desk, &ground).await?);
    let weeks = if asked.weeks { weeks(desk, &page, as_of).await? } else { HashMap::new() };
    let covered_days_by_week = if asked.weeks { covered_weeks(desk, as_of).await? } else { Vec::new() };
    let seat = |row: &SeatRow| {
        let weeks = weeks.get(&row.seat.member_id).map_or(&[][..], |weeks| &weeks[..]);
        seat_message(row, &ground, covered, weeks)
    };
    Ok(wire::ListSeatsResponse {
        basis: Some(ground.wire()),
        seats: page.iter().map(seat).collect(),
        next_page_token,
        total,
        covered_days_by_week,
    })
}

pub(crate) async fn recommendations(
    desk: &Desk,
    asked: wire::ListRecommendationsRequest,
) -> Result<wire::ListRecommendationsResponse, Fault> {
    let list = recommended(&tiers(&asked.tiers)?);
    let paging = Paging::new(asked.page_size, &asked.page_token, hashed(&list))?;
    let ground = desk.ground().await?;
    let contract = desk.store.contract(&desk.connection).await?;
    let counts = desk.store.recommendation_counts(&desk.connection).await?;
    let (page, next_page_token) = paging.page(desk, &list).await?;
    let covered = covered(desk, &ground).await?;
    let message = |row: &SeatRow| recommendation(row, &ground, covered, contract.price);
    Ok(wire::ListRecommendationsResponse {
        basis: Some(ground.wire()),
        recommendations: page.iter().filter_map(message).collect(),
        savings: Some(savings(&Savings::of_counts(counts, &contract), contract.price)),
        next_page_token,
    })
}

/// Seats with something recommended, surest first: as they are shown, and as they are exported.
pub(crate) fn recommended(tiers: &[Tier]) -> SeatList {
    let filter = SeatFilter { recommended_only: true, tiers: tiers.to_vec(), ..SeatFilter::default() };
    SeatList { filter, order: SeatOrder::Recommendation, descending: false }
}

/// Active days of each member of the page in each of the last weeks, oldest first.
async fn weeks(
    desk: &Desk,
    page: &[SeatRow],
    as_of: NaiveDate,
) -> Result<HashMap<Uuid, [u32; WEEKS]>, Fault> {
    let first = as_of - Days::new(WEEKS as u64 * 7 - 1);
    let members: Vec<_> = page.iter().map(|row| row.seat.member_id).collect();
    let active = desk.store.active_days(&desk.connection, &members, (first, as_of)).await?;
    let weeks = members.iter().map(|member| {
        let mut weeks = [0; WEEKS];
        for day in active.get(member).into_iter().flatten() {
            let week = usize::try_from((*day - first).num_days() / 7).ok();
            week.and_then(|week| weeks.get_mut(week)).into_iter().for_each(|days| *days += 1);
        }
        (*member, weeks)
    });
    Ok(weeks.collect())
}

/// Covered days of each of these weeks.
async fn covered_weeks(desk: &Desk, as_of: NaiveDate) -> Result<Vec<u32>, Fault> {
    let known = desk.store.coverage(&desk.connection).await?;
    let known: Coverage = known.iter().map(|it| it.day).collect();
    let ends = (0..WEEKS as u64).rev().map(|back| as_of - Days::new(back * 7));
    Ok(ends.map(|end| known.covered(end, 7)).collect())
}

/// Covered days of the windows up to the as-of day, as the seats were judged by them: part of each seat's evidence.
pub(crate) async fn covered(desk: &Desk, ground: &Ground) -> Result<Covered, Fault> {
    let windows = desk.store.windows_on(&desk.connection, ground.head.as_of).await?;
    let of = |days| windows.iter().find(|(window, _)| *window == days);
    Ok(SHOWN_WINDOWS.map(|days| of(days).map_or(0, |(_, numbers)| numbers.covered_days)))
}

fn tiers(names: &[String]) -> Result<Vec<Tier>, Refusal> {
    let parsed = names.iter().map(|name| Tier::parse(name));
    parsed
        .collect::<Option<_>>()
        .ok_or_else(|| Refusal::invalid("tiers", "`certain`, `probable` or `review`"))
}

/// What is asked for.
fn read(asked: &wire::ListSeatsRequest) -> Result<SeatList, Fault> {
    let states = asked.states.iter().map(|name| SeatState::parse(name)).collect::<Option<_>>();
    let known = SeatState::ALL.map(SeatState::as_str).join(", ");
    let order = match wire::SeatSort::try_from(asked.sort) {
        Ok(wire::SeatSort::Unspecified) => SeatOrder::Member,
        Ok(wire::SeatSort::Name) => SeatOrder::Name,
        Ok(wire::SeatSort::LastActive) => SeatOrder::LastActive,
        Ok(wire::SeatSort::ActiveDays) => SeatOrder::ActiveDays,
        Ok(wire::SeatSort::State) => SeatOrder::State,
        Ok(wire::SeatSort::FirstSeen) => SeatOrder::FirstSeen,
        Err(_) => return Err(Refusal::invalid("sort", "a value of SeatSort").into()),
    };
    let team = match &asked.team_id[..] {
        "" => None,
        id => Some(parse("team_id", id)?),
    };
    let member = match &asked.member_id[..] {
        "" => None,
        id => Some(parse("member_id", id)?),
    };
    let filter = SeatFilter {
        states: states.ok_or_else(|| Refusal::invalid("states", format!("one of {known}")))?,
        roles: asked.roles.clone(),
        team,
        member,
        paid_only: asked.paid_only,
        exempt_only: asked.exempt_only,
        recommended_only: false,
        tiers: tiers(&asked.tiers)?,
        text: asked.text.clone(),
    };
    Ok(SeatList { filter, order, descending: asked.descending })
}

/// Of one program version: a token of another one is refused, and the caller begins anew.
fn hashed(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Where a page begins: after a member, or where that one stood if it is gone.
struct Paging {
    size: u64,
    after: Option<(u64, Uuid)>,
    /// Rows of all pages, where they were counted.
    total: Option<u32>,
    /// What a page token belongs to: the next page of another question would be nonsense.
    fingerprint: u64,
}

impl Paging {
    fn new(size: u32, token: &str, fingerprint: u64) -> Result<Self, Refusal> {
        let size = if size == 0 { DEFAULT_PAGE } else { size.min(LARGEST_PAGE) };
        let first = Self { size: size.into(), after: None, total: None, fingerprint };
        if token.is_empty() { Ok(first) } else { first.behind(token) }
    }

    fn behind(self, token: &str) -> Result<Self, Refusal> {
        let parsed = || {
            let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
            let (print, rest) = bytes.split_first_chunk::<8>()?;
            let (place, rest) = rest.split_first_chunk::<4>()?;
            let (total, member) = rest.split_first_chunk::<4>()?;
            let after = (u32::from_be_bytes(*place).into(), Uuid::from_slice(member).ok()?);
            let total = Some(u32::from_be_bytes(*total));
            (*print == self.fingerprint.to_be_bytes()).then_some(Self { after: Some(after), total, ..self })
        };
        parsed().ok_or_else(|| {
            let expected =
                "the `next_page_token` of the page before, with everything else of the request unchanged";
            Refusal::invalid("page_token", expected)
        })
    }

    /// The page, and the token of the next one.
    async fn page(&self, desk: &Desk, list: &SeatList) -> Result<(Vec<SeatRow>, String), Fault> {
        // One more than shown tells whether there is a next page.
        let mut page = desk.store.seat_page(&desk.connection, list, self.after, self.size + 1).await?;
        let more = page.len() as u64 > self.size;
        page.truncate(usize::try_from(self.size).expect("at most the largest page"));
        let token = page.last().filter(|_| more).map(|last| {
            let place = self.after.map_or(0, |(place, _)| place) + self.size;
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            let (member, total) = (last.seat.member_id, self.total.unwrap_or_default());
            let print = self.fingerprint.to_be_bytes();
            let parts = [&print[..], &place.to_be_bytes(), &total.to_be_bytes(), member.as_bytes()];
            URL_SAFE_NO_PAD.encode(parts.concat())
        });
        Ok((page, token.unwrap_or_default()))
    }
}
