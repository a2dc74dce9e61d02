#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod call;
pub mod client;
mod convert;
mod gate;
pub mod guard;
pub mod identity;
pub mod inproc;
pub mod internal;
pub mod limit;
pub mod metrics;
mod redact;
pub mod scope;
pub mod server;
pub mod status;
pub mod tls;
pub mod token;
pub mod trace;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

pub use call::{REQUEST_ID, request_id};
pub use convert::{capability, instant, parse, timestamp};

/// Generated: connections.
#[allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    missing_debug_implementations,
    reason = "generated code"
)]
pub mod connections {
    tonic::include_proto!("tidemark.connections.v1");
}

/// Generated code that refers to another package looks for it at its place among the packages.
mod packages {
    pub(crate) mod connections {
        pub(crate) use crate::connections as v1;
    }

    pub(crate) mod credentials {
        #[allow(
            missing_docs,
            clippy::all,
            unreachable_pub,
            clippy::allow_attributes_without_reason,
            missing_debug_implementations,
            reason = "generated code"
        )]
        pub mod v1 {
            tonic::include_proto!("tidemark.credentials.v1");
        }
    }
}

/// Generated: credentials.
pub use packages::credentials::v1 as credentials;

/// Generated: syncs.
#[allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    missing_debug_implementations,
    reason = "generated code"
)]
pub mod syncs {
    tonic::include_proto!("tidemark.syncs.v1");
}

/// Generated: utilization.
#[allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    missing_debug_implementations,
    reason = "generated code"
)]
pub mod utilization {
    tonic::include_proto!("tidemark.utilization.v1");
}

/// The compiled protobuf files, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tidemark.bin"));

/// Runs something in a task of its own. The call's deadline, id and span go along.
pub fn spawned<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let work = work.in_current_span();
    match call::Call::present() {
        Some(call) => tokio::spawn(call.scope(work)),
        None => tokio::spawn(work),
    }
}

/// Runs a handler's work in a task of its own, so that a caller's deadline never cuts a transaction in two. The call's
/// deadline, id and span go along.
pub async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, tonic::Status>> + Send + 'static,
) -> Result<T, tonic::Status> {
    spawned(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a handler panicked");
        Err(tonic::Status::internal("the service failed on this request; it was logged"))
    })
}
