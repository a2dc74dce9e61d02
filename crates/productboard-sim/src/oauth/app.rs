//! Registered applications and the faults of the token endpoint, per application.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::faults::millis;

/// An application, as registered at `/oauth2/applications`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its public name.
    pub client_id: String,
    /// What proves it at the token endpoint.
    pub client_secret: String,
    /// Where consents may return to; matched exactly.
    pub redirect_uris: Vec<String>,
    /// What it may ask for at most.
    pub scopes: BTreeSet<String>,
    /// The RSA key that its assertions are signed against; without one it may not assert.
    #[serde(default)]
    pub public_key_pem: Option<String>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What a client sent to prove itself.
pub(crate) struct Credentials {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// They came as `client_secret_basic`.
    pub(crate) basic: bool,
}

pub(super) struct Registered {
    pub(super) app: App,
    pub(super) faults: OAuthFaults,
}

/// The switches of one application at the token endpoint. All off by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OAuthFaults {
    /// Statuses of the next answers, one each, with nothing done: 400 is `invalid_grant`, 401 `invalid_client`, 429
    /// `slow_down`, 503 `temporarily_unavailable`, the others `server_error` or `invalid_request`.
    pub token_fail_next: VecDeque<u16>,
    /// Wait this long before every answer (`token_latency_ms` in JSON).
    #[serde(rename = "token_latency_ms", with = "millis")]
    pub token_latency: Duration,
    /// The next so many times everything is done, rotation too, and then the connection drops without an answer.
    pub token_answer_lost: u64,
    /// Access tokens live this long instead of a day; zero is a day (`access_life_ms` in JSON).
    #[serde(rename = "access_life_ms", with = "millis")]
    pub access_life: Duration,
    /// `client_secret_basic` is 401 `invalid_client`: every client known in the field posts its secret, and nothing says
    /// that the vendor takes it in the header.
    pub refuse_basic: bool,
    /// Members that are laid over every token answer: odd lives, empty or missing texts.
    pub token_members: Map<String, Value>,
    /// `Retry-After` of every 429 and 503.
    pub retry_after_text: Option<String>,
    /// A renewal rotates nothing: the used refresh token stays good, and the answer brings none.
    pub no_rotation: bool,
}

/// What becomes of one answer of the token endpoint.
#[derive(Debug, Default)]
pub(crate) struct Mishap {
    pub(crate) latency: Duration,
    pub(crate) status: Option<u16>,
    pub(crate) lost: bool,
    pub(crate) members: Map<String, Value>,
    pub(crate) retry_after: Option<String>,
}

impl OAuthFaults {
    pub(crate) fn are_answerable(&self) -> bool {
        self.token_fail_next.iter().all(|status| (400..600).contains(status))
    }

    pub(super) fn next(&mut self) -> Mishap {
        let status = self.token_fail_next.pop_front();
        let lost = status.is_none() && self.token_answer_lost > 0;
        self.token_answer_lost -= u64::from(lost);
        let (members, retry_after) = (self.token_members.clone(), self.retry_after_text.clone());
        Mishap { latency: self.token_latency, status, lost, members, retry_after }
    }
}
