//! The last days of activity as bytes: small numbers in few bytes, since most counters of a day are small or absent.
//!
//! A block's members: per member 16 bytes of id, the first row and the last active day before the kept days, each as days
//! since 1 CE, 0 for none. A page, of one block and day: per member who has a row the distance from the one before, bits
//! (activity, areas created in, areas opened in), and, where there are areas, views, maker actions and the actions of
//! each area with a bit. Numbers are in LEB128.

use chrono::{Datelike, NaiveDate};
use tidemark_domain::rollup::{DayUse, Recent};
use uuid::Uuid;

const AREAS: u32 = 5;
const AREA_BITS: u64 = (1 << AREAS) - 1;

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

fn put_day(bytes: &mut Vec<u8>, day: Option<NaiveDate>) {
    bytes.extend(day.map_or(0, |day| day.num_days_from_ce()).to_le_bytes());
}

fn take_day(bytes: &mut &[u8]) -> Option<Option<NaiveDate>> {
    let (days, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    match i32::from_le_bytes(*days) {
        0 => Some(None),
        days => NaiveDate::from_num_days_from_ce_opt(days).map(Some),
    }
}

/// The members of a block, without their days.
pub(crate) fn members(block: &[Recent]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(block.len() * 24);
    for member in block {
        bytes.extend(member.member_id.as_bytes());
        put_day(&mut bytes, member.first_row);
        put_day(&mut bytes, member.active_before);
    }
    bytes
}

/// Reads what [`members`] wrote.
pub(crate) fn read_members(mut bytes: &[u8]) -> Option<Vec<Recent>> {
    let mut block = Vec::with_capacity(bytes.len() / 24);
    while !bytes.is_empty() {
        let (id, rest) = bytes.split_first_chunk()?;
        bytes = rest;
        block.push(Recent {
            member_id: Uuid::from_bytes(*id),
            first_row: take_day(&mut bytes)?,
            active_before: take_day(&mut bytes)?,
            days: Vec::new(),
        });
    }
    Some(block)
}

/// A page: what the members of the block did on that day.
pub(crate) fn page(block: &[Recent], day: NaiveDate) -> Vec<u8> {
    let (mut bytes, mut next) = (Vec::new(), 0);
    for (place, member) in block.iter().enumerate() {
        let Ok(at) = member.days.binary_search_by_key(&day, |day| day.day) else { continue };
        put(&mut bytes, (place - next) as u64);
        next = place + 1;
        let one = &member.days[at];
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

/// Adds what [`page`] wrote to the members of the block. Pages are to be read oldest first.
pub(crate) fn read_page(block: &mut [Recent], day: NaiveDate, mut bytes: &[u8]) -> Option<()> {
    let mut next = 0;
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
        block.get_mut(place)?.days.push(one);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(offset: i32) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(739_000 + offset).unwrap()
    }

    fn one(offset: i32, actions: [u64; 5]) -> DayUse {
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

    #[test]
    fn a_block_reads_back_as_written() {
        let kept = |number: u128, days: Vec<DayUse>| Recent {
            member_id: Uuid::from_u128(number),
            first_row: (number == 3).then(|| day(-5)),
            active_before: (number == 3).then(|| day(-1)),
            days,
        };
        let large = u64::from(u32::MAX) * 4;
        let mut block =
            vec![kept(1, Vec::new()), kept(2, vec![DayUse::blank(day(0)), one(1, [0, 1, 0, 0, 300])])];
        block.extend((3..400).map(|number| kept(number, Vec::new())));
        block.push(kept(u128::MAX, vec![one(0, [1, 2, 3, 4, large]), one(2, [0; 5])]));
        let mut read = read_members(&members(&block)).unwrap();
        for offset in 0..3 {
            read_page(&mut read, day(offset), &page(&block, day(offset))).unwrap();
        }
        assert_eq!(read, block);
        assert!(page(&block, day(3)).is_empty(), "nobody did anything");
    }

    #[test]
    fn what_is_cut_off_or_does_not_fit_is_not_read() {
        let block = [Recent {
            member_id: Uuid::nil(),
            first_row: None,
            active_before: None,
            days: vec![one(0, [1, 2, 3, 4, 1 << 40])],
        }];
        let (members, page) = (members(&block), page(&block, day(0)));
        for length in 1..members.len() {
            assert_eq!(read_members(&members[..length]), None);
        }
        for length in 1..page.len() {
            assert_eq!(
                read_page(&mut read_members(&members).unwrap(), day(0), &page[..length]),
                None,
                "{length}"
            );
        }
        assert_eq!(read_page(&mut [], day(0), &page), None, "more members than the block has");
        assert_eq!(take(&mut &[0xff; 11][..]), None);
    }
}
