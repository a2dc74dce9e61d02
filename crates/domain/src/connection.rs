//! A connection: where it stands, why, and with which kinds of credentials it calls.

mod lifecycle;
mod reason;

use serde::{Deserialize, Serialize};

pub use lifecycle::{Change, Signal, Standing, State};
pub use reason::Reason;

/// Where a workspace's data lives; keys work only in their own region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// The vendor's default data centre.
    Us,
    /// The vendor's European data centre.
    Eu,
}

impl Region {
    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }

    /// The region of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Us, Self::Eu].into_iter().find(|region| region.as_str() == text)
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Us => Self::Eu,
            Self::Eu => Self::Us,
        }
    }
}

/// How a connection sends its API key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthScheme {
    /// As a bearer token, as the vendor documents it.
    #[default]
    Bearer,
    /// As the user name of HTTP Basic, for gateways that want it.
    Basic,
}

impl AuthScheme {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
        }
    }

    /// The scheme of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Bearer, Self::Basic].into_iter().find(|scheme| scheme.as_str() == text)
    }
}

/// What a credential is. A connection may hold one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A key that a person made and pasted. It has no end that is known.
    ApiKey,
    /// The grant of a person's consent: a short access token, and a refresh token that changes with every use.
    Oauth,
    /// A short access token that the deployment's own signing key asks for, as often as needed.
    Assertion,
}

impl CredentialKind {
    /// All kinds, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::ApiKey, Self::Oauth, Self::Assertion];

    /// The name on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Oauth => "oauth",
            Self::Assertion => "assertion",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What it is called in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::ApiKey => "API key",
            Self::Oauth => "consent",
            Self::Assertion => "server-to-server access",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_wire() {
        for kind in CredentialKind::ALL {
            assert_eq!(CredentialKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for region in [Region::Us, Region::Eu] {
            assert_eq!(Region::parse(region.as_str()), Some(region));
            assert_eq!(region.other().other(), region);
        }
        for scheme in [AuthScheme::Bearer, AuthScheme::Basic] {
            assert_eq!(AuthScheme::parse(scheme.as_str()), Some(scheme));
        }
    }
}
