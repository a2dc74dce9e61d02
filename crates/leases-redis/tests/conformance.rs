//! The Redis adapter against the suite of its port. Needs a server: it fails without, it does not skip.

mod server;

use std::sync::Arc;

use tidemark_ports::Leases;

/// What the tests leave behind runs out by itself.
async fn leases() -> Arc<dyn Leases> {
    Arc::new(server::leases_at(&server::url()))
}

tidemark_testkit::leases_conformance!(leases());
