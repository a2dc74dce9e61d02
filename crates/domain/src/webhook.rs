//! Webhooks: which events an endpoint wants, when a delivery is tried again, and when an endpoint is given up.

use std::{fmt, str::FromStr};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{Entropy, id::OrganizationId};

/// Events are about one of these.
const AREAS: [&str; 3] = ["connection", "sync", "utilization"];
/// The type of the event that only shows that an endpoint works.
pub const TEST_EVENT: &str = "webhook.test";
/// So many deliveries in a row that nobody took end an endpoint.
pub const DEAD_IN_A_ROW: i64 = 5;
/// How long a replaced secret still signs beside the new one.
pub const OLD_SECRET_SIGNS_FOR: TimeDelta = TimeDelta::hours(24);

/// The pauses before the second attempt, the third and so on; after the last of them a delivery is dead.
const PAUSES: [TimeDelta; 9] = [
    TimeDelta::seconds(5),
    TimeDelta::minutes(5),
    TimeDelta::minutes(30),
    TimeDelta::hours(2),
    TimeDelta::hours(5),
    TimeDelta::hours(10),
    TimeDelta::hours(14),
    TimeDelta::hours(20),
    TimeDelta::hours(24),
];

/// How long to wait after that many failures, give or take a tenth; nothing when there were enough.
pub fn pause_after(failures: u32, entropy: &dyn Entropy) -> Option<TimeDelta> {
    let pause = PAUSES.get(usize::try_from(failures).ok()?.checked_sub(1)?)?;
    let mut random = [0_u8; 2];
    entropy.fill(&mut random);
    let tenth = i64::from(u16::from_be_bytes(random)) * pause.num_milliseconds() / 5 / i64::from(u16::MAX);
    Some(*pause - *pause / 10 + TimeDelta::milliseconds(tenth))
}

/// Which events are wanted: `*`, an area such as `connection.*`, or one type such as `connection.connected`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventPattern(String);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` matches no event: expected `*`, one of `connection.*`, `sync.*`, `utilization.*`, or a type such as \
         `connection.reconnect_required`"
)]
pub struct InvalidPattern(String);

impl EventPattern {
    /// Whether an event of that type is wanted.
    pub fn matches(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => self.0 == kind,
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let word = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let valid = text == "*"
            || text
                .split_once('.')
                .is_some_and(|(area, name)| AREAS.contains(&area) && (name == "*" || word(name)));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidPattern(text.chars().take(48).collect())) }
    }
}

impl TryFrom<String> for EventPattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<EventPattern> for String {
    fn from(pattern: EventPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Waits for its first attempt or for the next one.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// Nobody took it, and it is not tried again by itself.
    Dead,
}

impl DeliveryState {
    const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Why nothing is sent to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisabledReason {
    /// Somebody asked for it.
    Asked,
    /// The endpoint answered 410.
    Gone,
    /// Deliveries died one after the other.
    Failing,
}

impl DisabledReason {
    const ALL: [Self; 3] = [Self::Asked, Self::Gone, Self::Failing];

    /// The code on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// The reason of that code.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// What happened and what to do, for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Asked => "The endpoint was disabled by a call; enable it to receive events again.",
            Self::Gone => {
                "The endpoint answered 410 Gone. Correct its URL or bring it back, then enable it; events of the \
                 meantime are not sent."
            }
            Self::Failing => {
                "Five deliveries in a row were given up after three days of attempts. See their attempts for what the \
                 endpoint answered, mend it, then enable it; deliveries that were given up can be redelivered."
            }
        }
    }
}

/// A host that webhooks may be sent to although it has a private address or no TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedHost {
    /// Whose webhooks; everybody's, where none is named.
    pub organization: Option<OrganizationId>,
    /// A name or an address.
    pub host: String,
}

impl FromStr for TrustedHost {
    type Err = String;

    /// Reads `host` or `org_…=host`.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected `host` or `org_…=host`".to_owned();
        let (organization, host) = match text.split_once('=') {
            Some((id, host)) => (Some(id.trim().parse().map_err(|_| expected())?), host.trim()),
            None => (None, text.trim()),
        };
        if host.is_empty() || host.contains(['/', ' ', '@']) {
            return Err(expected());
        }
        Ok(Self { organization, host: host.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Fixed(u8);
    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn a_pattern_matches_what_it_says() {
        let matches = |pattern: &str, kind| pattern.parse::<EventPattern>().unwrap().matches(kind);
        assert!(matches("*", "connection.connected") && matches("*", "sync.failed"));
        assert!(matches("connection.*", "connection.connected") && !matches("connection.*", "sync.failed"));
        assert!(matches("sync.failed", "sync.failed") && !matches("sync.failed", "sync.failed_twice"));
        assert!(!matches("connection.connected", "connection.reconnected"));
        for bad in
            ["", "**", "connection", "connection.", "billing.*", "connection.co*", "Sync.failed", "*.failed"]
        {
            assert!(bad.parse::<EventPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_delivery_is_tried_ten_times_over_three_days() {
        let total = |entropy| (1..).map_while(|failures| pause_after(failures, &entropy)).collect::<Vec<_>>();
        let (least, most) = (total(Fixed(0)), total(Fixed(255)));
        assert_eq!((least.len(), most.len()), (9, 9));
        assert_eq!((least[0], most[0]), (TimeDelta::milliseconds(4500), TimeDelta::milliseconds(5500)));
        let days = most.iter().sum::<TimeDelta>();
        assert!(days > TimeDelta::days(3) && days < TimeDelta::days(4), "{days}");
        assert_eq!(pause_after(0, &Fixed(0)), None);
    }

    proptest! {
        #[test]
        fn the_jitter_stays_within_a_tenth(failures in 1_u32..=9, byte: u8) {
            let pause = pause_after(failures, &Fixed(byte)).unwrap();
            let middle = PAUSES[failures as usize - 1];
            prop_assert!(pause >= middle - middle / 10 && pause <= middle + middle / 10);
        }
    }
}
