//! Settings of the gRPC servers and of those who call them.

use std::path::PathBuf;

use super::reader::Reader;

/// What is let in.
#[derive(Debug, Clone)]
pub struct Rpc {
    /// Whether servers tell which methods they have.
    pub reflection: bool,
    /// Whether a server without TLS may be reached from other machines.
    pub plaintext: bool,
    /// In one process.
    pub calls_at_once: u32,
    /// Of one caller; 0 for no limit.
    pub calls_per_second: u32,
    /// Of one caller, after a pause.
    pub calls_burst: u32,
    /// Of one organization's secrets to one caller; 0 for no limit.
    pub releases_per_second: u32,
    /// The same, after a pause.
    pub releases_burst: u32,
    /// On the wire.
    pub tls: Tls,
}

/// TLS: PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The server's certificate and its key; plain HTTP/2 without.
    pub server: Option<(PathBuf, PathBuf)>,
    /// Authorities of callers' certificates; callers need none without.
    pub client_ca: Option<PathBuf>,
    /// Authorities of the servers that are called.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to servers, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Rpc {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self {
            reflection: read.flag("rpc.reflection"),
            plaintext: read.flag("rpc.plaintext"),
            calls_at_once: read.number("rpc.calls_at_once", 1..=100_000),
            calls_per_second: read.number("rpc.calls_per_second", 0..=1_000_000),
            calls_burst: read.number("rpc.calls_burst", 1..=1_000_000),
            releases_per_second: read.number("rpc.releases_per_second", 0..=1_000_000),
            releases_burst: read.number("rpc.releases_burst", 1..=1_000_000),
            tls: Tls {
                server: read.pair("rpc.tls.certificate_file", "rpc.tls.key_file"),
                client_ca: read.path("rpc.tls.client_ca_file"),
                ca: read.path("rpc.tls.ca_file"),
                client: read.pair("rpc.tls.client_certificate_file", "rpc.tls.client_key_file"),
            },
        }
    }
}
