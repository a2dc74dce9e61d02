//! Settings of the application that is registered with the vendor.

use secrecy::SecretString;
use url::Url;

use super::reader::Reader;

/// The application registered with the vendor.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: SecretString,
    /// How the two are sent.
    pub authentication: ClientAuthentication,
    /// Where the vendor sends people back to.
    pub redirect_url: Url,
    /// Where people of the default region consent.
    pub us_host: Url,
    /// Where people of the European region consent.
    pub eu_host: Url,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// What signs assertions, as PEM.
    pub assertion_key: Option<SecretString>,
}

/// How the application proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Id and secret in the form.
    Post,
    /// HTTP Basic.
    Basic,
}

impl OAuth {
    /// Nothing without a client id: the rest then stands for nothing.
    pub(super) fn read(read: &mut Reader) -> Option<Self> {
        let (client_id, redirect) = (read.text("oauth.client_id"), read.text("oauth.redirect_url"));
        let authentication = |text: &str| match text {
            "post" => Some(ClientAuthentication::Post),
            "basic" => Some(ClientAuthentication::Basic),
            _ => None,
        };
        let wanted = !client_id.is_empty();
        let assertion_key = read.text("oauth.assertion_key");
        let settings = Self {
            client_secret: read.secret("oauth.client_secret"),
            authentication: read.choice(
                "oauth.authentication",
                "`post` or `basic`",
                authentication,
                ClientAuthentication::Post,
            ),
            us_host: read.url("oauth.us_host", &["https", "http"]),
            eu_host: read.url("oauth.eu_host", &["https", "http"]),
            scopes: read.text("oauth.scopes").split_whitespace().map(str::to_owned).collect(),
            assertion_key: (!assertion_key.is_empty()).then(|| assertion_key.into()),
            redirect_url: if wanted || !redirect.is_empty() {
                read.url("oauth.redirect_url", &["https", "http"])
            } else {
                read.url("oauth.us_host", &["https", "http"])
            },
            client_id,
        };
        wanted.then_some(settings)
    }
}
