//! How the service reaches the vendor: which host a region's secrets are sent to, and no other; and the deployment's
//! OAuth application, if it has one.

use std::{fmt, sync::Arc, sync::OnceLock, time::Duration};

use secrecy::SecretString;
use tidemark_domain::connection::Region;
use tidemark_productboard::{
    Transport,
    oauth::{App, Error, OAuth},
};
use url::Url;

use crate::probe::REQUEST_TIMEOUT;

pub use tidemark_productboard::oauth::ClientAuthentication;

/// Two of these fit into a caller's deadline.
const OAUTH_TIMEOUT: Duration = Duration::from_secs(8);

/// The vendor, as this service is configured to reach it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The default region's host.
    pub us_url: Url,
    /// The European region's host.
    pub eu_url: Url,
    /// What the vendor allows per key.
    pub requests_per_second: u32,
    /// How long a connection that nobody uses goes untried at most.
    pub probe_interval: Duration,
    /// The application registered with the vendor. Without one nobody can consent.
    pub oauth: Option<Application>,
}

/// The OAuth application that this deployment has registered with the vendor.
#[derive(Debug, Clone)]
pub struct Application {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: SecretString,
    /// How the two are sent.
    pub authentication: ClientAuthentication,
    /// Where the vendor sends people back to, exactly as registered.
    pub redirect_url: Url,
    /// The application host of the default region, where people consent.
    pub us_host: Url,
    /// The one of the European region.
    pub eu_host: Url,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The RSA key that signs assertions, as PEM. Without one nobody can connect by assertion.
    pub assertion_key: Option<SecretString>,
}

impl Application {
    /// Where people of that region consent.
    pub(crate) fn host(&self, region: Region) -> &Url {
        match region {
            Region::Us => &self.us_host,
            Region::Eu => &self.eu_host,
        }
    }
}

impl Settings {
    pub(crate) fn base_url(&self, region: Region) -> &Url {
        match region {
            Region::Us => &self.us_url,
            Region::Eu => &self.eu_url,
        }
    }

    /// The region's host and port, for a sentence.
    pub(crate) fn host(&self, region: Region) -> String {
        let url = self.base_url(region);
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", url.host_str().unwrap_or_default())
    }
}

/// The vendor's servers: connections to each, made when first used.
#[derive(Default)]
pub(crate) struct Servers {
    oauth: [OnceLock<Arc<OAuth>>; 2],
    api: [OnceLock<Transport>; 2],
}

impl Servers {
    /// Connections to a region's API, for every credential that is tried there.
    pub(crate) fn api(
        &self,
        settings: &Settings,
        region: Region,
    ) -> Result<Transport, tidemark_productboard::Error> {
        let place = &self.api[usize::from(region == Region::Eu)];
        if let Some(transport) = place.get() {
            return Ok(transport.clone());
        }
        let transport = Transport::new(settings.base_url(region), REQUEST_TIMEOUT)?;
        Ok(place.get_or_init(|| transport).clone())
    }

    pub(crate) fn oauth(&self, application: &Application, region: Region) -> Result<Arc<OAuth>, Error> {
        let place = &self.oauth[usize::from(region == Region::Eu)];
        if let Some(server) = place.get() {
            return Ok(Arc::clone(server));
        }
        let host = application.host(region);
        let app = App {
            client_id: application.client_id.clone(),
            client_secret: application.client_secret.clone(),
            authentication: application.authentication,
            redirect_url: application.redirect_url.clone(),
        };
        let trusted = [host.host_str().unwrap_or_default().to_owned()];
        let server = Arc::new(OAuth::new(host, &app, OAUTH_TIMEOUT, &trusted)?);
        Ok(Arc::clone(place.get_or_init(|| server)))
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Servers")
    }
}
