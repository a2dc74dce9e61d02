//! Rolling windows and days of activity as bytes: small numbers in few bytes, since most counters are small or absent.
//!
//! Members: each with 16 bytes of id, 8 of the seat's digest, the first row and the last active day before the kept days,
//! each as days since 1 CE, 0 for none; 14 bytes each for the kept days with a row, of which the active ones are left out,
//! and for the active ones, behind a byte that says which of the two are not empty; then per shown window bits (areas
//! created in, areas opened in), and, where there are areas, views, maker actions, the actions of each area with a bit, and
//! the days of each bit.
//!
//! A page, of one block and day: per member who has a row the distance from the one before, bits (activity, areas created
//! in, areas opened in), and, where there are areas, views, maker actions and the actions of each area with a bit. Numbers
//! are in LEB128.

use chrono::{Datelike, NaiveDate};
use tidemark_domain::rollup::{Amounts, DayUse, Rolling};
use uuid::Uuid;

use crate::seats::SeatDigest;

const AREAS: usize = 5;
const AREA_BITS: u64 = (1 << AREAS) - 1;
/// Of a row of bits; the kept days are fewer than bits.
const TRACK: usize = 14;

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// None where the bytes end too early, or say more than a number holds.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn chunk<const LENGTH: usize>(bytes: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (chunk, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*chunk)
}

fn put_day(bytes: &mut Vec<u8>, day: Option<NaiveDate>) {
    bytes.extend(day.map_or(0, |day| day.num_days_from_ce()).to_le_bytes());
}

fn take_day(bytes: &mut &[u8]) -> Option<Option<NaiveDate>> {
    match i32::from_le_bytes(chunk(bytes)?) {
        0 => Some(None),
        days => NaiveDate::from_num_days_from_ce_opt(days).map(Some),
    }
}

fn put_kept(bytes: &mut Vec<u8>, rows: u128, active: u128) {
    // Most rows are of active days.
    let tracks = [rows & !active, active];
    let filled = tracks.iter().enumerate().filter(|(_, track)| **track != 0);
    bytes.push(filled.clone().fold(0, |filled, (at, _)| filled | 1 << at));
    filled.for_each(|(_, track)| bytes.extend(&track.to_le_bytes()[..TRACK]));
}

/// The kept days with a row, and the active ones.
fn take_kept(bytes: &mut &[u8]) -> Option<(u128, u128)> {
    let [filled] = chunk(bytes)?;
    let mut tracks = [0; 2];
    for (_, track) in tracks.iter_mut().enumerate().filter(|(at, _)| filled & 1 << at != 0) {
        let mut whole = [0; 16];
        whole[..TRACK].copy_from_slice(&chunk::<TRACK>(bytes)?);
        *track = u128::from_le_bytes(whole);
    }
    let [inactive, active] = tracks;
    Some((inactive | active, active))
}

/// The areas of which something is told, as bits.
fn areas(bits: u64) -> impl Iterator<Item = usize> {
    (0..AREAS).filter(move |area| (bits | bits >> AREAS) & 1 << area != 0)
}

fn put_amounts(bytes: &mut Vec<u8>, amounts: &Amounts) {
    let Amounts { created_days, opened_days, actions, views, maker_actions } = amounts;
    let days = || created_days.iter().chain(opened_days).enumerate().filter(|(_, days)| **days > 0);
    let bits = days().fold(0, |bits, (at, _)| bits | 1 << at);
    put(bytes, bits);
    if bits != 0 {
        put(bytes, *views);
        put(bytes, *maker_actions);
        areas(bits).for_each(|area| put(bytes, actions[area]));
        days().for_each(|(_, days)| put(bytes, (*days).into()));
    }
}

fn take_amounts(bytes: &mut &[u8]) -> Option<Amounts> {
    let mut amounts = Amounts::default();
    let bits = take(bytes)?;
    if bits != 0 {
        amounts.views = take(bytes)?;
        amounts.maker_actions = take(bytes)?;
        for area in areas(bits) {
            amounts.actions[area] = take(bytes)?;
        }
        let days = amounts.created_days.iter_mut().chain(&mut amounts.opened_days).enumerate();
        for (_, days) in days.filter(|(at, _)| bits & 1 << at != 0) {
            *days = take(bytes)?.try_into().ok()?;
        }
    }
    Some(amounts)
}

/// The members of a block, each with a seat.
pub(crate) fn members(block: &[Rolling], seats: &[SeatDigest]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(block.len() * 128);
    for (member, seat) in block.iter().zip(seats) {
        bytes.extend(member.member_id.as_bytes());
        bytes.extend(seat.to_bytes());
        put_day(&mut bytes, member.first_row);
        put_day(&mut bytes, member.active_before);
        put_kept(&mut bytes, member.rows, member.active);
        member.sums.iter().for_each(|amounts| put_amounts(&mut bytes, amounts));
    }
    bytes
}

/// Reads what [`members`] wrote.
pub(crate) fn read_members(mut bytes: &[u8]) -> Option<(Vec<Rolling>, Vec<SeatDigest>)> {
    let (mut block, mut seats) = (Vec::with_capacity(bytes.len() / 64), Vec::with_capacity(bytes.len() / 64));
    while !bytes.is_empty() {
        let member_id = Uuid::from_bytes(chunk(&mut bytes)?);
        seats.push(SeatDigest::from_bytes(chunk(&mut bytes)?));
        let (first_row, active_before) = (take_day(&mut bytes)?, take_day(&mut bytes)?);
        let (rows, active) = take_kept(&mut bytes)?;
        block.push(Rolling {
            member_id,
            first_row,
            active_before,
            rows,
            active,
            sums: [take_amounts(&mut bytes)?, take_amounts(&mut bytes)?, take_amounts(&mut bytes)?],
        });
    }
    Some((block, seats))
}

/// What the members of a block did on one day, by their place in it.
pub(crate) fn page(uses: &[(usize, DayUse)]) -> Vec<u8> {
    let (mut bytes, mut next) = (Vec::with_capacity(uses.len() * 8), 0);
    for (place, one) in uses {
        put(&mut bytes, (place - next) as u64);
        next = place + 1;
        let bits = u64::from(one.active) | u64::from(one.created) << 1 | u64::from(one.opened) << (1 + AREAS);
        put(&mut bytes, bits);
        if one.areas() != 0 {
            put(&mut bytes, one.views);
            put(&mut bytes, one.maker_actions);
            areas(one.areas().into()).for_each(|area| put(&mut bytes, one.actions[area]));
        }
    }
    bytes
}

/// Reads what [`page`] wrote of that day.
pub(crate) fn read_page(day: NaiveDate, mut bytes: &[u8]) -> Option<Vec<(usize, DayUse)>> {
    let (mut uses, mut next) = (Vec::with_capacity(bytes.len() / 8), 0);
    while !bytes.is_empty() {
        let place = next + usize::try_from(take(&mut bytes)?).ok()?;
        next = place + 1;
        let bits = take(&mut bytes)?;
        let mut one = DayUse {
            active: bits & 1 != 0,
            created: u8::try_from(bits >> 1 & AREA_BITS).ok()?,
            opened: u8::try_from(bits >> (1 + AREAS) & AREA_BITS).ok()?,
            ..DayUse::blank(day)
        };
        if one.areas() != 0 {
            one.views = take(&mut bytes)?;
            one.maker_actions = take(&mut bytes)?;
            for area in areas(one.areas().into()) {
                one.actions[area] = take(&mut bytes)?;
            }
        }
        uses.push((place, one));
    }
    Some(uses)
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use tidemark_domain::rollup::MemberFacts;

    use super::*;

    fn day(offset: u64) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(739_000).unwrap() + Days::new(offset)
    }

    fn one(offset: u64, actions: [u64; 5]) -> DayUse {
        let bits = (0..5).filter(|area| actions[*area] > 0).fold(0, |bits, area| bits | 1 << area);
        DayUse {
            active: true,
            created: bits & 0b10101,
            opened: bits & 0b01011,
            actions,
            views: actions[1],
            maker_actions: actions[4],
            ..DayUse::blank(day(offset))
        }
    }

    fn rolling(number: u128, days: &[DayUse]) -> Rolling {
        let facts = MemberFacts {
            member_id: Uuid::from_u128(number),
            versions: &[],
            days,
            teams: &[],
            first_row: (number == 3).then(|| day(1)),
            active_before: (number == 3).then(|| day(2)),
        };
        Rolling::new(&facts, day(200))
    }

    #[test]
    fn members_read_back_as_written() {
        let large = u64::from(u32::MAX) * 4;
        let mut block = vec![
            rolling(1, &[]),
            rolling(2, &[DayUse::blank(day(3)), one(96, [9; 5]), DayUse::blank(day(97)), one(200, [0; 5])]),
        ];
        block.extend((3..400).map(|number| rolling(number, &[])));
        block.push(rolling(u128::MAX, &[one(150, [1, 2, 3, 4, large]), one(199, [0, 1, 0, 0, 300])]));
        assert_eq!(block[1].rows.ilog2(), 104, "the oldest of the kept days");
        let seats: Vec<_> =
            (0..block.len() as u64).map(|number| SeatDigest::from_bytes(number.to_le_bytes())).collect();
        assert_eq!(read_members(&members(&block, &seats)).unwrap(), (block, seats));
    }

    #[test]
    fn pages_read_back_as_written() {
        let uses = [
            (0, one(7, [1, 2, 3, 4, 1 << 40])),
            (3, DayUse::blank(day(7))),
            (2_047, one(7, [0, 1, 0, 0, 300])),
        ];
        assert_eq!(read_page(day(7), &page(&uses)).unwrap(), uses);
        assert!(page(&[]).is_empty(), "nobody did anything");
    }

    #[test]
    fn what_is_cut_off_or_does_not_fit_is_not_read() {
        let members = members(&[rolling(3, &[one(190, [1, 2, 3, 4, 1 << 40])])], &[SeatDigest::default()]);
        let page = page(&[(0, one(0, [1, 2, 3, 4, 1 << 40]))]);
        for length in 1..members.len() {
            assert_eq!(read_members(&members[..length]), None);
        }
        for length in 1..page.len() {
            assert_eq!(read_page(day(0), &page[..length]), None, "{length}");
        }
        assert_eq!(take(&mut &[0xff; 11][..]), None);
    }
}
