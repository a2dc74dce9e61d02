//! The text of a service token: `tmk_` + id + `_` + secret. The prefix lets scanners find one that leaked, the id finds
//! its record, and of the secret only a hash is kept: 256 random bits need no slow hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tidemark_domain::{Clock, Entropy, id::TokenId};
use zeroize::Zeroizing;

/// In front of every token's text.
pub const PREFIX: &str = "tmk_";

const ID_PREFIX: &str = "tok_";
const SECRET_BYTES: usize = 32;

/// SHA-256 of a secret.
pub type Hash = [u8; 32];

/// A token at the only moment its text is known.
#[derive(Debug)]
pub struct Minted {
    /// Names the record.
    pub id: TokenId,
    /// To be kept.
    pub hash: Hash,
    /// To be shown once.
    pub text: SecretString,
}

/// Makes a new token.
pub fn mint(clock: &dyn Clock, entropy: &dyn Entropy) -> Minted {
    let id = TokenId::generate(clock, entropy);
    let mut random = Zeroizing::new([0; SECRET_BYTES]);
    entropy.fill(&mut *random);
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*random));
    let bare = id.as_str().strip_prefix(ID_PREFIX).expect("every token's id has this prefix");
    let text = SecretString::from(format!("{PREFIX}{bare}_{}", *secret));
    Minted { hash: hash(&secret), id, text }
}

/// The id and the hash of the secret in a token's text, if it looks like one.
pub fn read(text: &str) -> Option<(TokenId, Hash)> {
    let (bare, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let id = format!("{ID_PREFIX}{bare}").parse().ok()?;
    // Longer than any secret, it would be hashed for nothing.
    (secret.len() <= 64).then(|| (id, hash(secret)))
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// The values of the setting `rpc.token`: the first is shown to others, each is accepted.
pub(crate) fn values(setting: &SecretString) -> Vec<SecretString> {
    let parts = setting.expose_secret().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(SecretString::from).collect()
}

/// Those of them that a server accepts from every internal service. A service token is shown only: what it may do stands
/// in the record, also at the server of the process that shows it.
pub(crate) fn internal(setting: &SecretString) -> Vec<SecretString> {
    values(setting).into_iter().filter(|value| read(value.expose_secret()).is_none()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> chrono::DateTime<chrono::Utc> {
            chrono::DateTime::UNIX_EPOCH
        }
    }
    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(255);
        }
    }

    #[test]
    fn a_minted_token_reads_back_by_id_and_hash() {
        let minted = mint(&Fixed, &Fixed);
        let text = minted.text.expose_secret();
        assert!(text.starts_with("tmk_"), "{text}");
        assert_eq!(text.len(), 4 + 26 + 1 + 43);
        assert_eq!(read(text), Some((minted.id.clone(), minted.hash)));
        assert!(!format!("{minted:?}").contains("____"), "the secret is all underscores here");
    }

    #[test]
    fn what_is_no_token_is_not_looked_up() {
        let long = format!("tmk_01jd0000000000000000000000_{}", "a".repeat(65));
        for text in
            ["", "tmk_", "tmk_1_2", "01jd0000000000000000000000_a", "tmk_01JD0000000000000000000000_a", &long]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
