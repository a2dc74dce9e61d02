//! Rolling windows and days of activity as bytes: small numbers in few bytes, since most counters are small or absent.
//!
//! Members: each with 16 bytes of id, the first row and the last active day before the kept days, each as days since 1 CE,
//! 0 for none; the kept days with a row, of which the active ones are left out, and then the active ones, what was created
//! and what was opened per area: two bytes that say which of these twelve are not empty, and 14 bytes for each that is
//! not; then per shown window the actions of each area, views and maker actions.
//!
//! A page, of one block and day: per member who has a row the distance from the one before, bits (activity, areas created
//! in, areas opened in), and, where there are areas, views, maker actions and the actions of each area with a bit. Numbers
//! are in LEB128.

use chrono::{Datelike, NaiveDate};
use tidemark_domain::rollup::{Amounts, DayUse, KeptDays, Rolling};
use uuid::Uuid;

const AREAS: u32 = 5;
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

fn put_kept(bytes: &mut Vec<u8>, kept: &KeptDays) {
    let KeptDays { rows, active, created, opened } = kept;
    // Most rows are of active days.
    let tracks = [[rows & !active, *active].as_slice(), created, opened].concat();
    let filled = tracks.iter().enumerate().filter(|(_, track)| **track != 0);
    bytes.extend(filled.clone().fold(0_u16, |filled, (at, _)| filled | 1 << at).to_le_bytes());
    filled.for_each(|(_, track)| bytes.extend(&track.to_le_bytes()[..TRACK]));
}

fn take_kept(bytes: &mut &[u8]) -> Option<KeptDays> {
    let filled = u16::from_le_bytes(chunk(bytes)?);
    let mut tracks = [0; 2 + 2 * AREAS as usize];
    for (_, track) in tracks.iter_mut().enumerate().filter(|(at, _)| filled & 1 << at != 0) {
        let mut whole = [0; 16];
        whole[..TRACK].copy_from_slice(&chunk::<TRACK>(bytes)?);
        *track = u128::from_le_bytes(whole);
    }
    let [inactive, active, a, b, c, d, e, created @ ..] = tracks;
    Some(KeptDays { rows: inactive | active, active, created: [a, b, c, d, e], opened: created })
}

fn put_amounts(bytes: &mut Vec<u8>, amounts: &Amounts) {
    let Amounts { actions, views, maker_actions } = amounts;
    actions.iter().chain([views, maker_actions]).for_each(|amount| put(bytes, *amount));
}

fn take_amounts(bytes: &mut &[u8]) -> Option<Amounts> {
    let mut amounts = Amounts::default();
    for amount in &mut amounts.actions {
        *amount = take(bytes)?;
    }
    amounts.views = take(bytes)?;
    amounts.maker_actions = take(bytes)?;
    Some(amounts)
}

/// The members of a block.
pub(crate) fn members(block: &[Rolling]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(block.len() * 192);
    for member in block {
        bytes.extend(member.member_id.as_bytes());
        put_day(&mut bytes, member.first_row);
        put_day(&mut bytes, member.active_before);
        put_kept(&mut bytes, &member.kept);
        member.sums.iter().for_each(|amounts| put_amounts(&mut bytes, amounts));
    }
    bytes
}

/// Reads what [`members`] wrote.
pub(crate) fn read_members(mut bytes: &[u8]) -> Option<Vec<Rolling>> {
    let mut block = Vec::with_capacity(bytes.len() / 64);
    while !bytes.is_empty() {
        block.push(Rolling {
            member_id: Uuid::from_bytes(chunk(&mut bytes)?),
            first_row: take_day(&mut bytes)?,
            active_before: take_day(&mut bytes)?,
            kept: take_kept(&mut bytes)?,
            sums: [take_amounts(&mut bytes)?, take_amounts(&mut bytes)?, take_amounts(&mut bytes)?],
        });
    }
    Some(block)
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
            let areas = (0..AREAS).filter(|area| one.areas() & 1 << area != 0);
            areas.for_each(|area| put(&mut bytes, one.actions[area as usize]));
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
        let areas = one.areas();
        if areas != 0 {
            one.views = take(&mut bytes)?;
            one.maker_actions = take(&mut bytes)?;
            for area in (0..AREAS).filter(|area| areas & 1 << area != 0) {
                one.actions[area as usize] = take(&mut bytes)?;
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
        assert_eq!(block[1].kept.rows.ilog2(), 104, "the oldest of the kept days");
        assert_eq!(read_members(&members(&block)).unwrap(), block);
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
        let members = members(&[rolling(3, &[one(190, [1, 2, 3, 4, 1 << 40])])]);
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
