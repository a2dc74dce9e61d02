//! Which services a process runs.

use std::net::SocketAddr;

use tidemark_runtime::Config;

/// Which services a process runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Roles {
    pub(crate) credentials: bool,
    pub(crate) worker: bool,
    pub(crate) aggregator: bool,
    /// Where there is an address at which people reach it.
    pub(crate) console: bool,
}

impl Roles {
    pub(crate) const CREDENTIALS: Self = Self { credentials: true, ..Self::NONE };
    pub(crate) const WORKER: Self = Self { worker: true, ..Self::NONE };
    pub(crate) const AGGREGATOR: Self = Self { aggregator: true, ..Self::NONE };
    pub(crate) const ALL: Self = Self { credentials: true, worker: true, aggregator: true, console: true };
    const NONE: Self = Self { credentials: false, worker: false, aggregator: false, console: false };

    /// Where its server listens.
    pub(crate) fn listen(self, config: &Config) -> SocketAddr {
        match (self.credentials, self.worker) {
            (true, _) => config.credentials.listen,
            (false, true) => config.worker.listen,
            (false, false) => config.aggregator.listen,
        }
    }
}
