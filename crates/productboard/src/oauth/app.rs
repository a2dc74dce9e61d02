//! The application that a deployment has registered with the vendor.

use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AuthType, AuthUrl, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet, RedirectUrl,
    StandardRevocableToken, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Error;
use super::endpoint::below;
use super::grant::TokenResponse;

/// How the application proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Id and secret in the form: what every integration seen does.
    #[default]
    Post,
    /// HTTP Basic.
    Basic,
}

/// The application as registered with the vendor.
#[derive(Debug, Clone)]
pub struct App {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: SecretString,
    /// How the two are sent.
    pub authentication: ClientAuthentication,
    /// Where the vendor sends people back to: exactly as registered.
    pub redirect_url: Url,
}

/// A person's way to the consent and back.
#[derive(Debug)]
pub struct Consent {
    /// Where to send the person.
    pub url: Url,
    /// What must come back with them: bind it to their browser session, and refuse any other.
    pub state: SecretString,
    /// What proves, at the exchange, that it was us who asked.
    pub verifier: SecretString,
}

type OAuth2Client = Client<
    BasicErrorResponse,
    TokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// The application with the addresses of one region.
pub(super) struct Registered(OAuth2Client);

impl Registered {
    pub(super) fn new(host: &Url, app: &App) -> Result<Self, Error> {
        let address = |path| below(host, path).to_string();
        let wrong = |error: url::ParseError| Error::Configuration(format!("the OAuth host: {error}"));
        let client = Client::new(ClientId::new(app.client_id.clone()))
            .set_client_secret(ClientSecret::new(app.client_secret.expose_secret().to_owned()))
            .set_auth_type(match app.authentication {
                ClientAuthentication::Post => AuthType::RequestBody,
                ClientAuthentication::Basic => AuthType::BasicAuth,
            })
            .set_auth_uri(AuthUrl::new(address("authorize")).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(address("token")).map_err(wrong)?)
            .set_redirect_uri(RedirectUrl::from_url(app.redirect_url.clone()));
        Ok(Self(client))
    }

    pub(super) fn client(&self) -> &OAuth2Client {
        &self.0
    }
}
