//! Texts of the vendor, made fit to be kept and shown where they enter: here, and nowhere else.
//!
//! Out go NUL and the other control characters, which databases and terminals do not take, and the characters that turn
//! the direction of what follows (U+202A to U+202E, U+2066 to U+2069), which can make a name look like another. Right
//! to left languages need neither; pages isolate them. What is too long is cut, and ends with `…`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

// How long texts may be, in characters. Names and titles are indexed: 2,704 bytes are all that PostgreSQL indexes.
/// A role, a type, a status, the name of a field.
pub(crate) const WORD: usize = 100;
/// What is wrong with an answer.
pub(crate) const PROBLEM: usize = 300;
/// A person's name, login or mail address; the name of a team, a tag, a status; a title.
pub(crate) const NAME: usize = 320;
/// A description, a comment, a link.
pub(crate) const LINE: usize = 2_000;
/// What a note says, and any text of a document.
pub(crate) const CONTENT: usize = 1 << 20;

/// Personal data: known, or kept from tokens that lack the scope `members:pii:read`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Text {
    /// The text, cleaned and of bounded length.
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

    fn of(text: Option<String>, longest: usize) -> Self {
        match text {
            Some(text) if text == "[redacted]" || text == "[obfuscated]" => Self::Hidden,
            Some(text) => Self::Known(cleaned(text, longest)),
            None => Self::Absent,
        }
    }
}

impl From<Option<String>> for Text {
    fn from(text: Option<String>) -> Self {
        Self::of(text, NAME)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<String>::deserialize(deserializer).map(Self::from)
    }
}

/// One line of at most so many characters.
pub(crate) fn clean(text: &str, longest: usize) -> Cow<'_, str> {
    shaped(text, longest, |character| if character.is_whitespace() { Some(' ') } else { None })
}

/// The same for a text of many lines.
fn clean_lines(text: &str, longest: usize) -> Cow<'_, str> {
    shaped(text, longest, |character| matches!(character, '\n' | '\r' | '\t').then_some(character))
}

/// `control` says what a control character becomes.
fn shaped(text: &str, longest: usize, control: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if text.len() <= longest && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let kept = |character: char| if is_bad(character) { control(character) } else { Some(character) };
    if text.chars().nth(longest).is_none() && text.chars().all(|character| kept(character) == Some(character))
    {
        return Cow::Borrowed(text);
    }
    let mut characters = text.chars().filter_map(kept);
    let mut shaped: String = characters.by_ref().take(longest).collect();
    if characters.next().is_some() {
        shaped.pop();
        shaped.push('…');
    }
    Cow::Owned(shaped)
}

fn is_bad(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn cleaned(text: String, longest: usize) -> String {
    match clean(&text, longest) {
        Cow::Owned(cleaned) => cleaned,
        Cow::Borrowed(_) => text,
    }
}

/// A text of at most so many characters, for a field that must be there.
pub(crate) fn required<'de, D, const LONGEST: usize>(deserializer: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    String::deserialize(deserializer).map(|text| cleaned(text, LONGEST))
}

/// The same for a field that may be null; with `default`, absent.
pub(crate) fn optional<'de, D, const LONGEST: usize>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<String>::deserialize(deserializer)?.map(|text| cleaned(text, LONGEST)))
}

/// A role, a type or another word, written down without a copy where it is as it should be.
pub(crate) struct Word<T>(PhantomData<T>);

impl<T: for<'a> From<&'a str>> Word<T> {
    pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(Self(PhantomData))
    }
}

impl<T: for<'a> From<&'a str>> Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<T, E> {
        let word = clean(word, WORD);
        let word = word.trim();
        if word.is_empty() {
            return Err(E::invalid_value(Unexpected::Str(word), &self));
        }
        Ok(T::from(word))
    }
}

/// The same in a list.
pub(crate) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(words.into_iter().map(|word| cleaned(word, WORD)).collect())
}

/// A text of many lines.
pub(crate) fn content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| clean_lines(&text, CONTENT).into_owned())
}

/// Cleans every text of a document, its names included.
pub(crate) fn clean_value(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(cleaned) = clean_lines(text, CONTENT) {
                *text = cleaned;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(clean_value),
        Value::Object(fields) => clean_map(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The same for an object.
pub(crate) fn clean_map(fields: &mut Map<String, Value>) {
    if fields.keys().any(|name| matches!(clean(name, NAME), Cow::Owned(_))) {
        let named = std::mem::take(fields).into_iter();
        *fields = named.map(|(name, value)| (cleaned(name, NAME), value)).collect();
    }
    fields.values_mut().for_each(clean_value);
}

/// Any JSON whose texts are clean.
pub(crate) fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let mut value = Value::deserialize(deserializer)?;
    clean_value(&mut value);
    Ok(value)
}

/// Things by name.
pub(crate) fn by_name<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let named = Option::<BTreeMap<String, T>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(named.into_iter().map(|(name, thing)| (cleaned(name, NAME), thing)).collect())
}

/// An object whose texts are clean.
pub(crate) fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let mut fields = Map::deserialize(deserializer)?;
    clean_map(&mut fields);
    Ok(fields)
}
