//! The token that the internal services show each other. In a file, it is read again: who calls and who is called follow a
//! rotation without a restart.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use secrecy::SecretString;

use crate::token;

/// How often its file is looked at, at most.
const EVERY: Duration = Duration::from_secs(1);

/// The setting `rpc.token`: one value, or several separated by commas. The first is shown, each is accepted.
#[derive(Clone)]
pub struct InternalToken(Arc<Parts>);

struct Parts {
    file: Option<PathBuf>,
    /// As they were read last, and when.
    values: Mutex<(Arc<Values>, Instant)>,
}

pub(crate) struct Values {
    /// To others.
    pub(crate) shown: SecretString,
    /// Of the internal services.
    pub(crate) accepted: Vec<SecretString>,
}

impl Values {
    fn read(text: &SecretString) -> Arc<Self> {
        let shown = token::values(text).into_iter().next().unwrap_or_default();
        Arc::new(Self { shown, accepted: token::internal(text) })
    }
}

impl InternalToken {
    /// The one in that file, which may be replaced at any time. One that cannot be read or is empty leaves the last one in
    /// force.
    ///
    /// # Errors
    /// Where the file cannot be read now.
    pub fn in_file(file: &Path) -> io::Result<Self> {
        let text = SecretString::from(std::fs::read_to_string(file)?);
        Ok(Self::of(&text, Some(file.to_owned())))
    }

    fn of(text: &SecretString, file: Option<PathBuf>) -> Self {
        Self(Arc::new(Parts { file, values: Mutex::new((Values::read(text), Instant::now())) }))
    }

    /// All of them.
    pub(crate) fn values(&self) -> Arc<Values> {
        let mut known = self.0.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.0.file.as_ref().filter(|_| known.1.elapsed() >= EVERY) {
            known.1 = Instant::now();
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if !text.trim().is_empty() {
                known.0 = Values::read(&text.into());
            }
        }
        Arc::clone(&known.0)
    }
}

impl From<&SecretString> for InternalToken {
    fn from(text: &SecretString) -> Self {
        Self::of(text, None)
    }
}

impl fmt::Debug for InternalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InternalToken").field("file", &self.0.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn accepted(token: &InternalToken) -> Vec<String> {
        token.values().accepted.iter().map(|value| value.expose_secret().to_owned()).collect()
    }

    #[test]
    fn a_token_in_a_file_is_read_again_and_kept_while_the_file_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "first, second\n").unwrap();
        let token = InternalToken::in_file(&file).unwrap();
        assert_eq!(accepted(&token), ["first", "second"]);
        assert_eq!(token.values().shown.expose_secret(), "first");
        std::fs::write(&file, "third\n").unwrap();
        let started = Instant::now();
        while accepted(&token) != ["third"] {
            assert!(started.elapsed() < Duration::from_secs(10), "it was never read again");
            std::thread::yield_now();
        }
        std::fs::remove_file(&file).unwrap();
        // As if it were time to look again.
        token.0.values.lock().unwrap().1 = started;
        assert_eq!(accepted(&token), ["third"]);
        assert!(!format!("{token:?}").contains("third"));
        assert!(InternalToken::in_file(&file).is_err());
    }
}
