//! The certificates that this process shows to others.

use std::{sync::LazyLock, time::SystemTime};

use super::{Ages, Registry, seconds};

static EXPIRY: LazyLock<Ages> = LazyLock::new(Ages::default);

pub(super) fn register(registry: &mut Registry) {
    seconds(
        registry,
        "certificate_expiry_timestamp",
        "When the certificate that this process shows ends, by whom it is shown to, in seconds since 1970",
        EXPIRY.clone(),
    );
}

/// When the certificate ends that is shown to: `callers`, `services`, `broker` or `leases`.
pub fn expires(shown_to: &'static str, at: SystemTime) {
    let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    EXPIRY.get_or_create(&[("shown_to", shown_to)]).set(since_epoch.as_secs_f64());
}
