//! What the OAuth server hands out.

use std::time::Duration;

use oauth2::basic::BasicTokenType;
use oauth2::{ExtraTokenFields, StandardTokenResponse, TokenResponse as _};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::Text;

/// Tokens, and how long they live from the moment of the answer.
#[derive(Debug)]
pub struct Grant {
    /// The access token.
    pub access_token: SecretString,
    /// How long it lives; a day as far as is known, five minutes after an assertion.
    pub expires_in: Option<Duration>,
    /// The refresh token, to be used once; none after an assertion.
    pub refresh_token: Option<SecretString>,
    /// How long that lives; 180 days as far as is known.
    pub refresh_expires_in: Option<Duration>,
    /// What the access token may do, where it is told.
    pub scopes: Vec<String>,
}

/// What an access token may do, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireInfo")]
pub struct TokenInfo {
    /// What it may do.
    pub scopes: Vec<String>,
    /// The workspace's domain.
    pub workspace: Option<String>,
    /// The workspace's name.
    pub workspace_name: Option<String>,
    /// The mail address of whoever consented.
    pub resource_owner: Text,
}

pub(super) type TokenResponse = StandardTokenResponse<Beside, BasicTokenType>;

/// What the vendor sends beside the standard's fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Beside {
    refresh_token_expires_in: Option<u64>,
}

impl ExtraTokenFields for Beside {}

impl From<TokenResponse> for Grant {
    fn from(response: TokenResponse) -> Self {
        let secret = |text: &String| SecretString::from(text.as_str());
        let scopes = response.scopes().into_iter().flatten();
        Self {
            access_token: secret(response.access_token().secret()),
            expires_in: response.expires_in(),
            refresh_token: response.refresh_token().map(|token| secret(token.secret())),
            refresh_expires_in: response.extra_fields().refresh_token_expires_in.map(Duration::from_secs),
            scopes: scopes.map(|scope| scope.to_string()).collect(),
        }
    }
}

#[derive(Deserialize)]
struct WireInfo {
    #[serde(default)]
    scopes: Vec<String>,
    space: Option<Space>,
    resource_owner: Option<Owner>,
}

#[derive(Default, Deserialize)]
struct Space {
    domain: Option<String>,
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Owner {
    #[serde(default)]
    email: Text,
}

impl From<WireInfo> for TokenInfo {
    fn from(wire: WireInfo) -> Self {
        let Space { domain, name } = wire.space.unwrap_or_default();
        Self {
            scopes: wire.scopes,
            workspace: domain,
            workspace_name: name,
            resource_owner: wire.resource_owner.unwrap_or_default().email,
        }
    }
}
