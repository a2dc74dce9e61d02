//! What is assumed of the vendor, held against each workspace that is connected: kept with the connection, it steers how
//! the workspace is read. No connect fails for it.

use std::time::Duration;

use tidemark_productboard::vendor_check::quick_check;
use tidemark_store::{Connection, VendorFinding};

use crate::{install::Proven, service::Parts};

/// Somebody waits for the connect.
const DEADLINE: Duration = Duration::from_secs(3);

impl Parts {
    /// What a few requests show; nothing where they cannot be sent.
    pub(crate) async fn assumed(&self, connection: &Connection, proven: &Proven) -> Vec<VendorFinding> {
        let Proven { kind, scheme, secret, .. } = proven;
        let Ok(options) = self.options(connection.region, *kind, *scheme) else { return Vec::new() };
        let (base_url, today) = (self.settings.base_url(connection.region), self.clock.today());
        match quick_check(base_url, &secret.access, &options, today, DEADLINE).await {
            Ok(findings) => findings
                .iter()
                .map(|finding| VendorFinding {
                    assumption: finding.assumption.id().into(),
                    holds: finding.outcome.holds(),
                    detail: finding.to_string(),
                })
                .collect(),
            Err(error) => {
                tracing::warn!(connection = %connection.id, %error, "what is assumed of Productboard could not be checked");
                Vec::new()
            }
        }
    }
}
