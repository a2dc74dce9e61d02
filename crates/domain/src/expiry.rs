//! When something about a credential is due: warnings before its end, renewals, probes, pauses after failures.
//!
//! Each clock may be wrong by two minutes. Two of them meet at every deadline, one that wrote it and one that reads it, so
//! that a deadline is certain only [`GUARD`] away from it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How wrong two clocks may be against each other.
pub const GUARD: TimeDelta = TimeDelta::seconds(240);
/// How long the vendor takes a refresh token again that was used already.
pub const GRACE: TimeDelta = TimeDelta::minutes(60);

/// So many days ahead a warning is given.
const WARNINGS: [u32; 3] = [1, 7, 14];
const SHORTEST_MARGIN: Duration = Duration::from_secs(60);
const FIRST_COOLDOWN: Duration = Duration::from_secs(30);
const LONGEST_COOLDOWN: Duration = Duration::from_secs(60 * 60);
/// A key of this age should be changed.
const OLD_KEY: TimeDelta = TimeDelta::days(365);
const BETWEEN_REMINDERS: TimeDelta = TimeDelta::days(90);

/// The warning that is due, in days; none where that one or a nearer one was given already.
pub fn warning(now: DateTime<Utc>, end: DateTime<Utc>, warned: Option<u32>) -> Option<u32> {
    let left = end - now;
    let due = WARNINGS.into_iter().find(|days| left <= TimeDelta::days(i64::from(*days)))?;
    warned.is_none_or(|warned| due < warned).then_some(due)
}

/// Whether the end is so far away that no clock would warn: a connection that was expiring has recovered.
pub fn is_far(now: DateTime<Utc>, end: DateTime<Utc>) -> bool {
    end - now > TimeDelta::days(14) + GUARD
}

/// Whether a token can be handed out: whatever the clocks say, its end is still ahead.
pub fn is_usable(now: DateTime<Utc>, end: DateTime<Utc>) -> bool {
    end - now > GUARD
}

/// When a token of this life is renewed: a margin before it stops being usable, spread by `share` of 0 to 1.
pub fn refresh_at(now: DateTime<Utc>, life: Duration, share: f64) -> DateTime<Utc> {
    let margin = SHORTEST_MARGIN.max(life / 10);
    let early = margin + margin.mul_f64(share.clamp(0.0, 1.0) / 4.0);
    // A token that lives for minutes is not renewed at once: it is handed out while it is sure.
    (now + life.saturating_sub(early) - GUARD).max(now + life / 6)
}

/// How long to wait after so many failed renewals in a row: 30 s, doubling to an hour.
pub fn cooldown(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST_COOLDOWN * 2_u32.pow(doublings)).min(LONGEST_COOLDOWN)
}

/// When an idle connection is tried next: within the interval, in its last quarter.
pub fn next_probe(now: DateTime<Utc>, interval: Duration, share: f64) -> DateTime<Utc> {
    now + interval.mul_f64(0.75 + share.clamp(0.0, 1.0) / 4.0)
}

/// When a new connection is tried for the first time: anywhere in the interval, so that connections which were made
/// together are not tried together.
pub fn first_probe(now: DateTime<Utc>, interval: Duration, share: f64) -> DateTime<Utc> {
    now + interval.mul_f64(share.clamp(0.0, 1.0))
}

/// Whether to remind of a key's age: it has no end that is known, but an old one should be changed.
pub fn is_reminder_due(now: DateTime<Utc>, made: DateTime<Utc>, reminded: Option<DateTime<Utc>>) -> bool {
    now - made >= OLD_KEY && reminded.is_none_or(|last| now - last >= BETWEEN_REMINDERS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_786_536_000, 0).unwrap()
    }

    fn seconds(seconds: i64) -> TimeDelta {
        TimeDelta::seconds(seconds)
    }

    proptest! {
        /// Clocks that are wrong by up to two minutes, back and forth, looking every hour.
        #[test]
        fn each_warning_is_given_once_whatever_the_clocks_say(skews in prop::collection::vec(-120_i64..=120, 24 * 20)) {
            let end = noon() + TimeDelta::days(20);
            let (mut warned, mut given) = (None, Vec::new());
            for (hour, skew) in skews.into_iter().enumerate() {
                let now = noon() + TimeDelta::hours(hour as i64) + seconds(skew);
                if let Some(days) = warning(now, end, warned) {
                    given.push(days);
                    warned = Some(days);
                }
                prop_assert!(warned.is_none() || !is_far(now, end), "an expiring connection does not flap");
            }
            prop_assert_eq!(given, vec![14, 7, 1]);
        }

        #[test]
        fn no_clock_hands_out_a_token_past_its_end(life in 1_u64..90_000, wrote in -120_i64..=120, reads in -120_i64..=120, after in 0_i64..100_000) {
            let end_as_written = noon() + seconds(wrote) + TimeDelta::seconds(life as i64);
            let true_now = noon() + seconds(after);
            if is_usable(true_now + seconds(reads), end_as_written) {
                prop_assert!(true_now < noon() + TimeDelta::seconds(life as i64));
            }
        }

        #[test]
        fn renewals_come_before_the_token_stops_being_usable(life in 300_u64..200_000, share in 0.0..=1.0_f64) {
            let at = refresh_at(noon(), Duration::from_secs(life), share);
            let end = noon() + TimeDelta::seconds(life as i64);
            prop_assert!(at > noon() && is_usable(at, end));
        }

        #[test]
        fn probes_stay_within_the_interval(share in 0.0..=1.0_f64) {
            let interval = Duration::from_secs(6 * 3600);
            for at in [next_probe(noon(), interval, share), first_probe(noon(), interval, share)] {
                prop_assert!(at >= noon() && at <= noon() + interval);
            }
        }
    }

    #[test]
    fn a_day_token_is_renewed_a_good_while_before_its_end() {
        let day = Duration::from_secs(86_400);
        assert_eq!(noon() + TimeDelta::days(1) - refresh_at(noon(), day, 0.0), seconds(8640 + 240));
        assert_eq!(noon() + TimeDelta::days(1) - refresh_at(noon(), day, 1.0), seconds(8640 + 2160 + 240));
    }

    #[test]
    fn the_pause_doubles_from_half_a_minute_to_an_hour() {
        let pauses = [0, 1, 2, 3, 7, 8, 40].map(|failures| cooldown(failures).as_secs());
        assert_eq!(pauses, [30, 30, 60, 120, 1920, 3600, 3600]);
    }

    #[test]
    fn a_jump_over_two_warnings_gives_the_nearest_only() {
        let end = noon() + TimeDelta::days(5);
        assert_eq!(warning(noon(), end, None), Some(7));
        assert_eq!(warning(noon(), end, Some(7)), None);
        assert_eq!(warning(end + seconds(1), end, Some(7)), Some(1));
        assert_eq!(warning(noon(), noon() + TimeDelta::days(15), None), None);
    }

    #[test]
    fn an_old_key_is_reminded_of_each_quarter() {
        let made = noon() - TimeDelta::days(364);
        assert!(!is_reminder_due(noon(), made, None));
        let later = noon() + TimeDelta::days(1);
        assert!(is_reminder_due(later, made, None));
        assert!(!is_reminder_due(later + TimeDelta::days(89), made, Some(later)));
        assert!(is_reminder_due(later + TimeDelta::days(90), made, Some(later)));
    }
}
