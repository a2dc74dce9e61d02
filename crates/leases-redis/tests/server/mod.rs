//! The server of the tests.

use tidemark_leases_redis::RedisLeases;
use uuid::Uuid;

pub(crate) fn url() -> String {
    std::env::var("TIDEMARK_TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned())
}

/// Under a prefix of their own.
pub(crate) fn leases_at(url: &str) -> RedisLeases {
    RedisLeases::new(url, &format!("t{}", Uuid::new_v4().simple())).expect("the URL is fine")
}
