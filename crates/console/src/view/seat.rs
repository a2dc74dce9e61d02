//! A seat and its evidence in words.

use tidemark_domain::recommendation::{Action, Tier};
use tidemark_rpc::utilization::{Recommendation, Seat as Wire, SeatUse};

use super::{Moment, Tone, grouped, in_part, moment, money, percent, sentence};

/// A member's seat.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) id: String,
    /// Whom it is; the id where the vendor does not tell.
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: String,
    pub(crate) is_paid: bool,
    pub(crate) state: String,
    pub(crate) tone: Tone,
    /// What the state means.
    pub(crate) meaning: &'static str,
    pub(crate) first_seen: Option<Moment>,
    /// None where there was no activity since the history starts.
    pub(crate) last_active: Option<Moment>,
    pub(crate) pending_since: Option<Moment>,
    /// Of the last 28.
    pub(crate) active_days: u32,
    /// How many of these are covered; none where all are.
    pub(crate) covered_in_part: Option<u32>,
    pub(crate) uses: Vec<Use>,
    /// None where features are not told.
    pub(crate) areas: Option<String>,
    pub(crate) covered_days_90: u32,
    pub(crate) recommended: Option<Recommended>,
    pub(crate) exemption: Option<Exempt>,
}

/// What the member did in one window.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    pub(crate) days: u32,
    /// How many of them are covered; none where all are.
    pub(crate) covered_in_part: Option<u32>,
    pub(crate) active_days: u32,
    pub(crate) areas: Option<u32>,
    pub(crate) depth: Option<String>,
    pub(crate) view_only: Option<String>,
    pub(crate) maker_actions: Option<String>,
}

/// What to do about a seat.
#[derive(Debug, Clone)]
pub(crate) struct Recommended {
    pub(crate) action: String,
    pub(crate) tier: &'static str,
    pub(crate) tone: Tone,
    pub(crate) sentence: String,
    pub(crate) accepted: Option<Accepted>,
}

/// Who took it on.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) by: String,
    pub(crate) at: Option<Moment>,
}

/// Why a seat is kept.
#[derive(Debug, Clone)]
pub(crate) struct Exempt {
    pub(crate) reason: String,
    pub(crate) until: Option<Moment>,
}

/// One thing to do, with its evidence.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) seat: Seat,
    /// What the seat costs a month; none without a price, and where it only should be looked at.
    pub(crate) cost: Option<String>,
}

impl Task {
    /// None where an answer lacks the seat that it is about.
    pub(crate) fn of(recommendation: Recommendation) -> Option<Self> {
        let cost = money(recommendation.cost_per_month.as_ref());
        Some(Self { seat: recommendation.seat?.into(), cost })
    }
}

impl Seat {
    /// Whether nothing was recommended or decided.
    pub(crate) fn has_nothing(&self) -> bool {
        self.recommended.is_none() && self.exemption.is_none()
    }
}

impl From<Wire> for Seat {
    fn from(seat: Wire) -> Self {
        let (tone, meaning) = state(&seat.state);
        let recommended = Recommended::of(&seat);
        let name = match (seat.name.as_str(), seat.email.as_str()) {
            ("" | "[redacted]", "" | "[redacted]") => format!("Member {}", short(&seat.member_id)),
            ("" | "[redacted]", email) => email.to_owned(),
            (name, _) => name.to_owned(),
        };
        let tells = seat.uses.iter().all(|used| used.breadth.is_some());
        let month = seat.uses.iter().find(|used| used.days == 28).map(Use::from);
        Self {
            recommended,
            email: if seat.email == name || seat.email == "[redacted]" { String::new() } else { seat.email },
            name,
            role: sentence(&seat.role),
            is_paid: seat.paid,
            state: sentence(&seat.state),
            tone,
            meaning,
            first_seen: Moment::day(&seat.first_seen_day),
            last_active: Moment::day(&seat.last_active_day),
            pending_since: Moment::day(&seat.pending_since),
            active_days: month.as_ref().map_or(0, |used| used.active_days),
            covered_in_part: month.and_then(|used| used.covered_in_part),
            uses: seat.uses.iter().map(Use::from).collect(),
            areas: tells.then(|| listed(&seat.areas_used)),
            covered_days_90: seat.covered_days_90,
            exemption: seat
                .exemption
                .map(|exemption| Exempt { reason: exemption.reason, until: Moment::day(&exemption.until) }),
            id: seat.member_id,
        }
    }
}

impl From<&SeatUse> for Use {
    fn from(used: &SeatUse) -> Self {
        Self {
            days: used.days,
            covered_in_part: in_part(used.covered_days, used.days),
            active_days: used.active_days,
            areas: used.breadth,
            depth: used.depth.as_ref().and_then(|share| share.value).map(|value| format!("{value:.1}")),
            view_only: percent(used.view_only_share.as_ref()),
            maker_actions: used.maker_actions.map(grouped),
        }
    }
}

impl Recommended {
    fn of(seat: &Wire) -> Option<Self> {
        let action = Action::parse(&seat.action)?;
        let (tier, tone) = tier(&seat.tier)?;
        let accepted = seat.acceptance.as_ref();
        let mut sentence = action.sentence().to_owned();
        sentence[..1].make_ascii_uppercase();
        Some(Self {
            action: seat.action.clone(),
            tier,
            tone,
            sentence,
            accepted: accepted.map(|it| Accepted { by: it.by.clone(), at: moment!(it.at) }),
        })
    }
}

/// How sure it is, for a person.
pub(crate) fn tier(code: &str) -> Option<(&'static str, Tone)> {
    Some(match Tier::parse(code)? {
        Tier::Certain => ("Certain", Tone::Bad),
        Tier::Probable => ("Probable", Tone::Warn),
        Tier::Review => ("Review", Tone::Quiet),
    })
}

fn state(code: &str) -> (Tone, &'static str) {
    match code {
        "engaged" => (Tone::Good, "Active on 4 days or more of the last 28."),
        "occasional" => (Tone::Good, "Active on 1 to 3 days of the last 28."),
        "dormant" => (Tone::Warn, "Active before, but not in the last 28 days."),
        "never_seen" => (Tone::Warn, "No activity since the history starts."),
        "new" => (Tone::Quiet, "First seen less than 30 days ago, and not active yet."),
        "pending" => (Tone::Quiet, "The invitation at Productboard is not accepted."),
        "disabled" => (Tone::Quiet, "Disabled at Productboard."),
        _ => (Tone::Quiet, "Not all of the last 28 days are covered: not known is not inactive."),
    }
}

fn listed(areas: &[String]) -> String {
    if areas.is_empty() { "None".to_owned() } else { sentence(&areas.join(", ")) }
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use tidemark_rpc::utilization::Acceptance;

    use super::*;

    #[test]
    fn a_seat_has_a_name_whatever_the_vendor_tells() {
        let with = |name: &str, email: &str| {
            let (name, email) = (name.to_owned(), email.to_owned());
            let seat =
                Seat::from(Wire { name, email, member_id: "0123456789".to_owned(), ..Wire::default() });
            (seat.name, seat.email)
        };
        let expected = |name: &str, email: &str| (name.to_owned(), email.to_owned());
        assert_eq!(with("Ada", "ada@acme.test"), expected("Ada", "ada@acme.test"));
        assert_eq!(with("", "ada@acme.test"), expected("ada@acme.test", ""));
        assert_eq!(with("[redacted]", "[redacted]"), expected("Member 01234567", ""));
    }

    #[test]
    fn a_recommendation_says_how_sure_it_is_and_who_took_it_on() {
        let seat = Wire {
            tier: "probable".to_owned(),
            action: "reassign".to_owned(),
            acceptance: Some(Acceptance { by: "Grace".to_owned(), at: None }),
            ..Wire::default()
        };
        let recommended = Seat::from(seat).recommended.unwrap();
        assert_eq!((recommended.tier, recommended.tone), ("Probable", Tone::Warn));
        assert!(recommended.sentence.starts_with("No activity for 60 days"));
        assert_eq!(recommended.accepted.unwrap().by, "Grace");
        assert!(Seat::from(Wire::default()).recommended.is_none());
    }

    #[test]
    fn coverage_is_told_where_a_window_is_not_covered_whole() {
        let used = |days, covered_days| SeatUse { days, covered_days, ..SeatUse::default() };
        let seat = Seat::from(Wire { uses: vec![used(7, 7), used(28, 20)], ..Wire::default() });
        assert_eq!(seat.uses.iter().map(|used| used.covered_in_part).collect::<Vec<_>>(), [None, Some(20)]);
        assert_eq!(seat.covered_in_part, Some(20));
    }

    #[test]
    fn what_is_not_told_is_not_zero() {
        let told = SeatUse { days: 28, breadth: Some(0), ..SeatUse::default() };
        let seat = |used: SeatUse| Seat::from(Wire { uses: vec![used], ..Wire::default() });
        assert_eq!(seat(told).areas.as_deref(), Some("None"));
        let hidden = seat(SeatUse { days: 28, breadth: None, ..SeatUse::default() });
        assert!(hidden.areas.is_none() && hidden.uses[0].maker_actions.is_none());
    }
}
