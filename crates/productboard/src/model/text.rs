//! Personal data that a token may not be allowed to see.

use serde::{Deserialize, Deserializer};

/// Personal data: known, or kept from tokens that lack the scope `members:pii:read`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Text {
    /// The text.
    Known(String),
    /// `[redacted]`, `[obfuscated]`, or nothing at all.
    #[default]
    Hidden,
}

impl Text {
    /// The text, if it is known.
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Hidden => None,
        }
    }
}

impl From<Option<String>> for Text {
    fn from(text: Option<String>) -> Self {
        match text {
            Some(text) if text != "[redacted]" && text != "[obfuscated]" => Self::Known(text),
            _ => Self::Hidden,
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<String>::deserialize(deserializer).map(Self::from)
    }
}
