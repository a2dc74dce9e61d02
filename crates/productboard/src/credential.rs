//! The secret of a client: how it is sent, and how it is kept out of everything that is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::Error;
use crate::model::text;

/// How the token is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Authorization: Bearer TOKEN`, as the vendor documents it.
    #[default]
    Bearer,
    /// HTTP Basic with the token as user name and no password, for gateways that want it.
    Basic,
}

/// A token that was checked and can be sent.
pub(crate) struct Credential {
    token: SecretString,
    /// What stands in the header behind the scheme.
    sent: SecretString,
    scheme: AuthScheme,
}

impl Credential {
    pub(crate) fn new(token: &SecretString, scheme: AuthScheme) -> Result<Self, Error> {
        let token = checked(token.expose_secret())?;
        let sent = match scheme {
            AuthScheme::Bearer => token.to_owned(),
            AuthScheme::Basic => STANDARD.encode(format!("{token}:")),
        };
        Ok(Self { token: SecretString::from(token), sent: SecretString::from(sent), scheme })
    }

    pub(crate) fn header(&self) -> Result<HeaderValue, Error> {
        let scheme = match self.scheme {
            AuthScheme::Bearer => "Bearer",
            AuthScheme::Basic => "Basic",
        };
        let mut header = HeaderValue::from_str(&format!("{scheme} {}", self.sent.expose_secret()))
            .map_err(|_| Error::Configuration("the token cannot be sent in a header".to_owned()))?;
        header.set_sensitive(true);
        Ok(header)
    }

    pub(crate) fn is_basic(&self) -> bool {
        self.scheme == AuthScheme::Basic
    }

    /// One line of bounded length without the token, should the vendor have echoed it.
    pub(crate) fn clean(&self, text: &str) -> String {
        let text = text.replace(self.token.expose_secret(), "[token]");
        bounded(&text.replace(self.sent.expose_secret(), "[token]"))
    }
}

/// One line of bounded length.
pub(crate) fn bounded(text: &str) -> String {
    text::clean(text, text::PROBLEM).into_owned()
}

/// The token without the white space around it. What is wrong with it is said without showing it.
fn checked(token: &str) -> Result<&str, Error> {
    let token = token.trim();
    if token.is_empty() {
        return Err(Error::Configuration("the token is empty".to_owned()));
    }
    let Some(at) = token.chars().position(|c| !c.is_ascii_graphic()) else { return Ok(token) };
    let what = match token.chars().nth(at) {
        Some(c) if c.is_whitespace() => "white space",
        Some(c) if c.is_control() => "a control character",
        _ => "a character that is not ASCII",
    };
    Err(Error::Configuration(format!("the token has {what} at position {}", at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_and_checked_without_being_shown() {
        assert_eq!(checked(" \tpb-token\r\n").unwrap(), "pb-token");
        let cases = [
            ("  ", "the token is empty"),
            ("pb token", "the token has white space at position 3"),
            ("pb\u{7}token", "the token has a control character at position 3"),
            ("pb-tökén", "the token has a character that is not ASCII at position 5"),
        ];
        for (token, problem) in cases {
            let error = checked(token).unwrap_err().to_string();
            assert_eq!(error, format!("the Productboard client is not set up right: {problem}"));
        }
    }

    #[test]
    fn both_forms_of_the_token_are_sent_as_asked_and_never_told() {
        let token = SecretString::from("hush");
        for (scheme, sent) in [(AuthScheme::Bearer, "Bearer hush"), (AuthScheme::Basic, "Basic aHVzaDo=")] {
            let credential = Credential::new(&token, scheme).unwrap();
            let header = credential.header().unwrap();
            assert_eq!(header.to_str().unwrap(), sent);
            assert!(header.is_sensitive());
            let told = credential.clean(&format!("you sent\n {sent} {}", "x".repeat(500)));
            assert!(!told.contains("hush") && !told.contains("aHVzaDo="), "{told}");
            assert_eq!(told.chars().count(), text::PROBLEM);
        }
    }
}
