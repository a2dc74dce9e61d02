//! When the certificates end that this process shows to others: one that nobody renews is seen before it ends.

use std::{path::PathBuf, time::Duration};

use tidemark_runtime::{Config, Shutdown, metrics, tls};

/// Their ends change once in weeks.
const EVERY: Duration = Duration::from_secs(60);

/// Who is shown which file.
pub(super) fn shown(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let rpc = &config.rpc.tls;
    let files = [
        ("callers", &rpc.server),
        ("services", &rpc.client),
        ("broker", &config.bus.server.tls.own),
        ("leases", &config.leases.server.tls.own),
    ];
    let named = files.into_iter().filter_map(|(to, files)| Some((to, files.as_ref()?.0.clone())));
    named.collect()
}

/// Reads them again and again. One that cannot be read keeps the end that it had.
pub(super) async fn watch(certificates: &[(&'static str, PathBuf)], shutdown: &Shutdown) {
    loop {
        for (to, file) in certificates {
            match tls::expiry(file) {
                Ok(at) => metrics::certificates::expires(to, at),
                Err(error) => {
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::warn!(shown_to = to, error, "a certificate cannot be read");
                }
            }
        }
        if !shutdown.pause(EVERY).await {
            return;
        }
    }
}
