//! Ring 3, what takes too long for every change: `cargo xtask nightly`.

#![expect(clippy::unwrap_used, reason = "a test says with a panic what it did not expect")]
#![expect(clippy::print_stdout, reason = "a long run tells its figures")]

#[path = "../cluster/cluster.rs"]
#[expect(dead_code, reason = "the other target uses the rest")]
mod cluster;
mod refreshes;
#[path = "../cluster/vendor.rs"]
mod vendor;
