//! When something about a credential is due: warnings before its end, renewals, probes, pauses after failures.
//!
//! Each clock may be wrong by two minutes. Two of them meet at every deadline, one that wrote it and one that reads it, so
//! that a deadline is certain only [`GUARD`] away from it. What the vendor says of a life is believed within bounds, and
//! no sum here can overflow.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How wrong two clocks may be against each other.
pub const GUARD: TimeDelta = TimeDelta::seconds(240);
/// How long the vendor takes a refresh token again that was used already.
pub const GRACE: TimeDelta = TimeDelta::minutes(60);

/// The shortest life that is believed. A vendor that says less, zero or a negative number, is mistaken: nobody could use
/// such a token.
const SHORTEST_LIFE: Duration = Duration::from_secs(10);
/// The longest one.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Two renewals of a grant lie at least so far apart, whatever its life is said to be.
const SHORTEST_BETWEEN_RENEWALS: Duration = Duration::from_secs(10);
const USUAL_BETWEEN_RENEWALS: Duration = Duration::from_secs(60);

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

/// A life as the vendor says it, if it can be believed: cut at ten years, and none where it is no life at all.
pub fn believed(life: Option<Duration>) -> Option<Duration> {
    life.filter(|life| *life >= SHORTEST_LIFE).map(|life| life.min(LONGEST_LIFE))
}

/// That moment and so much time; the last moment there is, where the sum is beyond it.
pub fn after(at: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let sum = TimeDelta::from_std(time).ok().and_then(|time| at.checked_add_signed(time));
    sum.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Whether a token of this life can be handed out: whatever the clocks say, its end is still ahead. One that lives hardly
/// longer than two clocks can differ is handed out for most of its life: else it could never be used.
pub fn is_usable(now: DateTime<Utc>, end: DateTime<Utc>, life: Duration) -> bool {
    let guard = if life < guard() + USUAL_BETWEEN_RENEWALS { (life / 5).min(guard()) } else { guard() };
    after(now, guard) < end
}

/// When a token of this life is renewed: a margin before it stops being usable, spread by `share` of 0 to 1, and not
/// before it may be.
pub fn refresh_at(now: DateTime<Utc>, life: Duration, share: f64) -> DateTime<Utc> {
    let margin = SHORTEST_MARGIN.max(life / 10);
    let early = margin + margin.mul_f64(share.clamp(0.0, 1.0) / 4.0);
    // A token that lives for minutes is not renewed at once: it is handed out while it is sure.
    let wait = life.saturating_sub(early).saturating_sub(guard()).max(life / 6);
    after(now, wait.max(between_renewals(life)))
}

/// How long a grant whose access token was made then must not be renewed yet; nothing where it may be. A moment that lies
/// further ahead than two clocks can differ was written by a clock that has been set back since, and holds nobody up.
pub fn not_yet_renewable(
    now: DateTime<Utc>,
    made: DateTime<Utc>,
    life: Option<Duration>,
) -> Option<Duration> {
    if made.signed_duration_since(now) > GUARD {
        return None;
    }
    let between = life.map_or(USUAL_BETWEEN_RENEWALS, between_renewals);
    after(made, between).signed_duration_since(now).to_std().ok().filter(|left| !left.is_zero())
}

/// How long a pause until then lasts; nothing where it is over, or longer than any pause that is ever made.
pub fn cooldown_left(now: DateTime<Utc>, until: DateTime<Utc>) -> Option<Duration> {
    let left = until.signed_duration_since(now).to_std().ok()?;
    (!left.is_zero() && left <= LONGEST_COOLDOWN + guard()).then_some(left)
}

/// A minute, or for as long as a token that lives for less can be used.
fn between_renewals(life: Duration) -> Duration {
    (life / 5 * 4).clamp(SHORTEST_BETWEEN_RENEWALS, USUAL_BETWEEN_RENEWALS)
}

fn guard() -> Duration {
    GUARD.to_std().unwrap_or_default()
}

/// How long to wait after so many failed renewals in a row: 30 s, doubling to an hour; what the vendor asks for, if that
/// is longer, up to the same hour.
pub fn cooldown(failures: u32, asked: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST_COOLDOWN * 2_u32.pow(doublings)).max(asked).min(LONGEST_COOLDOWN)
}

/// When an idle connection is tried next: within the interval, in its last quarter.
pub fn next_probe(now: DateTime<Utc>, interval: Duration, share: f64) -> DateTime<Utc> {
    after(now, interval.mul_f64(0.75 + share.clamp(0.0, 1.0) / 4.0))
}

/// When a new connection is tried for the first time: anywhere in the interval, so that connections which were made
/// together are not tried together.
pub fn first_probe(now: DateTime<Utc>, interval: Duration, share: f64) -> DateTime<Utc> {
    after(now, interval.mul_f64(share.clamp(0.0, 1.0)))
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
            // Of a shorter life only those that are surely over are kept back.
            let life_told = Duration::from_secs(life.max(300));
            if is_usable(true_now + seconds(reads), end_as_written, life_told) {
                prop_assert!(true_now < noon() + TimeDelta::seconds(life as i64));
            }
        }

        #[test]
        fn renewals_come_before_the_token_stops_being_usable(life in 301_u64..200_000, share in 0.0..=1.0_f64) {
            let life = Duration::from_secs(life);
            let at = refresh_at(noon(), life, share);
            prop_assert!(at > noon() && is_usable(at, noon() + life, life));
        }

        /// Whatever a vendor says, nothing here panics, no token is renewed at once, and what is due may be done.
        #[test]
        fn any_life_leaves_time_between_two_renewals(said in any::<Option<u64>>(), share in 0.0..=1.0_f64) {
            let life = believed(said.map(Duration::from_secs));
            prop_assert!(life.is_none_or(|life| life >= SHORTEST_LIFE && life <= LONGEST_LIFE));
            let usual = life.unwrap_or(Duration::from_secs(3600));
            let due = refresh_at(noon(), usual, share);
            prop_assert!(due - noon() >= seconds(10) && due <= after(noon(), LONGEST_LIFE));
            prop_assert_eq!(not_yet_renewable(due, noon(), Some(usual)), None);
            prop_assert!(not_yet_renewable(noon(), noon(), Some(usual)) >= Some(SHORTEST_BETWEEN_RENEWALS));
            prop_assert!(is_usable(noon(), after(noon(), usual), usual), "a new token can be used");
        }

        /// No sum overflows, whatever is in the database and whatever the vendor said.
        #[test]
        fn no_moment_and_no_life_panics(
            now in -8_000_000_000_000_i64..8_000_000_000_000,
            other in -8_000_000_000_000_i64..8_000_000_000_000,
            life in any::<u64>(),
            failures in any::<u32>(),
            share in any::<f64>(),
        ) {
            let at = |second| DateTime::from_timestamp(second, 0).unwrap_or_default();
            let (now, other, life) = (at(now), at(other), Duration::from_secs(life));
            prop_assert!(after(now, life) >= now);
            prop_assert!(refresh_at(now, life, share) >= now);
            is_usable(now, other, life);
            not_yet_renewable(now, other, Some(life));
            is_far(now, other);
            prop_assert!(cooldown_left(now, other).is_none_or(|left| left <= LONGEST_COOLDOWN + guard()));
            prop_assert!(cooldown(failures, life) <= LONGEST_COOLDOWN);
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
        let pauses = [0, 1, 2, 3, 7, 8, 40].map(|failures| cooldown(failures, Duration::ZERO).as_secs());
        assert_eq!(pauses, [30, 30, 60, 120, 1920, 3600, 3600]);
        let asked = [45, 7200, u64::MAX].map(|asked| cooldown(1, Duration::from_secs(asked)).as_secs());
        assert_eq!(asked, [45, 3600, 3600], "what the vendor asks for counts up to an hour");
    }

    #[test]
    fn a_life_is_believed_between_ten_seconds_and_ten_years() {
        let believed = |said| believed(Some(Duration::from_secs(said))).map(|life| life.as_secs());
        assert_eq!([0, 1, 9].map(believed), [None; 3]);
        assert_eq!([10, 30, 86_400].map(believed), [Some(10), Some(30), Some(86_400)]);
        let decade = Some(315_360_000);
        assert_eq!([10_000_000_000_000, i64::MAX as u64, u64::MAX].map(believed), [decade; 3]);
        assert_eq!(super::believed(None), None);
    }

    #[test]
    fn a_clock_that_was_set_back_holds_no_renewal_up() {
        let left =
            |made: i64| not_yet_renewable(noon(), noon() + seconds(made), None).map(|left| left.as_secs());
        assert_eq!([-61, -60, -20, 0].map(left), [None, None, Some(40), Some(60)]);
        assert_eq!(left(200), Some(260), "another process may be ahead");
        assert_eq!([241, 86_400].map(left), [None, None]);
        let pause = |until: i64| cooldown_left(noon(), noon() + seconds(until)).map(|left| left.as_secs());
        assert_eq!(
            [-5, 0, 30, 3_600, 3_841, 86_400].map(pause),
            [None, None, Some(30), Some(3_600), None, None]
        );
    }

    #[test]
    fn a_token_of_half_a_minute_is_handed_out_for_most_of_it() {
        let life = Duration::from_secs(30);
        let usable = |age| is_usable(noon() + seconds(age), noon() + life, life);
        assert_eq!([0, 23, 24, 30, 31].map(usable), [true, true, false, false, false]);
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
