//! Personal data that a token may not be allowed to see.

use serde::{Deserialize, Deserializer};

/// Personal data: known, or kept from tokens that lack the scope `members:pii:read`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Text {
    /// The text.
    Known(String),
    /// `[redacted]` or `[obfuscated]`: there is a text, and the token may not see it.
    Hidden,
    /// There is none.
    #[default]
    Absent,
}

impl Text {
    /// The text, if it is known.
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Hidden | Self::Absent => None,
        }
    }
}

impl From<Option<String>> for Text {
    fn from(text: Option<String>) -> Self {
        match text {
            Some(text) if text == "[redacted]" || text == "[obfuscated]" => Self::Hidden,
            Some(text) => Self::Known(text),
            None => Self::Absent,
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<String>::deserialize(deserializer).map(Self::from)
    }
}
