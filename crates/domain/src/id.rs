//! Prefixed ids. Each is `prefix_` + a ULID: sortable by creation, readable in a log, impossible to mix up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Clock, Entropy};

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid id here: expected `{prefix}` followed by 26 letters and digits")]
pub struct InvalidId {
    text: String,
    prefix: &'static str,
}

fn generate(prefix: &str, clock: &dyn Clock, entropy: &dyn Entropy) -> String {
    let mut random = [0_u8; 16];
    entropy.fill(&mut random);
    let millis = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
    let ulid = ulid::Ulid::from_parts(millis, u128::from_be_bytes(random));
    format!("{prefix}{}", ulid.to_string().to_ascii_lowercase())
}

fn parse(prefix: &'static str, text: &str) -> Result<String, InvalidId> {
    let valid = text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    });
    // The text may be anything a caller sent: keep what an error message may need of it, no more.
    let shown = || text.chars().take(48).collect();
    if valid { Ok(text.to_owned()) } else { Err(InvalidId { text: shown(), prefix }) }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// A new id from the given clock and entropy.
            pub fn generate(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
                Self(generate($prefix, clock, entropy))
            }

            /// The id as text, prefix included.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse($prefix, text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One customer of the platform.
    OrganizationId = "org_";
    /// One connected Productboard workspace.
    ConnectionId = "conn_";
    /// One sync of one workspace.
    RunId = "run_";
    /// One event; consumers deduplicate by it.
    EventId = "evt_";
    /// One invitation of an admin to connect a workspace.
    InvitationId = "inv_";
    /// One hosted connect link.
    ConnectLinkId = "link_";
    /// One session of the console, and the link it began with; not its secret.
    ConsoleSessionId = "cses_";
    /// Where events are posted to.
    WebhookEndpointId = "whep_";
    /// One event on its way to one webhook endpoint.
    WebhookDeliveryId = "whdl_";
    /// One service token; not its secret.
    TokenId = "tok_";
}

impl OrganizationId {
    /// Nobody's organization: owns what is for all of them. No generated id is as great.
    pub fn everybody() -> Self {
        Self(format!("org_{}", "z".repeat(26)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> chrono::DateTime<chrono::Utc> {
            chrono::DateTime::from_timestamp(1_760_000_000, 0).unwrap()
        }
    }
    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    #[test]
    fn an_id_survives_text_and_json() {
        let id = ConnectionId::generate(&Fixed, &Fixed);
        assert!(id.as_str().starts_with("conn_"));
        assert_eq!(id.as_str().parse::<ConnectionId>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<ConnectionId>(&json).unwrap(), id);
    }

    #[test]
    fn everybody_is_an_organization_that_is_never_generated() {
        let everybody = OrganizationId::everybody();
        assert_eq!(everybody.as_str().parse::<OrganizationId>().unwrap(), everybody);
        let greatest = ulid::Ulid::from_parts(u64::MAX, u128::MAX).to_string().to_ascii_lowercase();
        assert!(*everybody.as_str() > *format!("org_{greatest}"));
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = ConnectionId::generate(&Fixed, &Fixed);
        let error = id.as_str().parse::<RunId>().unwrap_err();
        assert!(error.to_string().contains("expected `run_`"), "{error}");
        assert!("conn_".parse::<ConnectionId>().is_err());
        assert!("conn_'; drop table".parse::<ConnectionId>().is_err());
    }
}
