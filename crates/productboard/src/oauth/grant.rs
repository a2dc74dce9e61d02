//! What the OAuth server hands out.

use std::time::Duration;

use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::Text;
use crate::model::text::{NAME, WORD, optional, words};

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

/// The vendor's answer. Of all but the tokens it may be off: a rotated token must not be lost to an odd number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TokenResponse {
    access_token: AccessToken,
    #[serde(default, deserialize_with = "some_token")]
    refresh_token: Option<RefreshToken>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    refresh_token_expires_in: Value,
    #[serde(default)]
    scope: Value,
}

/// The only type there is.
static BEARER: BasicTokenType = BasicTokenType::Bearer;

/// No life is longer, whatever the vendor says.
const LONGEST_LIFE: f64 = 10.0 * 365.0 * 86_400.0;

/// Seconds as a number, or as a text with one. A life of nothing or less is an unknown one.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (seconds >= 1.0).then(|| Duration::from_secs(seconds.min(LONGEST_LIFE) as u64))
}

/// A token that is empty, or no text, is none.
fn some_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RefreshToken>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let token = value.as_str().map(str::trim).filter(|token| !token.is_empty());
    Ok(token.map(|token| RefreshToken::new(token.to_owned())))
}

/// Scopes as words in a text, or as a list.
fn scopes(value: &Value) -> Vec<String> {
    let words = value.as_str().into_iter().flat_map(str::split_whitespace);
    let list = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.chain(list).map(str::to_owned).collect()
}

/// For the library to hand it on; what a grant says is read from the fields themselves.
impl oauth2::TokenResponse for TokenResponse {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &BEARER
    }

    fn expires_in(&self) -> Option<Duration> {
        seconds(&self.expires_in)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

impl From<TokenResponse> for Grant {
    fn from(response: TokenResponse) -> Self {
        let secret = |text: &String| SecretString::from(text.as_str());
        Self {
            access_token: secret(response.access_token.secret()),
            expires_in: seconds(&response.expires_in),
            refresh_token: response.refresh_token.as_ref().map(|token| secret(token.secret())),
            refresh_expires_in: seconds(&response.refresh_token_expires_in),
            scopes: scopes(&response.scope),
        }
    }
}

#[derive(Deserialize)]
struct WireInfo {
    #[serde(default, deserialize_with = "words")]
    scopes: Vec<String>,
    space: Option<Space>,
    resource_owner: Option<Owner>,
}

#[derive(Default, Deserialize)]
struct Space {
    #[serde(default, deserialize_with = "optional::<_, WORD>")]
    domain: Option<String>,
    #[serde(default, deserialize_with = "optional::<_, NAME>")]
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn grant(response: Value) -> Grant {
        serde_json::from_value::<TokenResponse>(response).unwrap().into()
    }

    #[test]
    fn a_rotated_token_survives_whatever_stands_beside_it() {
        let usual = grant(json!({
            "access_token": "a", "token_type": "Bearer", "expires_in": 86400, "refresh_token": "r",
            "refresh_token_expires_in": 15552000, "created_at": 1, "scope": "members:read notes:read",
        }));
        let odd = grant(json!({
            "access_token": "a", "token_type": 7, "expires_in": "86400", "refresh_token": "r",
            "refresh_token_expires_in": "15552000", "scope": ["members:read", "notes:read"],
        }));
        for grant in [usual, odd] {
            assert_eq!(grant.refresh_token.unwrap().expose_secret(), "r");
            assert_eq!(grant.expires_in, Some(Duration::from_secs(86_400)));
            assert_eq!(grant.refresh_expires_in, Some(Duration::from_secs(15_552_000)));
            assert_eq!(grant.scopes, ["members:read", "notes:read"]);
        }
        let bare = grant(json!({ "access_token": "a", "expires_in": null, "scope": {} }));
        assert_eq!((bare.expires_in, bare.refresh_token.is_none(), bare.scopes.len()), (None, true, 0));
    }

    #[test]
    fn a_life_is_of_ten_years_at_most_and_nothing_is_unknown() {
        let ten_years = Some(Duration::from_secs(315_360_000));
        for (sent, expected) in [
            (json!(0), None),
            (json!(-1), None),
            (json!(0.5), None),
            (json!("0"), None),
            (json!("soon"), None),
            (json!("NaN"), None),
            (json!([86_400]), None),
            (Value::Null, None),
            (json!(300), Some(Duration::from_secs(300))),
            (json!(86_400.9), Some(Duration::from_secs(86_400))),
            (json!(" 86400 "), Some(Duration::from_secs(86_400))),
            (json!(i64::MAX), ten_years),
            (json!(u64::MAX), ten_years),
            (json!(10_000_000_000_000_u64), ten_years),
            (json!("10000000000000"), ten_years),
        ] {
            let grant =
                grant(json!({ "access_token": "a", "expires_in": sent, "refresh_token_expires_in": sent }));
            assert_eq!((grant.expires_in, grant.refresh_expires_in), (expected, expected), "{sent}");
        }
    }

    fn any_number() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<f64>().prop_map(|it| it.to_string().into()),
            any::<u128>().prop_map(|it| it.to_string().into()),
            any::<String>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(json!([1])),
            Just(json!({ "seconds": 1 })),
        ]
    }

    proptest! {
        /// The tokens are there, whatever the numbers beside them are.
        #[test]
        fn no_life_panics_or_costs_a_token(life in any_number(), refresh in any_number(), scope in any_number()) {
            let said = json!({
                "access_token": "a", "expires_in": life, "refresh_token": "r",
                "refresh_token_expires_in": refresh, "scope": scope, "created_at": life,
            });
            let grant = grant(said);
            prop_assert_eq!(grant.access_token.expose_secret(), "a");
            prop_assert_eq!(grant.refresh_token.as_ref().map(|token| token.expose_secret()), Some("r"));
            let within = |life: Option<Duration>| life.is_none_or(|life| (1..=315_360_000).contains(&life.as_secs()));
            prop_assert!(within(grant.expires_in) && within(grant.refresh_expires_in));
        }
    }

    #[test]
    fn an_empty_refresh_token_is_none() {
        for sent in [json!(""), json!("  "), Value::Null, json!(7), json!({}), json!(false)] {
            let grant = grant(json!({ "access_token": "a", "refresh_token": sent }));
            assert!(grant.refresh_token.is_none(), "{sent}");
        }
    }

    #[test]
    fn a_token_response_is_not_shown() {
        let response: TokenResponse =
            serde_json::from_value(json!({ "access_token": "hush", "refresh_token": "hush-too" })).unwrap();
        assert!(!format!("{response:?}").contains("hush"));
    }
}
