//! OAuth: the consent of a person, the tokens that come of it, and tokens for a server without a person.
//!
//! Tokens of OAuth are not equal to API keys: the vendor has been seen to answer 403 to them for members, teams and
//! activities. Whoever stores a grant must be ready for [`Error::InDoubt`]: the refresh token rotates at every use.

mod app;
mod assertion;
mod endpoint;
mod error;
mod grant;

pub use app::{App, ClientAuthentication, Consent};
pub use assertion::Assertion;
pub use error::Error;
pub use grant::{Grant, TokenInfo};

use std::fmt;
use std::time::Duration;

use oauth2::{AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RefreshToken, Scope};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::host;
use app::Registered;
use endpoint::Endpoint;

const GET_INFO: &str = "get the scopes of a token";
const REVOKE: &str = "revoke a token";

/// The vendor's OAuth server for one application in one region.
pub struct OAuth {
    registered: Registered,
    endpoint: Endpoint,
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("host", &host::shown(self.endpoint.base())).finish_non_exhaustive()
    }
}

impl OAuth {
    /// The OAuth server below `host`, for example `https://app.productboard.com`. Sends nothing yet.
    pub fn new(
        host: &Url,
        app: &App,
        request_timeout: Duration,
        trusted_hosts: &[String],
    ) -> Result<Self, Error> {
        let endpoint = Endpoint::new(host, app, request_timeout, trusted_hosts)?;
        Ok(Self { registered: Registered::new(host, app)?, endpoint })
    }

    /// Where to send a person to consent, with what has to be kept for [`OAuth::exchange`] until they are back.
    pub fn authorize<'a>(&self, scopes: impl IntoIterator<Item = &'a str>) -> Consent {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let scopes = scopes.into_iter().map(|scope| Scope::new(scope.to_owned()));
        let request = self.registered.client().authorize_url(CsrfToken::new_random);
        let (url, state) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
        Consent { url, state: state.into_secret().into(), verifier: verifier.into_secret().into() }
    }

    /// Turns the code of a consent into a grant. A code works once, for ten minutes.
    pub async fn exchange(&self, code: &SecretString, verifier: &SecretString) -> Result<Grant, Error> {
        let attempted = "exchange an authorization code";
        let code = AuthorizationCode::new(code.expose_secret().to_owned());
        let verifier = PkceCodeVerifier::new(verifier.expose_secret().to_owned());
        let request = self.registered.client().exchange_code(code).set_pkce_verifier(verifier);
        request
            .request_async(&self.endpoint)
            .await
            .map(Grant::from)
            .map_err(|error| Error::of(attempted, error))
    }

    /// Spends a refresh token for a new grant. After [`Error::InDoubt`] the old token may work for another 60 minutes.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<Grant, Error> {
        let attempted = "refresh a token";
        let token = RefreshToken::new(refresh_token.expose_secret().to_owned());
        let request = self.registered.client().exchange_refresh_token(&token);
        request
            .request_async(&self.endpoint)
            .await
            .map(Grant::from)
            .map_err(|error| Error::of(attempted, error))
    }

    /// Asks for an access token in the name of a member, by a signed assertion instead of a consent. It lives 300 s,
    /// and there is no refresh token: assert again.
    pub async fn assert(&self, assertion: &Assertion) -> Result<Grant, Error> {
        let jwt = assertion.sign()?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", jwt.expose_secret()),
        ];
        self.endpoint.post("assert an identity", "token", &form).await?.grant()
    }

    /// Revokes an access or a refresh token.
    pub async fn revoke(&self, token: &SecretString) -> Result<(), Error> {
        self.endpoint.post(REVOKE, "revoke", &[("token", token.expose_secret())]).await.map(drop)
    }

    /// What an access token may do, and for which workspace.
    pub async fn token_info(&self, access_token: &SecretString) -> Result<TokenInfo, Error> {
        self.endpoint.info(GET_INFO, access_token).await?.info()
    }
}
