//! What pages show, in words: from the services' answers to what stands in the templates.

pub(crate) mod basis;
pub(crate) mod connection;
pub(crate) mod contract;
pub(crate) mod event;
pub(crate) mod invitation;
pub(crate) mod run;
pub(crate) mod seat;
pub(crate) mod usage;

use chrono::{DateTime, NaiveDate, Utc};
use tidemark_domain::contract::Currency;
use tidemark_rpc::utilization::{Money, Share};

/// How serious a state is. A word always stands beside the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warn,
    Bad,
    Quiet,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

/// A moment as pages show it: for machines, and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) machine: String,
    pub(crate) person: String,
}

impl Moment {
    pub(crate) fn of(at: DateTime<Utc>) -> Self {
        Self {
            machine: at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            person: at.format("%-d %b %Y, %H:%M UTC").to_string(),
        }
    }

    /// `2026-08` → `Aug 2026`
    pub(crate) fn month(text: &str) -> Option<String> {
        let first: NaiveDate = format!("{text}-01").parse().ok()?;
        Some(first.format("%b %Y").to_string())
    }

    /// A day as the services write it, `2026-08-11`; none where it is empty.
    pub(crate) fn day(text: &str) -> Option<Self> {
        let day: NaiveDate = text.parse().ok()?;
        Some(Self { machine: text.to_owned(), person: day.format("%-d %b %Y").to_string() })
    }
}

/// Reads an optional timestamp of a message.
macro_rules! moment {
    ($timestamp:expr) => {
        $timestamp.as_ref().and_then(tidemark_rpc::instant).map(crate::view::Moment::of)
    };
}
pub(crate) use moment;

/// A service's sentence, with its days as people write them.
pub(crate) fn with_days(sentence: &str) -> String {
    let word = |word: &str| {
        let day = word.get(..10).and_then(Moment::day);
        day.map_or_else(|| word.to_owned(), |day| day.person + &word[10..])
    };
    sentence.split_inclusive(' ').map(word).collect()
}

/// 1,234,567
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Covered days of a window; none where all of its days are.
pub(crate) fn in_part(covered: u32, days: u32) -> Option<u32> {
    Some(covered).filter(|covered| *covered < days)
}

/// `never_seen` → `Never seen`
pub(crate) fn sentence(code: &str) -> String {
    let text = code.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `1 seat`, `2 seats`
pub(crate) fn seats(number: u32) -> String {
    format!("{} {}", grouped(number.into()), if number == 1 { "seat" } else { "seats" })
}

/// `1,250.00 EUR`; none where the price is not known.
pub(crate) fn money(money: Option<&Money>) -> Option<String> {
    let money = money?;
    let currency: Currency = money.currency.parse().ok()?;
    Some(currency.show(money.minor))
}

/// `70 %`, which does not break; none where the whole is nothing, or not known.
pub(crate) fn percent(share: Option<&Share>) -> Option<String> {
    Some(format!("{:.0}\u{a0}%", share?.value? * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_moments_read_well() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        assert!(cases.iter().all(|(number, text)| grouped(*number) == *text));
        assert_eq!((seats(1), seats(2_000)), ("1 seat".to_owned(), "2,000 seats".to_owned()));
        assert_eq!(sentence("never_seen"), "Never seen");
        assert_eq!(Moment::day("2026-08-06").unwrap().person, "6 Aug 2026");
        assert_eq!(Moment::day(""), None);
        assert_eq!(Moment::month("2026-08").as_deref(), Some("Aug 2026"));
        assert_eq!(with_days("Until 2026-08-06, or 30 days"), "Until 6 Aug 2026, or 30 days");
        let price = Money { minor: 125_000, currency: "EUR".to_owned() };
        assert_eq!(money(Some(&price)).as_deref(), Some("1,250.00 EUR"));
        assert_eq!(money(None), None);
        let share = Share { numerator: 2, denominator: Some(3), value: Some(2.0 / 3.0) };
        assert_eq!(percent(Some(&share)).as_deref(), Some("67\u{a0}%"));
        assert_eq!(percent(Some(&Share::default())), None, "of nothing there is no share");
        let moment = Moment::of(DateTime::from_timestamp(1_786_000_000, 0).unwrap());
        assert_eq!(
            (moment.machine.as_str(), moment.person.as_str()),
            ("2026-08-06T07:06:40Z", "6 Aug 2026, 07:06 UTC")
        );
    }
}
