//! What a rollup needs of one member day: the counters, added up by what they mean.

use chrono::NaiveDate;

use crate::activity::{Area, COUNTER_TABLE, Counters, Kind, MemberDay};

/// One member day, added up. Much smaller than the day itself, and all that the numbers depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayUse {
    /// The date.
    pub day: NaiveDate,
    /// Whether the member was active.
    pub active: bool,
    /// Areas something was created or changed in: bit n is the nth of [`Area::ALL`].
    pub created: u8,
    /// Areas something was opened in.
    pub opened: u8,
    /// Actions per area; above zero where one of the two bits is set.
    pub actions: [u64; 5],
    /// Of all actions, boards opened.
    pub views: u64,
    /// Of all actions, what needs a paid seat.
    pub maker_actions: u64,
}

impl DayUse {
    /// A day without anything.
    pub fn blank(day: NaiveDate) -> Self {
        Self { day, active: false, created: 0, opened: 0, actions: [0; 5], views: 0, maker_actions: 0 }
    }

    /// A day with the vendor's flag and those counters.
    pub fn of(day: NaiveDate, active_flag: bool, counters: &Counters) -> Self {
        let mut sum = Self::blank(day);
        for (counter, value) in COUNTER_TABLE.iter().zip(counters.0) {
            let (Some(area), Some(value @ 1..)) = (counter.area, value) else { continue };
            let (bit, value) = (1 << area as u8, u64::from(value));
            sum.actions[area as usize] += value;
            match counter.kind {
                Kind::View => (sum.opened, sum.views) = (sum.opened | bit, sum.views + value),
                _ => sum.created |= bit,
            }
            if counter.needs_seat() {
                sum.maker_actions += value;
            }
        }
        sum.active = active_flag || sum.areas() != 0;
        sum
    }

    /// Actions of any kind.
    pub fn total(&self) -> u64 {
        self.actions.iter().sum()
    }

    /// Notes created: what is left of the actions.
    pub fn notes(&self) -> u64 {
        self.total() - self.views - self.maker_actions
    }

    /// The areas with an action, as bits.
    pub fn areas(&self) -> u8 {
        self.created | self.opened
    }
}

impl From<&MemberDay> for DayUse {
    fn from(row: &MemberDay) -> Self {
        Self::of(row.day, row.active_flag, &row.counters)
    }
}

/// The areas of those bits.
pub(super) fn areas_of(bits: u8) -> impl Iterator<Item = Area> {
    Area::ALL.into_iter().filter(move |area| bits & (1 << *area as u8) != 0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::member::Role;

    #[test]
    fn counters_add_up_by_what_they_mean() {
        let mut counters = Counters::default();
        for (column, value) in [
            ("board_opened", 99),
            ("note_created", 4),
            ("note_state_changed", 2),
            ("grid_board_opened", 3),
            ("grid_board_created", 0),
            ("column_board_created", u32::MAX),
            ("timeline_board_created", u32::MAX),
        ] {
            let at = COUNTER_TABLE.iter().position(|counter| counter.column == column).unwrap();
            counters.0[at] = Some(value);
        }
        let role = Role::Maker;
        let row =
            MemberDay { member_id: Uuid::nil(), day: NaiveDate::MIN, role, active_flag: false, counters };
        let day = DayUse::from(&row);
        let roadmaps = 2 * u64::from(u32::MAX);
        assert_eq!(day.actions, [3, roadmaps, 6, 0, 0]);
        assert_eq!((day.created, day.opened, day.active), (0b110, 0b1, true));
        assert_eq!((day.views, day.maker_actions, day.notes()), (3, roadmaps + 2, 4));
        assert!(areas_of(day.areas()).eq([Area::Prioritization, Area::Roadmaps, Area::Insights]));
        let empty = MemberDay { counters: Counters::default(), ..row };
        assert_eq!(DayUse::from(&empty), DayUse::blank(NaiveDate::MIN));
        assert!(DayUse::from(&MemberDay { active_flag: true, ..empty }).active, "the flag alone");
    }
}
