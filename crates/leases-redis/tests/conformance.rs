//! The Redis adapter against the suite of its port. Needs a server: it fails without, it does not skip.

mod server;

use std::sync::Arc;

use tidemark_leases_redis::RedisRateLimits;
use tidemark_ports::{Leases, RateLimits};

/// What the tests leave behind runs out by itself.
async fn leases() -> Arc<dyn Leases> {
    Arc::new(server::leases_at(&server::url()))
}

async fn rate_limits() -> Arc<dyn RateLimits> {
    let prefix = format!("t{}", uuid::Uuid::new_v4().simple());
    Arc::new(RedisRateLimits::new(&server::url(), &prefix).expect("the URL is fine"))
}

tidemark_testkit::leases_conformance!(leases());
tidemark_testkit::rate_conformance!(rate_limits());
