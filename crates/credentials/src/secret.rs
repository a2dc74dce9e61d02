//! What a version of a credential holds, and how it is sealed: an API key as it is, a grant with its tokens together.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tidemark_domain::connection::CredentialKind;
use tidemark_productboard::oauth::Grant;
use tidemark_store::{Connection, Sealed, SealedCredential};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{refusal::Fault, service::Parts, vault::Place};

/// The secrets of one version.
pub(crate) struct Secret {
    /// What is sent to the API.
    pub(crate) access: SecretString,
    /// What renews it.
    pub(crate) refresh: Option<SecretString>,
    /// Whom an assertion acts for.
    pub(crate) subject: Option<String>,
}

/// The sealed form of everything but API keys.
#[derive(Serialize, Deserialize)]
struct Tokens {
    access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
    }
}

impl Secret {
    /// An API key.
    pub(crate) fn key(key: SecretString) -> Self {
        Self { access: key, refresh: None, subject: None }
    }

    /// What the vendor granted. A renewal that brings no refresh token leaves the one that was used.
    pub(crate) fn granted(grant: &Grant, used: Option<&Self>) -> Self {
        let used_token = used.and_then(|used| used.refresh.clone());
        Self {
            access: grant.access_token.clone(),
            refresh: refresh_token(grant).cloned().or(used_token),
            subject: used.and_then(|used| used.subject.clone()),
        }
    }

    fn text(&self, kind: CredentialKind) -> SecretString {
        if kind == CredentialKind::ApiKey {
            return self.access.clone();
        }
        let tokens = Tokens {
            access_token: self.access.expose_secret().to_owned(),
            refresh_token: self.refresh.as_ref().map(|token| token.expose_secret().to_owned()),
            subject: self.subject.clone(),
        };
        serde_json::to_string(&tokens).expect("texts only").into()
    }

    fn read(kind: CredentialKind, text: SecretString) -> Option<Self> {
        if kind == CredentialKind::ApiKey {
            return Some(Self::key(text));
        }
        let mut tokens: Tokens = serde_json::from_str(text.expose_secret()).ok()?;
        let access = Zeroizing::new(std::mem::take(&mut tokens.access_token));
        let refresh =
            tokens.refresh_token.take().map(Zeroizing::new).filter(|token| !token.trim().is_empty());
        Some(Self {
            access: SecretString::from(access.as_str()),
            refresh: refresh.map(|token| SecretString::from(token.as_str())),
            subject: tokens.subject.take(),
        })
    }
}

/// The refresh token that a grant brings. An empty one is none.
pub(crate) fn refresh_token(grant: &Grant) -> Option<&SecretString> {
    grant.refresh_token.as_ref().filter(|token| !token.expose_secret().trim().is_empty())
}

impl Parts {
    pub(crate) fn seal(
        &self,
        connection: &Connection,
        kind: CredentialKind,
        generation: i64,
        secret: &Secret,
    ) -> Sealed {
        self.vault.seal(Place::of(connection, kind, generation), &secret.text(kind))
    }

    /// Opens a version. Its place comes from the connection, not from the version's own row.
    pub(crate) fn open(&self, connection: &Connection, version: &SealedCredential) -> Result<Secret, Fault> {
        let SealedCredential { kind, generation, .. } = *version;
        let text = self.vault.open(Place::of(connection, kind, generation), &version.sealed);
        let text = text.map_err(|error| Fault::Sealed { connection: connection.id.clone(), error })?;
        Secret::read(kind, text)
            .ok_or_else(|| Fault::Missing { connection: connection.id.clone(), generation })
    }
}
