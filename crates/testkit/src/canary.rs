//! Looks for secrets where none may be: in logs, messages, files, and whatever else was written down.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use memchr::memmem;

/// What is shorter could stand anywhere by chance.
const SHORTEST: usize = 12;

/// Fails where one of the secrets is in these bytes, in any spelling in which it could be found again.
pub fn assert_absent<S: AsRef<str>>(secrets: &[S], place: &str, bytes: &[u8]) {
    for (number, secret) in secrets.iter().enumerate() {
        assert!(secret.as_ref().len() >= SHORTEST, "secret {number} is too short to be looked for");
        for spelling in spellings(secret.as_ref()) {
            if let Some(at) = memmem::find(bytes, &spelling) {
                let around = &bytes[at.saturating_sub(300)..(at + 100).min(bytes.len())];
                panic!("secret {number} is in {place}: {}", String::from_utf8_lossy(around));
            }
        }
    }
}

/// The text, its hexadecimal digits, its base64 wherever it falls; and the bytes that it may stand for itself.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let text = secret.as_bytes();
    let mut all = vec![text.to_vec(), hex(text)];
    // In the middle of other bytes base64 has three ways to fall; the groups in between are told by each.
    for skipped in 0..3 {
        let whole = &text[skipped..];
        let whole = &whole[..whole.len() / 3 * 3];
        all.push(STANDARD_NO_PAD.encode(whole).into_bytes());
        all.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
    }
    // Keys have a name in front, webhook secrets and service tokens a prefix.
    let bare = secret.rsplit([':', '_']).next().unwrap_or(secret);
    let decoded = STANDARD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare));
    if let Ok(bytes) = decoded
        && bytes.len() >= SHORTEST
    {
        all.push(bare.as_bytes().to_vec());
        all.push(hex(&bytes));
        all.push(bytes);
    }
    all
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    hex::encode(bytes).into_bytes()
}

/// Keeps what is written to it. Clones keep it together.
#[derive(Debug, Clone, Default)]
pub struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    /// Everything so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.kept().clone()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    const CANARY: &str = "pb-canary-4f1c9a7be2d853";

    fn is_found(secret: &str, bytes: &[u8]) -> bool {
        catch_unwind(|| assert_absent(&[secret], "a line", bytes)).is_err()
    }

    #[test]
    fn every_spelling_is_found_and_a_harmless_line_is_not() {
        for before in ["", "x", "xx"] {
            let inside = format!("{before}{CANARY}-and-more");
            for line in [inside.clone(), STANDARD_NO_PAD.encode(&inside), URL_SAFE_NO_PAD.encode(&inside)] {
                assert!(is_found(CANARY, format!("some text {line} and more").as_bytes()), "{line}");
            }
        }
        assert!(is_found(CANARY, &hex(CANARY.as_bytes())));
        assert!(!is_found(CANARY, b"a harmless line"));
    }

    #[test]
    fn what_a_secret_stands_for_is_found_too() {
        let bytes: Vec<u8> = (100..132).collect();
        let secret = format!("k1:{}", STANDARD.encode(&bytes));
        assert!(is_found(&secret, &[b"raw ".to_vec(), bytes.clone()].concat()));
        assert!(is_found(&secret, &hex(&bytes)));
        assert!(is_found(&secret, STANDARD.encode(&bytes).as_bytes()), "without its name");
    }
}
