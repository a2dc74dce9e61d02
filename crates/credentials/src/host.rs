//! Which host a region's keys are sent to; they are sent nowhere else.

use tidemark_domain::connection::Region;
use url::Url;

/// The vendor, as this service is configured to reach it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The default region's host.
    pub us_url: Url,
    /// The European region's host.
    pub eu_url: Url,
    /// What the vendor allows per key.
    pub requests_per_second: u32,
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
