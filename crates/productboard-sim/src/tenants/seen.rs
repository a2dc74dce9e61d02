//! Which tokens came at all: those that were issued, and those that nobody should have.

use tokio::time::Instant;

use super::{Book, Knock, Tenants};
use crate::fingerprint;
use crate::ledger::TokenUse;

/// Whoever guesses tokens must not fill the memory.
const MOST_STRANGERS: usize = 10_000;

impl Tenants {
    /// Every token that came, by the time of its first request.
    pub(crate) fn uses(&self) -> Vec<TokenUse> {
        let (book, at) = (self.book(), Instant::now());
        let known = book.tokens.iter().map(|(text, token)| TokenUse {
            fingerprint: fingerprint(text),
            domain: Some(token.domain.clone()),
            kind: Some(token.access.kind),
            ledger: token.entries.told(at),
        });
        let strangers = book.strangers.iter().map(|(fingerprint, entries)| TokenUse {
            fingerprint: fingerprint.clone(),
            domain: None,
            kind: None,
            ledger: entries.told(at),
        });
        let mut uses: Vec<TokenUse> =
            known.chain(strangers).filter(|token| token.ledger.requests > 0).collect();
        uses.sort_by(|one, other| {
            (one.ledger.first_used_at, &one.fingerprint)
                .cmp(&(other.ledger.first_used_at, &other.fingerprint))
        });
        uses
    }
}

impl Book {
    /// Counts a request whose token was never issued.
    pub(super) fn note_stranger(&mut self, knock: &Knock<'_>) {
        let fingerprint = fingerprint(knock.token);
        if self.strangers.len() >= MOST_STRANGERS && !self.strangers.contains_key(&fingerprint) {
            return;
        }
        let entries = self.strangers.entry(fingerprint).or_default();
        entries.note(knock.route, knock.at, knock.now);
        entries.note_refusal();
    }
}
