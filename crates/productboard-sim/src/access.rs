//! What a token may do: how it was made, its scopes, its end, and whether it sees people's names and mails.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Faults;

/// The two spellings of the scope that shows members' names and mails; the vendor's documents use both.
const MEMBERS_PII: [&str; 2] = ["members:pii:read", "members_pii:read"];

/// How a token was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Made by hand in the settings: every scope, no end.
    #[default]
    ApiKey,
    /// An access token of the OAuth server, after somebody's consent.
    Oauth,
    /// An access token for a signed assertion.
    JwtBearer,
}

/// What a token may do, from the moment it is issued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// How the token was made.
    pub kind: TokenKind,
    /// What it may do; an API key may do everything, whatever stands here.
    pub scopes: BTreeSet<String>,
    /// How long it lives by the simulator's clock; `None` is for ever.
    pub expires_in: Option<Duration>,
    /// The client id of the application that it was issued to.
    pub app: Option<String>,
}

impl Access {
    /// Everything, for ever.
    pub fn api_key() -> Self {
        Self::default()
    }

    /// An OAuth access token of 24 hours.
    pub fn oauth(scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::of(TokenKind::Oauth, scopes, 86_400)
    }

    /// A server-to-server access token of 300 seconds.
    pub fn jwt_bearer(scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::of(TokenKind::JwtBearer, scopes, 300)
    }

    fn of(kind: TokenKind, scopes: impl IntoIterator<Item = impl Into<String>>, seconds: u64) -> Self {
        let scopes = scopes.into_iter().map(Into::into).collect();
        Self { kind, scopes, expires_in: Some(Duration::from_secs(seconds)), app: None }
    }

    /// Sets another life span.
    #[must_use]
    pub fn expires_in(self, life: Duration) -> Self {
        Self { expires_in: Some(life), ..self }
    }

    /// Sets the application.
    #[must_use]
    pub fn app(self, client_id: impl Into<String>) -> Self {
        Self { app: Some(client_id.into()), ..self }
    }

    /// Whether it holds the scope, in either spelling where there are two.
    pub fn allows(&self, scope: &str) -> bool {
        self.kind == TokenKind::ApiKey
            || self.scopes.contains(scope)
            || MEMBERS_PII.contains(&scope) && MEMBERS_PII.iter().any(|either| self.scopes.contains(*either))
    }

    pub(crate) fn pii(&self, faults: &Faults) -> Pii {
        if self.allows(MEMBERS_PII[0]) { Pii::Shown } else { Pii::Masked(Pii::word(faults)) }
    }
}

/// Whether an answer may name people, or what stands in for their names, login names and mails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Pii {
    #[default]
    Shown,
    Masked(&'static str),
}

impl Pii {
    /// What stands in for a name.
    pub(crate) fn word(faults: &Faults) -> &'static str {
        if faults.obfuscated_word { "[obfuscated]" } else { "[redacted]" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_do_everything_and_both_spellings_show_people() {
        assert!(Access::api_key().allows("anything"));
        let plain = Access::oauth(["members:read"]);
        assert!(plain.allows("members:read") && !plain.allows("teams:read"));
        assert_eq!(plain.pii(&Faults::default()), Pii::Masked("[redacted]"));
        let old = Faults { obfuscated_word: true, ..Faults::default() };
        assert_eq!(plain.pii(&old), Pii::Masked("[obfuscated]"));
        for scope in MEMBERS_PII {
            let access = Access::jwt_bearer([scope]);
            assert!(MEMBERS_PII.iter().all(|either| access.allows(either)));
            assert_eq!(access.pii(&old), Pii::Shown);
        }
    }
}
