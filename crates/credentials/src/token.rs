//! What a link or a session holds: 256 random bits. The record keeps only a hash of it; 256 bits need no salt.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use tidemark_domain::Entropy;
use url::Url;
use zeroize::Zeroizing;

const BYTES: usize = 32;

/// What the record knows of a token.
pub(crate) type Hash = [u8; 32];

/// A secret that stands for what it was given out for.
#[derive(Debug)]
pub(crate) struct Token(SecretString);

impl Token {
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; BYTES]);
        entropy.fill(&mut *bytes);
        Self(URL_SAFE_NO_PAD.encode(*bytes).into())
    }

    /// A text that could be a token; what could not need not be looked for.
    pub(crate) fn parse(text: String) -> Option<Self> {
        let text = Zeroizing::new(text);
        let decoded = URL_SAFE_NO_PAD.decode(&*text).map(Zeroizing::new).ok()?;
        (decoded.len() == BYTES).then(|| Self(text.as_str().into()))
    }

    pub(crate) fn hash(&self) -> Hash {
        Sha256::digest(self.0.expose_secret()).into()
    }

    /// A page of the console that is reached with this token.
    pub(crate) fn link(&self, console: &Url, page: &str) -> SecretString {
        let console = console.as_str().trim_end_matches('/');
        format!("{console}/{page}/{}", self.0.expose_secret()).into()
    }
}

impl ExposeSecret<str> for Token {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use tidemark_testkit::SeededEntropy;

    use super::*;

    #[test]
    fn a_token_survives_its_link_and_is_never_shown() {
        let token = Token::generate(&SeededEntropy::new(1));
        let text = token.expose_secret().to_owned();
        assert_eq!(text.len(), 43);
        for console in ["https://app.example.com/tidemark", "https://app.example.com/tidemark/"] {
            let link = token.link(&console.parse().unwrap(), "invitations");
            assert_eq!(link.expose_secret(), format!("https://app.example.com/tidemark/invitations/{text}"));
        }
        assert!(!format!("{token:?}").contains(&text));
        assert_eq!(Token::parse(text.clone()).unwrap().hash(), token.hash());
        assert_ne!(Token::generate(&SeededEntropy::new(2)).hash(), token.hash());
        for wrong in ["", "x", &text[1..], &format!("{text}A"), &text.replace(&text[..1], "/"), "'; drop"] {
            assert!(Token::parse(wrong.to_owned()).is_none(), "{wrong}");
        }
    }
}
