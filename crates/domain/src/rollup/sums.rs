//! What the members of one cut add up to, as changes from day to day: who counts on a run of days adds one where the run
//! begins and takes it away where it ends, whatever its length.

use super::{AreaUse, WINDOWS, WindowUse, tracks::AMOUNTS};

/// Numbers kept per day and window: four of the seats, four per area.
const NUMBERS: usize = 4 + 5 * 4;

/// Which number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Assigned,
    ActiveSeats,
    ActiveMembers,
    MemberDays,
    AreaMembers(usize),
    AreaCreators(usize),
    AreaOpeners(usize),
    AreaActions(usize),
}

impl Number {
    fn place(self) -> usize {
        match self {
            Self::Assigned => 0,
            Self::ActiveSeats => 1,
            Self::ActiveMembers => 2,
            Self::MemberDays => 3,
            Self::AreaMembers(area) => 4 + area,
            Self::AreaCreators(area) => 9 + area,
            Self::AreaOpeners(area) => 14 + area,
            Self::AreaActions(area) => 19 + area,
        }
    }
}

/// One member's changes, to be added to every cut the member belongs to.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<(u32, i64)>);

impl Changes {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `amount` on the days `from..to`, counted from the origin. `length` is how many days there are.
    pub(super) fn add(
        &mut self,
        length: usize,
        window: usize,
        number: Number,
        run: (usize, usize),
        amount: i64,
    ) {
        if run.0 < run.1 {
            let row = (window * NUMBERS + number.place()) * (length + 1);
            let slot = |day: usize| u32::try_from(row + day).expect("days are few");
            self.0.push((slot(run.0), amount));
            self.0.push((slot(run.1), -amount));
        }
    }
}

/// What the members of a cut add up to.
#[derive(Debug)]
pub(super) struct Sums {
    length: usize,
    slots: Vec<i64>,
    /// What steady members did on each day: of a window, the sum of its days.
    days: Vec<[i64; AMOUNTS]>,
}

impl Sums {
    pub(super) fn new(length: usize) -> Self {
        let slots = vec![0; WINDOWS.len() * NUMBERS * (length + 1)];
        Self { length, slots, days: vec![[0; AMOUNTS]; length] }
    }

    /// Adds a member who stands the same way on all days that are told.
    pub(super) fn add_days(&mut self, amounts: &[(usize, [i64; AMOUNTS])], paid: bool) {
        // Of areas, what paid members do is told.
        let told = if paid { AMOUNTS } else { 1 };
        for (day, amounts) in amounts {
            let sums = self.days[*day][..told].iter_mut();
            sums.zip(amounts).for_each(|(sum, amount)| *sum += amount);
        }
    }

    pub(super) fn apply(&mut self, changes: &Changes) {
        changes.0.iter().for_each(|(slot, amount)| self.slots[*slot as usize] += amount);
    }

    /// Turns changes into numbers. To be called once, when all members are in.
    pub(super) fn accumulate(&mut self) {
        // Sums up to each day: a window's sum is the difference of two of them.
        for at in 1..self.days.len() {
            let before = self.days[at - 1];
            self.days[at].iter_mut().zip(before).for_each(|(sum, before)| *sum += before);
        }
        for row in self.slots.chunks_exact_mut(self.length + 1) {
            let mut sum = 0;
            row.iter_mut().for_each(|slot| {
                sum += *slot;
                *slot = sum;
            });
        }
    }

    fn number(&self, window: usize, number: Number, day: usize) -> u64 {
        let row = (window * NUMBERS + number.place()) * (self.length + 1);
        let amount = match number {
            Number::MemberDays => self.amount(window, 0, day),
            Number::AreaActions(area) => self.amount(window, 1 + area, day),
            _ => 0,
        };
        let sum = self.slots[row + day] + amount;
        u64::try_from(sum).expect("what was added was added before it was taken away")
    }

    /// Of the steady members, in the window that ends on that day.
    fn amount(&self, window: usize, place: usize, day: usize) -> i64 {
        let before = (day + 1).checked_sub(WINDOWS[window] as usize + 1);
        self.days[day][place] - before.map_or(0, |before| self.days[before][place])
    }

    /// The numbers of a window that ends on that day, counted from the origin. Without its coverage.
    pub(super) fn window(&self, window: usize, day: usize) -> WindowUse {
        let count = |number| u32::try_from(self.number(window, number, day)).unwrap_or(u32::MAX);
        let first = (day + 1).saturating_sub(WINDOWS[window] as usize);
        let daily = (first..=day).map(|day| self.number(0, Number::ActiveMembers, day)).sum::<u64>();
        let area = |area| AreaUse {
            members: count(Number::AreaMembers(area)),
            creators: count(Number::AreaCreators(area)),
            openers: count(Number::AreaOpeners(area)),
            actions: self.number(window, Number::AreaActions(area), day),
        };
        WindowUse {
            covered_days: 0,
            // The same in every window.
            assigned: u32::try_from(self.number(0, Number::Assigned, day)).unwrap_or(u32::MAX),
            active_seats: count(Number::ActiveSeats),
            active_members: count(Number::ActiveMembers),
            member_days: count(Number::MemberDays),
            daily_actives: u32::try_from(daily).unwrap_or(u32::MAX),
            areas: std::array::from_fn(area),
        }
    }
}
