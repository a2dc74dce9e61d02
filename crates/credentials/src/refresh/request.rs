//! What is sent to renew a version: put together before anything is begun, so that nothing here can fail afterwards.

use std::sync::Arc;

use secrecy::SecretString;
use tidemark_domain::connection::CredentialKind;
use tidemark_productboard::oauth::{Assertion, Error, Grant, OAuth};
use tidemark_store::{Connection, SealedCredential};

use crate::{refusal::Fault, secret::Secret, service::Parts};

/// A request for a new access token.
pub(super) enum Request {
    /// Spends a refresh token.
    Refresh(Arc<OAuth>, SecretString),
    /// Acts for a member once more.
    Assert(Arc<OAuth>, Box<Assertion>),
    /// A grant without a refresh token ends with its access token: there is nothing to ask with.
    Nothing,
}

impl Parts {
    pub(super) fn request(
        &self,
        connection: &Connection,
        version: &SealedCredential,
        secret: &Secret,
    ) -> Result<Request, Fault> {
        Ok(match (version.kind, &secret.refresh, &secret.subject) {
            (CredentialKind::Assertion, _, Some(subject)) => {
                let (oauth, assertion) = self.assertion(connection.region, subject)?;
                Request::Assert(oauth, Box::new(assertion))
            }
            (_, Some(token), _) => Request::Refresh(self.oauth(connection.region)?, token.clone()),
            _ => Request::Nothing,
        })
    }
}

impl Request {
    pub(super) async fn send(&self) -> Result<Grant, Error> {
        match self {
            Self::Refresh(oauth, token) => oauth.refresh(token).await,
            Self::Assert(oauth, assertion) => oauth.assert(assertion).await,
            Self::Nothing => Err(Error::InvalidGrant { attempted: "refresh a token", said: String::new() }),
        }
    }
}
