//! What came with a token: how much, how fast, for what, and what came after its end.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::Instant;

use crate::{Route, TokenKind};

const SECOND: Duration = Duration::from_secs(1);

/// What came with one token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// All requests, refused ones included.
    pub requests: u64,
    /// Those that got no further than the door: dead token, wrong host, rate, scope, plan, or a switch.
    pub refused: u64,
    /// Those after the token was revoked.
    pub after_revocation: u64,
    /// Those after it expired.
    pub after_expiry: u64,
    /// Those of the last real second.
    pub last_second: u64,
    /// The most in any sliding second.
    pub peak_per_second: u64,
    /// By route.
    pub routes: BTreeMap<Route, u64>,
    /// By the vendor's clock.
    pub first_used_at: Option<DateTime<Utc>>,
    /// By the vendor's clock.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// One token that came, whether the simulator knows it or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenUse {
    /// See [`fingerprint`](crate::fingerprint).
    pub fingerprint: String,
    /// The workspace that it opens, or opened. `None`: no such token was ever issued.
    pub domain: Option<String>,
    /// How it was made. `None`: it never was.
    pub kind: Option<TokenKind>,
    /// What came with it.
    #[serde(flatten)]
    pub ledger: Ledger,
}

/// A ledger that is being written.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    told: Ledger,
    recent: VecDeque<Instant>,
}

impl Entries {
    pub(crate) fn requests(&self) -> u64 {
        self.told.requests
    }

    pub(crate) fn note(&mut self, route: Route, at: Instant, now: DateTime<Utc>) {
        let Self { told, recent } = self;
        told.requests += 1;
        *told.routes.entry(route).or_default() += 1;
        told.first_used_at.get_or_insert(now);
        told.last_used_at = Some(now);
        while recent.front().is_some_and(|first| at.duration_since(*first) >= SECOND) {
            recent.pop_front();
        }
        recent.push_back(at);
        told.peak_per_second = told.peak_per_second.max(recent.len() as u64);
    }

    pub(crate) fn note_refusal(&mut self) {
        self.told.refused += 1;
    }

    pub(crate) fn note_revoked(&mut self) {
        self.told.after_revocation += 1;
    }

    pub(crate) fn note_expired(&mut self) {
        self.told.after_expiry += 1;
    }

    pub(crate) fn told(&self, at: Instant) -> Ledger {
        let last = self.recent.iter().filter(|then| at.duration_since(**then) < SECOND).count();
        Ledger { last_second: last as u64, ..self.told.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_of_any_sliding_second() {
        let start = Instant::now();
        let mut entries = Entries::default();
        for ms in [0, 900, 950, 1000, 1899, 1900, 5000] {
            entries.note(Route::Teams, start + Duration::from_millis(ms), DateTime::UNIX_EPOCH);
        }
        let told = entries.told(start + Duration::from_millis(5500));
        assert_eq!((told.requests, told.peak_per_second, told.last_second), (7, 4, 1));
        assert_eq!(entries.told(start + Duration::from_millis(6000)).last_second, 0);
    }
}
