//! The broker of the tests.

use uuid::Uuid;

pub(crate) fn url() -> String {
    std::env::var("TIDEMARK_TEST_AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
}

pub(crate) fn unique_prefix() -> String {
    format!("t{}", Uuid::new_v4().simple())
}
