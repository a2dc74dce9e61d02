//! The numbers of the summary, computed by reading the definitions aloud: no bits, no pages, no sums carried along.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use tidemark_domain::{
    activity::{Area, COUNTER_TABLE, Kind, MemberDay},
    member::{Role, Standing},
};
use tidemark_rpc::utilization as wire;
use uuid::Uuid;

use super::{ROSTERS, Sample, at};

impl Sample {
    /// The summary by the definitions, without bits, pages or sums carried along.
    pub(crate) fn expected(&self) -> wire::Summary {
        let as_of = *self.covered.last().unwrap();
        wire::Summary {
            connection_id: self.connection.to_string(),
            as_of: as_of.to_string(),
            history_start: self.covered.first().unwrap().to_string(),
            definition_version: 1,
            run_id: self.run.to_string(),
            members: u32::try_from(self.rosters[1].len()).unwrap(),
            windows: [1, 7, 28, 90].map(|window| self.window(as_of, window)).to_vec(),
            seat_states: self.seat_states(as_of, 0),
            // What the answer stands on and what is recommended have tests of their own.
            basis: None,
            savings: None,
            allocation: Some(wire::Share {
                numerator: self.window(as_of, 1).assigned_seats.into(),
                ..wire::Share::default()
            }),
            stickiness: Some(self.stickiness(as_of)),
            cost_per_active_seat: None,
            price_per_seat_month: None,
            unknown_roles: self.unknown_roles(),
            idle: [7, 28, 90]
                .map(|days| wire::IdleSeats {
                    days,
                    states: self.seat_states(as_of, days),
                    cost_per_month: None,
                })
                .to_vec(),
        }
    }

    /// The only role that is not known, of those who are not disabled.
    fn unknown_roles(&self) -> Vec<wire::RoleCount> {
        let stewards = self.rosters[1].values().filter(|it| it.role.as_str() == "steward" && !it.disabled);
        let members = u32::try_from(stewards.count()).unwrap();
        vec![wire::RoleCount { role: "steward".to_owned(), members }]
    }

    /// How a member stood on a day, by the two rosters.
    fn stood(&self, member: Uuid, day: NaiveDate) -> Option<&Standing> {
        self.rosters[usize::from(day >= at(ROSTERS[1]))].get(&member)
    }

    fn dau(&self, day: NaiveDate) -> u32 {
        let active = self.days.iter().filter(|row| row.day == day && row.is_active());
        u32::try_from(active.filter(|row| self.stood(row.member_id, day).is_some()).count()).unwrap()
    }

    fn stickiness(&self, as_of: NaiveDate) -> wire::Share {
        let daily: u32 = (0..28).map(|back| self.dau(as_of - Days::new(back))).sum();
        share(daily, self.window(as_of, 28).active_members * 28)
    }

    fn rows(&self, member: Uuid, from: NaiveDate, to: NaiveDate) -> Vec<&MemberDay> {
        let inside = |row: &&MemberDay| row.member_id == member && (from..=to).contains(&row.day);
        self.days.iter().filter(inside).collect()
    }

    fn window(&self, as_of: NaiveDate, days: u32) -> wire::WindowUse {
        let from = as_of - Days::new(u64::from(days) - 1);
        let mut sum = wire::WindowUse {
            days,
            covered_days: u32::try_from(self.covered.range(from..=as_of).count()).unwrap(),
            areas: Area::ALL
                .map(|area| wire::AreaUse { area: area.as_str().to_owned(), ..Default::default() })
                .to_vec(),
            ..Default::default()
        };
        for (member, standing) in &self.rosters[1] {
            let rows = self.rows(*member, from, as_of);
            let active = rows.iter().filter(|row| row.is_active()).count();
            sum.member_days += u32::try_from(active).unwrap();
            sum.active_members += u32::from(active > 0);
            if is_paid(standing) {
                sum.assigned_seats += 1;
                sum.active_seats += u32::from(active > 0);
                sum.idle_seats += u32::from(active == 0);
                Area::ALL.into_iter().zip(&mut sum.areas).for_each(|(area, sum)| add(area, &rows, sum));
            }
        }
        sum.daily_actives = (0..u64::from(days)).map(|back| self.dau(as_of - Days::new(back))).sum();
        sum.seat_utilization = Some(share(sum.active_seats, sum.assigned_seats));
        sum.purchased_utilization =
            Some(wire::Share { numerator: sum.active_seats.into(), ..wire::Share::default() });
        for area in &mut sum.areas {
            area.adoption = Some(share(area.members, sum.active_seats));
        }
        sum
    }

    /// Of the paid seats; with `idle_in`, of those without an active day in so many.
    fn seat_states(&self, as_of: NaiveDate, idle_in: u32) -> Vec<wire::SeatStateCount> {
        let from = as_of - Days::new(27);
        let known = self.covered.range(from..=as_of).count() == 28;
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        let idle = |member: Uuid| {
            let from = as_of - Days::new(u64::from(idle_in.max(1)) - 1);
            idle_in == 0 || !self.rows(member, from, as_of).iter().any(|row| row.is_active())
        };
        for (member, _) in self.rosters[1].iter().filter(|(id, standing)| is_paid(standing) && idle(**id)) {
            let ever = self.rows(*member, at(0), as_of).iter().any(|row| row.is_active());
            let recent = self.rows(*member, from, as_of).iter().filter(|row| row.is_active()).count();
            let rows = !self.rows(*member, at(0), as_of - Days::new(30)).is_empty();
            let newcomer = !self.rosters[0].contains_key(member) && !rows;
            let state = match (known, ever, recent) {
                (false, ..) => "unknown",
                (_, false, _) if newcomer => "new",
                (_, false, _) => "never_seen",
                (_, _, 0) => "dormant",
                (_, _, 1..=3) => "occasional",
                _ => "engaged",
            };
            *counts.entry(state).or_default() += 1;
        }
        ["unknown", "new", "never_seen", "dormant", "occasional", "engaged"]
            .into_iter()
            .filter_map(|state| {
                Some(wire::SeatStateCount { state: state.to_owned(), seats: *counts.get(state)? })
            })
            .collect()
    }
}

fn share(numerator: u32, denominator: u32) -> wire::Share {
    let value = (denominator > 0).then(|| f64::from(numerator) / f64::from(denominator));
    wire::Share { numerator: numerator.into(), denominator: Some(denominator.into()), value }
}

/// A summary without what has tests of its own.
pub(crate) fn bare(summary: wire::Summary) -> wire::Summary {
    wire::Summary { basis: None, savings: None, ..summary }
}

fn is_paid(standing: &Standing) -> bool {
    matches!(standing.role, Role::Admin | Role::Maker) && !standing.disabled && !standing.pending
}

fn add(area: Area, rows: &[&MemberDay], sum: &mut wire::AreaUse) {
    let actions: Vec<_> = rows
        .iter()
        .flat_map(|row| COUNTER_TABLE.iter().zip(row.counters.0))
        .filter(|(counter, value)| counter.area == Some(area) && value.unwrap_or(0) > 0)
        .collect();
    let with = |kind| actions.iter().any(|(counter, _)| counter.kind == kind);
    sum.members += u32::from(!actions.is_empty());
    sum.creators += u32::from(with(Kind::Edit));
    sum.openers += u32::from(with(Kind::View));
    sum.actions += actions.iter().map(|(_, value)| u64::from(value.unwrap_or(0))).sum::<u64>();
}
