//! Fields of requests that end up in a mail or on a page, checked before anything else is done with them.

use lettre::Address;
use tidemark_domain::invitation::APPLICATION;
use tidemark_rpc::{identity::Identity, status::Refusal};

const LONGEST_NAME: usize = 120;
const LONGEST_ADDRESS: usize = 254;

/// A name as a person wrote it. It goes into a mail under our name, so it must not be able to break out of its line,
/// to turn the direction of the text, or to look like a link.
pub(crate) fn name(field: &'static str, text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    let refuse = |expected: &str| Err(Refusal::invalid(field, expected));
    if text.is_empty() {
        return refuse("expected a name for people to read");
    }
    if text.chars().count() > LONGEST_NAME {
        return refuse("expected at most 120 characters");
    }
    if text.chars().any(|c| c.is_control() || turns_text(c)) {
        return refuse("expected a name on one line, without control characters");
    }
    let lower = text.to_lowercase();
    if lower.contains("://") || lower.contains("www.") {
        return refuse("expected a name, not an address of a page");
    }
    Ok(text.to_owned())
}

/// A name that may be missing.
pub(crate) fn optional_name(field: &'static str, text: &str) -> Result<Option<String>, Refusal> {
    if text.trim().is_empty() { Ok(None) } else { name(field, text).map(Some) }
}

/// Who does it: the person named, or else the calling service.
pub(crate) fn actor(identity: &Identity, text: &str) -> Result<String, Refusal> {
    Ok(optional_name("actor", text)?.unwrap_or_else(|| identity.name().to_owned()))
}

/// An address to send to, if there is one.
pub(crate) fn address(field: &'static str, text: &str) -> Result<Option<String>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse::<Address>().ok().filter(|_| text.len() <= LONGEST_ADDRESS && text.is_ascii());
    let expected = "expected one address such as ada@example.com, without a name";
    parsed.map(|address| Some(address.to_string())).ok_or_else(|| Refusal::invalid(field, expected))
}

/// A number with a default for zero.
pub(crate) fn within(field: &'static str, given: u32, default: u32, most: u32) -> Result<i64, Refusal> {
    match given {
        0 => Ok(default.into()),
        given if given <= most => Ok(given.into()),
        _ => Err(Refusal::invalid(field, format!("expected 1 to {most}, or 0 for {default}"))),
    }
}

/// The one application there is.
pub(crate) fn application(text: &str) -> Result<(), Refusal> {
    if text.is_empty() || text == APPLICATION {
        return Ok(());
    }
    Err(Refusal::invalid("application", format!("expected `{APPLICATION}`, or nothing for it")))
}

fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_on_its_line_and_is_no_link() {
        assert_eq!(name("f", "  Zoë O'Brien, Ltd. <Ops> ").unwrap(), "Zoë O'Brien, Ltd. <Ops>");
        let evil =
            ["", "a\r\nBcc: x@example.com", "a\u{202e}b", "see https://evil.example", "WWW.evil.example"];
        for text in evil.map(str::to_owned).into_iter().chain(["x".repeat(121)]) {
            assert!(name("f", &text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_is_one_address() {
        assert_eq!(address("f", " ada@example.com ").unwrap().as_deref(), Some("ada@example.com"));
        assert_eq!(address("f", "").unwrap(), None);
        let evil = [
            "ada",
            "ada@example.com\r\nBcc: x@example.com",
            "ada@example.com, x@example.com",
            "Ada <ada@example.com>",
            "ada@example.com>\r\nRCPT TO:<x@example.com",
            "ädä@example.com",
        ];
        for text in evil {
            assert!(address("f", text).is_err(), "{text:?}");
        }
    }
}
