//! Envelope encryption: each version of a secret has a random data key, wrapped by a key-encryption key.
//!
//! Both ciphertexts are bound to the place they belong to. A row that was swapped, altered, or moved to another
//! organization, record, field or version does not open. Key-encryption keys go by id, so that they can be rotated.

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};
use tidemark_domain::{Entropy, connection::CredentialKind, id::OrganizationId};
use tidemark_store::{Connection, Sealed};
use zeroize::Zeroizing;

/// Changes when the way of sealing changes.
const SCHEMA: &str = "tidemark.credential.v1";
const ALGORITHM: &str = "xchacha20poly1305";
const KEY_BYTES: usize = 32;
/// Long enough to be drawn at random for every message. It stands in front of its ciphertext.
const NONCE_BYTES: usize = 24;
const LONGEST_KEY_ID: usize = 32;

/// Seals and opens credentials.
pub struct Vault {
    /// The first one seals, all open.
    keys: Vec<Key>,
    entropy: Arc<dyn Entropy>,
}

struct Key {
    id: String,
    secret: SecretBox<[u8; KEY_BYTES]>,
}

/// Why the key-encryption keys cannot be used. Says where, never what was there: it may be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// There is none.
    #[error(
        "there is no key-encryption key, and without one no credential can be stored: make one with \
         `echo \"k1:$(head -c 32 /dev/urandom | base64)\"`, set it as `credentials.keys`, and keep it safe"
    )]
    Empty,
    /// One is not of the expected shape.
    #[error(
        "key-encryption key no. {position} in `credentials.keys` {problem}; expected `id:base64 of 32 bytes`"
    )]
    Malformed {
        /// Counted from 1.
        position: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Two have the same id.
    #[error(
        "key-encryption key no. {position} in `credentials.keys` has the id of one before it; give it its own"
    )]
    Repeated {
        /// Counted from 1.
        position: usize,
    },
}

/// Why a credential does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Its key is not in the ring.
    #[error(
        "the credential was sealed with the key `{key_id}`, which this process does not have: \
         add that key to `credentials.keys`"
    )]
    UnknownKey {
        /// The key.
        key_id: String,
    },
    /// It was sealed by a newer version.
    #[error("the credential was sealed by `{algorithm}`, which this version does not know")]
    UnknownAlgorithm {
        /// How it was sealed.
        algorithm: String,
    },
    /// It is not what was sealed for that place.
    #[error(
        "the credential does not open with the key `{key_id}`: the row was altered or moved, \
         or the key of that id is not the one that sealed it"
    )]
    Refused {
        /// The key it claims to be sealed with.
        key_id: String,
    },
}

/// Where a secret belongs. It opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) organization: &'a OrganizationId,
    /// The id of the record that the secret is part of.
    pub(crate) record: &'a str,
    /// Which secret of the record it is.
    pub(crate) field: &'a str,
    /// Which of the secrets that the field has had.
    pub(crate) version: i64,
}

impl<'a> Place<'a> {
    /// The place of one version of one of a connection's credentials.
    pub(crate) fn of(connection: &'a Connection, kind: CredentialKind, generation: i64) -> Self {
        let Connection { id, organization_id, .. } = connection;
        Self { organization: organization_id, record: id.as_str(), field: kind.as_str(), version: generation }
    }
}

/// Which of a secret's two ciphertexts it is.
#[derive(Clone, Copy)]
enum Part {
    DataKey,
    Secret,
}

impl Place<'_> {
    /// What is authenticated with a ciphertext. Lengths stand in front, so that no two places read the same.
    fn associated_data(self, part: Part, key_id: &str) -> Vec<u8> {
        let field = match part {
            Part::DataKey => "data_key",
            Part::Secret => self.field,
        };
        let version = self.version.to_be_bytes();
        let parts = [
            SCHEMA.as_bytes(),
            self.organization.as_str().as_bytes(),
            self.record.as_bytes(),
            field.as_bytes(),
            &version,
            ALGORITHM.as_bytes(),
            key_id.as_bytes(),
        ];
        let length = parts.iter().map(|part| size_of::<u64>() + part.len()).sum();
        let mut data = Vec::with_capacity(length);
        for part in parts {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

impl Vault {
    /// A vault with these keys, `id:base64` pairs separated by commas. The first seals, all open.
    pub fn from_keys(keys: &SecretString, entropy: Arc<dyn Entropy>) -> Result<Self, InvalidKeys> {
        let mut ring: Vec<Key> = Vec::new();
        let entries = keys.expose_secret().split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (entry, position) in entries.zip(1..) {
            let key = Key::read(entry).map_err(|problem| InvalidKeys::Malformed { position, problem })?;
            if ring.iter().any(|other| other.id == key.id) {
                return Err(InvalidKeys::Repeated { position });
            }
            ring.push(key);
        }
        if ring.is_empty() { Err(InvalidKeys::Empty) } else { Ok(Self { keys: ring, entropy }) }
    }

    /// The ids of the keys, the sealing one first.
    pub(crate) fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// The id of the key that seals.
    pub(crate) fn sealing_key_id(&self) -> &str {
        &self.keys[0].id
    }

    /// Seals a secret for its place.
    pub(crate) fn seal(&self, place: Place<'_>, secret: &SecretString) -> Sealed {
        let sealing = &self.keys[0];
        let mut data_key = Zeroizing::new([0; KEY_BYTES]);
        self.entropy.fill(&mut *data_key);
        let associated = |part| place.associated_data(part, &sealing.id);
        let wrapped = self.encrypt(sealing.secret.expose_secret(), &*data_key, &associated(Part::DataKey));
        let secret = secret.expose_secret().as_bytes();
        Sealed {
            algorithm: ALGORITHM.to_owned(),
            key_id: sealing.id.clone(),
            wrapped_key: wrapped,
            ciphertext: self.encrypt(&data_key, secret, &associated(Part::Secret)),
        }
    }

    /// Opens the secret of a place. The place comes from the record, not from the row of the sealed secret.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<SecretString, OpenError> {
        if sealed.algorithm != ALGORITHM {
            return Err(OpenError::UnknownAlgorithm { algorithm: sealed.algorithm.clone() });
        }
        let key_id = &sealed.key_id;
        let key = self.keys.iter().find(|key| key.id == *key_id);
        let key = key.ok_or_else(|| OpenError::UnknownKey { key_id: key_id.clone() })?;
        let associated = |part| place.associated_data(part, key_id);
        let opened = decrypt(key.secret.expose_secret(), &sealed.wrapped_key, &associated(Part::DataKey))
            .and_then(|data_key| decrypt(&data_key, &sealed.ciphertext, &associated(Part::Secret)));
        let text = opened.as_deref().and_then(|opened| std::str::from_utf8(opened).ok());
        text.map(SecretString::from).ok_or_else(|| OpenError::Refused { key_id: key_id.clone() })
    }

    fn encrypt(&self, key: &[u8; KEY_BYTES], plain: &[u8], associated: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let sealed = XChaCha20Poly1305::new(key.into())
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: associated })
            .expect("the cipher takes up to 256 GiB, a credential has some kilobytes");
        [nonce.as_slice(), &sealed].concat()
    }
}

fn decrypt(key: &[u8], sealed: &[u8], associated: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    let cipher = XChaCha20Poly1305::new_from_slice(key).ok()?;
    let plain = cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: associated });
    plain.ok().map(Zeroizing::new)
}

impl Key {
    fn read(entry: &str) -> Result<Self, &'static str> {
        let (id, secret) = entry.split_once(':').ok_or("has no `:` between id and key")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || id.len() > LONGEST_KEY_ID || !id.chars().all(plain) {
            return Err("has an id that is not 1 to 32 letters, digits, `-`, `_` or `.`");
        }
        let bytes = Zeroizing::new(STANDARD.decode(secret.trim()).map_err(|_| "is not base64")?);
        if bytes.len() != KEY_BYTES {
            return Err("is not 32 bytes long");
        }
        let mut secret = SecretBox::<[u8; KEY_BYTES]>::default();
        secret.expose_secret_mut().copy_from_slice(&bytes);
        Ok(Self { id: id.to_owned(), secret })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.key_ids().collect();
        f.debug_struct("Vault").field("key_ids", &ids).finish_non_exhaustive()
    }
}
