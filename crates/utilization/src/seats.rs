//! Seats with their evidence: filtered, sorted, in pages; and what is recommended for them.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::NaiveDate;
use tidemark_domain::{
    recommendation::{Savings, Tier},
    rollup::{Coverage, SeatState},
};
use tidemark_rpc::{parse, status::Refusal, utilization as wire};
use tidemark_store::SeatRow;
use uuid::Uuid;

use crate::{
    service::{Desk, Fault},
    wire::{money, savings, seat as seat_message},
};

/// Seats read at once.
const READ: u64 = 2_000;
const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

pub(crate) async fn list(
    desk: &Desk,
    asked: wire::ListSeatsRequest,
) -> Result<wire::ListSeatsResponse, Fault> {
    let filter = Filter::new(&asked)?;
    let ground = desk.ground().await?;
    let team = match &asked.team_id[..] {
        "" => None,
        id => Some(desk.store.team_members(&desk.connection, parse("team_id", id)?).await?),
    };
    let mut rows = match &asked.member_id[..] {
        "" => all(desk).await?,
        id => desk.store.seat_row(&desk.connection, parse("member_id", id)?).await?.into_iter().collect(),
    };
    rows.retain(|row| filter.admits(row, team.as_ref(), ground.head.as_of));
    sort(&mut rows, asked.sort(), asked.descending);
    let paging = Paging::new(asked.page_size, &asked.page_token, filter.fingerprint(&asked))?;
    let (page, next_page_token) = paging.cut(&rows, |row| row.seat.member_id);
    let covered = covered_90(desk, ground.head.as_of).await?;
    Ok(wire::ListSeatsResponse {
        basis: Some(ground.wire()),
        seats: page.iter().map(|row| seat_message(row, &ground, covered)).collect(),
        next_page_token,
        total: u32::try_from(rows.len()).unwrap_or(u32::MAX),
    })
}

pub(crate) async fn recommendations(
    desk: &Desk,
    asked: wire::ListRecommendationsRequest,
) -> Result<wire::ListRecommendationsResponse, Fault> {
    let tiers = tiers(&asked.tiers)?;
    let ground = desk.ground().await?;
    let contract = desk.store.contract(&desk.connection).await?;
    let found = desk.store.recommendations(&desk.connection).await?;
    let mut rows = recommended(desk).await?;
    rows.retain(|row| row.recommendation.is_some_and(|(tier, _)| tiers.is_empty() || tiers.contains(&tier)));
    let paging = Paging::new(asked.page_size, &asked.page_token, hashed(&asked.tiers))?;
    let (page, next_page_token) = paging.cut(&rows, |row| row.seat.member_id);
    let covered = covered_90(desk, ground.head.as_of).await?;
    let message = |row: &SeatRow| {
        let (tier, action) = row.recommendation?;
        let cost = contract.price.filter(|_| tier != Tier::Review).map(|price| price.minor);
        Some(wire::Recommendation {
            tier: tier.as_str().to_owned(),
            action: action.as_str().to_owned(),
            sentence: action.sentence().to_owned(),
            seat: Some(seat_message(row, &ground, covered)),
            cost_per_month: money(cost, contract.price),
        })
    };
    Ok(wire::ListRecommendationsResponse {
        basis: Some(ground.wire()),
        recommendations: page.iter().filter_map(message).collect(),
        savings: Some(savings(&Savings::of(&found, &contract), contract.price)),
        next_page_token,
    })
}

/// Seats with something recommended, surest first: as they are shown, and as they are exported.
pub(crate) async fn recommended(desk: &Desk) -> Result<Vec<SeatRow>, Fault> {
    let mut rows = all(desk).await?;
    rows.retain(|row| row.recommendation.is_some());
    rows.sort_by_key(|row| (row.recommendation, row.seat.member_id));
    Ok(rows)
}

/// Covered days of the 90 up to a day: part of each seat's evidence.
pub(crate) async fn covered_90(desk: &Desk, as_of: NaiveDate) -> Result<u32, Fault> {
    let known = desk.store.coverage(&desk.connection).await?;
    Ok(known.iter().map(|it| it.day).collect::<Coverage>().covered(as_of, 90))
}

async fn all(desk: &Desk) -> Result<Vec<SeatRow>, Fault> {
    let mut rows: Vec<SeatRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.seat.member_id);
        let page = desk.store.seat_rows(&desk.connection, after, READ).await?;
        let last = (page.len() as u64) < READ;
        rows.extend(page);
        if last {
            return Ok(rows);
        }
    }
}

fn tiers(names: &[String]) -> Result<BTreeSet<Tier>, Refusal> {
    let parsed = names.iter().map(|name| Tier::parse(name));
    parsed
        .collect::<Option<_>>()
        .ok_or_else(|| Refusal::invalid("tiers", "`certain`, `probable` or `review`"))
}

struct Filter {
    states: BTreeSet<SeatState>,
    roles: BTreeSet<String>,
    tiers: BTreeSet<Tier>,
    paid_only: bool,
    exempt_only: bool,
    text: String,
}

impl Filter {
    fn new(asked: &wire::ListSeatsRequest) -> Result<Self, Refusal> {
        let states = asked.states.iter().map(|name| SeatState::parse(name)).collect::<Option<_>>();
        let known = SeatState::ALL.map(SeatState::as_str).join(", ");
        if wire::SeatSort::try_from(asked.sort).is_err() {
            return Err(Refusal::invalid("sort", "a value of SeatSort"));
        }
        Ok(Self {
            states: states.ok_or_else(|| Refusal::invalid("states", format!("one of {known}")))?,
            roles: asked.roles.iter().cloned().collect(),
            tiers: tiers(&asked.tiers)?,
            paid_only: asked.paid_only,
            exempt_only: asked.exempt_only,
            text: asked.text.to_lowercase(),
        })
    }

    fn admits(&self, row: &SeatRow, team: Option<&BTreeSet<Uuid>>, as_of: NaiveDate) -> bool {
        let seat = &row.seat;
        let contains =
            |of: &Option<String>| of.as_ref().is_some_and(|of| of.to_lowercase().contains(&self.text));
        (self.states.is_empty() || self.states.contains(&seat.state))
            && (self.roles.is_empty() || self.roles.contains(seat.standing.role.as_str()))
            && (self.tiers.is_empty()
                || row.recommendation.is_some_and(|(tier, _)| self.tiers.contains(&tier)))
            && (!self.paid_only || seat.standing.is_paid_seat())
            && (!self.exempt_only || row.exemption.as_ref().is_some_and(|it| it.holds(as_of)))
            && (self.text.is_empty() || contains(&row.name) || contains(&row.email))
            && team.is_none_or(|team| team.contains(&seat.member_id))
    }

    /// What a page token belongs to: the next page of another question would be nonsense.
    fn fingerprint(&self, asked: &wire::ListSeatsRequest) -> u64 {
        let Self { states, roles, tiers, paid_only, exempt_only, text } = self;
        let who = (&asked.team_id, &asked.member_id);
        hashed(&(states, roles, tiers, paid_only, exempt_only, text, who, asked.sort, asked.descending))
    }
}

/// Of one program version: a token of another one is refused, and the caller begins anew.
fn hashed(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn sort(rows: &mut [SeatRow], by: wire::SeatSort, descending: bool) {
    let compare = |a: &SeatRow, b: &SeatRow| -> Ordering {
        match by {
            wire::SeatSort::Unspecified => Ordering::Equal,
            wire::SeatSort::Name => {
                a.name.as_deref().map(str::to_lowercase).cmp(&b.name.as_deref().map(str::to_lowercase))
            }
            wire::SeatSort::LastActive => a.seat.last_active_day.cmp(&b.seat.last_active_day),
            wire::SeatSort::ActiveDays => a.seat.uses[1].active_days.cmp(&b.seat.uses[1].active_days),
            wire::SeatSort::State => a.seat.state.cmp(&b.seat.state),
            wire::SeatSort::FirstSeen => a.seat.first_seen_day.cmp(&b.seat.first_seen_day),
        }
    };
    rows.sort_by(|a, b| {
        let order = compare(a, b).then_with(|| a.seat.member_id.cmp(&b.seat.member_id));
        if descending { order.reverse() } else { order }
    });
}

/// Where a page begins: after a member, or where that one stood if it is gone.
struct Paging {
    size: usize,
    after: Option<(usize, Uuid)>,
    fingerprint: u64,
}

impl Paging {
    fn new(size: u32, token: &str, fingerprint: u64) -> Result<Self, Refusal> {
        let size = if size == 0 { DEFAULT_PAGE } else { size.min(LARGEST_PAGE) } as usize;
        let after = if token.is_empty() { None } else { Some(Self::read(token, fingerprint)?) };
        Ok(Self { size, after, fingerprint })
    }

    fn read(token: &str, fingerprint: u64) -> Result<(usize, Uuid), Refusal> {
        let parsed = || {
            let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
            let (print, rest) = bytes.split_first_chunk::<8>()?;
            let (place, member) = rest.split_first_chunk::<4>()?;
            let member = Uuid::from_slice(member).ok()?;
            (*print == fingerprint.to_be_bytes()).then_some((u32::from_be_bytes(*place) as usize, member))
        };
        parsed().ok_or_else(|| {
            let expected =
                "the `next_page_token` of the page before, with everything else of the request unchanged";
            Refusal::invalid("page_token", expected)
        })
    }

    fn cut<'a, T>(&self, rows: &'a [T], id: fn(&T) -> Uuid) -> (&'a [T], String) {
        let start = self.after.map_or(0, |(place, member)| {
            rows.iter().position(|row| id(row) == member).map_or(place.min(rows.len()), |at| at + 1)
        });
        let end = (start + self.size).min(rows.len());
        let page = &rows[start..end];
        let more = page.last().filter(|_| end < rows.len());
        let token = more.map(|last| {
            let (place, member) = (u32::try_from(end).unwrap_or(u32::MAX), id(last));
            let parts = [&self.fingerprint.to_be_bytes()[..], &place.to_be_bytes(), member.as_bytes()];
            URL_SAFE_NO_PAD.encode(parts.concat())
        });
        (page, token.unwrap_or_default())
    }
}
