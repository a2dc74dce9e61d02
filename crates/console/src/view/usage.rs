//! The numbers of a workspace in words: paid, used, idle, what they cost, and what to do.

use tidemark_rpc::utilization::{Alert as Told, AreaUse, CutUse, Savings, Summary, WindowUse};

use super::{Moment, basis::Basis, grouped, moment, money, percent, seats, sentence, with_days};

/// The window lengths that people can choose from.
pub(crate) const WINDOWS: [u32; 3] = [7, 28, 90];
/// The one that is shown where nobody has chosen.
pub(crate) const USUAL: u32 = 28;

/// The newest numbers over one window.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub(crate) basis: Basis,
    pub(crate) members: String,
    pub(crate) window: Option<Window>,
    pub(crate) states: Vec<SeatState>,
    /// What the window's idle seats cost a month; none without a price.
    pub(crate) idle_cost: Option<String>,
    pub(crate) cost_per_active: Option<String>,
    pub(crate) purchased: Option<String>,
    pub(crate) allocation: Option<String>,
    pub(crate) stickiness: Option<String>,
    pub(crate) todo: Todo,
}

/// What can be done, and what it saves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Todo {
    pub(crate) certain: u32,
    pub(crate) probable: u32,
    pub(crate) review: u32,
    pub(crate) reassignable: String,
    pub(crate) reassignable_cost: Option<String>,
    /// None without a contract.
    pub(crate) droppable: Option<String>,
    pub(crate) saving: Option<String>,
}

impl Todo {
    pub(crate) fn is_nothing(&self) -> bool {
        self.certain + self.probable + self.review == 0
    }

    /// Whether seats can be taken back, and not only looked at.
    pub(crate) fn frees_seats(&self) -> bool {
        self.certain + self.probable > 0
    }
}

/// The numbers of one window.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) days: u32,
    pub(crate) covered: u32,
    pub(crate) paid: String,
    pub(crate) used: String,
    pub(crate) idle: String,
    pub(crate) active_members: String,
    pub(crate) utilization: Option<String>,
    pub(crate) purchased_utilization: Option<String>,
    pub(crate) is_whole: bool,
    pub(crate) areas: Vec<Area>,
}

/// One feature area.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    pub(crate) name: String,
    pub(crate) members: u32,
    pub(crate) creators: String,
    pub(crate) openers: String,
    pub(crate) actions: String,
    /// Paid members who were active.
    pub(crate) active: u64,
    pub(crate) adoption: Option<String>,
}

/// Seats in one state.
#[derive(Debug, Clone)]
pub(crate) struct SeatState {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) seats: String,
}

/// A team, a role or a month of arrival.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) paid: u32,
    pub(crate) used: u32,
    pub(crate) idle: String,
    pub(crate) utilization: Option<String>,
}

/// Something that was told and holds.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    pub(crate) sentence: String,
    pub(crate) told: Option<Moment>,
    /// The day of its numbers.
    pub(crate) as_of: Option<Moment>,
    /// Whose seat it is about; empty where it is about none.
    pub(crate) member: String,
    pub(crate) member_name: String,
}

impl From<Told> for Alert {
    fn from(alert: Told) -> Self {
        let is_told = !["", "[redacted]"].contains(&alert.member_name.as_str());
        Self {
            sentence: sentence(&with_days(&alert.sentence)),
            told: moment!(alert.told_at),
            as_of: Moment::day(&alert.as_of),
            member_name: if is_told { alert.member_name } else { "The seat".to_owned() },
            member: alert.member_id,
        }
    }
}

impl Usage {
    pub(crate) fn of(summary: Summary, days: u32) -> Self {
        let window = summary.windows.iter().find(|window| window.days == days);
        let idle = summary.idle.iter().find(|idle| idle.days == days);
        let states = summary.seat_states.iter().map(|state| SeatState {
            code: state.state.clone(),
            name: sentence(&state.state),
            seats: grouped(state.seats.into()),
        });
        let purchased = summary.allocation.as_ref().and_then(|share| share.denominator);
        Self {
            states: states.collect(),
            window: window.map(Window::from),
            members: grouped(summary.members.into()),
            idle_cost: idle.and_then(|idle| money(idle.cost_per_month.as_ref())),
            cost_per_active: money(summary.cost_per_active_seat.as_ref()),
            purchased: purchased.map(grouped),
            allocation: percent(summary.allocation.as_ref()),
            stickiness: percent(summary.stickiness.as_ref()),
            todo: summary.savings.map(Todo::from).unwrap_or_default(),
            basis: summary.basis.map(Basis::from).unwrap_or_default(),
        }
    }
}

impl From<Savings> for Todo {
    fn from(savings: Savings) -> Self {
        Self {
            certain: savings.certain,
            probable: savings.probable,
            review: savings.review,
            reassignable: seats(savings.reassignable_now),
            reassignable_cost: money(savings.reassignable_per_month.as_ref()),
            droppable: savings.droppable_at_renewal.map(seats),
            saving: money(savings.saving_at_renewal.as_ref()),
        }
    }
}

impl From<&WindowUse> for Window {
    fn from(window: &WindowUse) -> Self {
        Self {
            days: window.days,
            covered: window.covered_days,
            paid: grouped(window.assigned_seats.into()),
            used: grouped(window.active_seats.into()),
            idle: grouped(window.idle_seats.into()),
            active_members: grouped(window.active_members.into()),
            utilization: percent(window.seat_utilization.as_ref()),
            purchased_utilization: percent(window.purchased_utilization.as_ref()),
            is_whole: window.covered_days >= window.days,
            areas: window.areas.iter().map(Area::from).collect(),
        }
    }
}

impl From<&AreaUse> for Area {
    fn from(area: &AreaUse) -> Self {
        Self {
            name: sentence(&area.area),
            members: area.members,
            creators: grouped(area.creators.into()),
            openers: grouped(area.openers.into()),
            actions: grouped(area.actions),
            active: area.adoption.as_ref().and_then(|share| share.denominator).unwrap_or(0),
            adoption: percent(area.adoption.as_ref()),
        }
    }
}

impl From<CutUse> for Group {
    fn from(group: CutUse) -> Self {
        let (cut, window) = (group.cut.unwrap_or_default(), group.window.unwrap_or_default());
        Self {
            name: match cut.kind.as_str() {
                "role" => sentence(&cut.key),
                "cohort" => Moment::month(&cut.key).unwrap_or(cut.name),
                _ => cut.name,
            },
            key: cut.key,
            paid: window.assigned_seats,
            used: window.active_seats,
            idle: grouped(window.idle_seats.into()),
            utilization: percent(window.seat_utilization.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_rpc::utilization::{IdleSeats, Money, Share};

    use super::*;

    #[test]
    fn what_is_not_covered_is_said() {
        let window = WindowUse { days: 28, covered_days: 12, assigned_seats: 1200, ..Default::default() };
        let summary = Summary { windows: vec![window], ..Default::default() };
        let shown = Usage::of(summary.clone(), 28).window.unwrap();
        assert!(!shown.is_whole);
        assert_eq!((shown.covered, shown.paid.as_str()), (12, "1,200"));
        assert!(Usage::of(summary, 7).window.is_none());
    }

    #[test]
    fn what_idle_seats_cost_is_of_the_same_window() {
        let idle = |days, minor| IdleSeats {
            days,
            cost_per_month: Some(Money { minor, currency: "EUR".to_owned() }),
            ..Default::default()
        };
        let allocation = Some(Share { numerator: 3, denominator: Some(4), value: Some(0.75) });
        let summary = Summary { idle: vec![idle(7, 900), idle(28, 400)], allocation, ..Default::default() };
        let shown = Usage::of(summary, 28);
        assert_eq!(shown.idle_cost.as_deref(), Some("4.00 EUR"));
        assert_eq!((shown.purchased.as_deref(), shown.allocation.as_deref()), (Some("4"), Some("75\u{a0}%")));
        let unknown = Usage::of(Summary::default(), 28);
        assert_eq!((unknown.idle_cost, unknown.purchased), (None, None), "unknown is not zero");
        assert!(unknown.todo.is_nothing());
    }
}
