//! The numbers of a workspace in words: paid, used, idle, and how much of the window is covered.

use tidemark_rpc::utilization::{Summary, WindowUse};

use super::grouped;

/// The newest numbers.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub(crate) as_of: String,
    pub(crate) history_start: String,
    pub(crate) members: String,
    pub(crate) window: Option<Window>,
    pub(crate) states: Vec<SeatState>,
}

/// Those of the 28 days before.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) days: u32,
    pub(crate) covered: u32,
    pub(crate) paid: String,
    pub(crate) used: String,
    pub(crate) idle: String,
    pub(crate) is_whole: bool,
    pub(crate) areas: Vec<Area>,
}

/// One feature area.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    pub(crate) name: String,
    pub(crate) members: u32,
    pub(crate) creators: u32,
    pub(crate) paid: u32,
}

/// Seats in one state.
#[derive(Debug, Clone)]
pub(crate) struct SeatState {
    pub(crate) name: String,
    pub(crate) seats: String,
}

const WINDOW_DAYS: u32 = 28;

impl From<Summary> for Usage {
    fn from(summary: Summary) -> Self {
        let window = summary.windows.iter().find(|window| window.days == WINDOW_DAYS);
        let states = summary
            .seat_states
            .iter()
            .map(|state| SeatState { name: sentence(&state.state), seats: grouped(state.seats.into()) });
        Self {
            states: states.collect(),
            window: window.map(Window::from),
            members: grouped(summary.members.into()),
            as_of: summary.as_of,
            history_start: summary.history_start,
        }
    }
}

impl From<&WindowUse> for Window {
    fn from(window: &WindowUse) -> Self {
        let areas = window.areas.iter().map(|area| Area {
            name: sentence(&area.area),
            members: area.members,
            creators: area.creators,
            paid: window.assigned_seats,
        });
        Self {
            days: window.days,
            covered: window.covered_days,
            paid: grouped(window.assigned_seats.into()),
            used: grouped(window.active_seats.into()),
            idle: grouped(window.idle_seats.into()),
            is_whole: window.covered_days >= window.days,
            areas: areas.collect(),
        }
    }
}

/// `never_seen` → `Never seen`
fn sentence(code: &str) -> String {
    let text = code.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_covered_is_said() {
        let window = WindowUse { days: 28, covered_days: 12, assigned_seats: 1200, ..Default::default() };
        let summary = Summary { windows: vec![window], as_of: "2026-08-11".to_owned(), ..Default::default() };
        let shown = Usage::from(summary).window.unwrap();
        assert!(!shown.is_whole);
        assert_eq!((shown.covered, shown.paid.as_str()), (12, "1,200"));
        assert!(Usage::from(Summary::default()).window.is_none());
        assert_eq!(sentence("never_seen"), "Never seen");
    }
}
