//! TLS at both ends. A server reads its certificate, key and client authority from files, and again when they change: a
//! certificate that is renewed needs no restart, and one that is broken is reported and not taken. A client reads its
//! files for each connection.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

pub(crate) use incoming::incoming;
pub(crate) use outgoing::{config as client, connect};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Where a server's TLS comes from, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// The server's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// The authorities of callers' certificates; with it, a caller without one is not let in.
    pub client_ca: Option<PathBuf>,
}

/// Where a client's TLS comes from, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities of the servers' certificates.
    pub ca: PathBuf,
    /// The client's own certificate and its key, where the server asks for one.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One is not readable.
    #[error("`{path}` cannot be read")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One has not in it what it should have.
    #[error("`{path}` holds no {expected} in PEM")]
    Content {
        /// Which.
        path: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("the certificate and its key cannot be used together")]
    Pair(#[source] rustls::Error),
    /// No caller could ever be let in.
    #[error("the authorities of callers' certificates cannot be used")]
    Authorities(#[source] VerifierBuilderError),
}

/// A server's TLS as it is now. Clones are the same.
#[derive(Clone)]
pub struct ServerTls {
    present: Arc<RwLock<Arc<ServerConfig>>>,
    _watch: Arc<AbortOnDropHandle<()>>,
}

impl ServerTls {
    /// Reads the files, and goes on looking at them.
    pub fn watch(files: ServerFiles) -> Result<Self, TlsError> {
        let content = Content::read(&files)?;
        let present = Arc::new(RwLock::new(content.config(&files)?));
        let looking = tokio::spawn(look(files, content, Arc::clone(&present)));
        Ok(Self { present, _watch: Arc::new(AbortOnDropHandle::new(looking)) })
    }

    fn present(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// Contents are compared, not times: a mounted secret is replaced by a link to another folder.
async fn look(files: ServerFiles, mut last: Content, present: Arc<RwLock<Arc<ServerConfig>>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let read = files.clone();
        let Ok(content) = tokio::task::spawn_blocking(move || Content::read(&read)).await else { continue };
        // A file that is being replaced may be missing for a moment.
        let Ok(content) = content else { continue };
        if content == last {
            continue;
        }
        match content.config(&files) {
            Ok(config) => {
                *present.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("the TLS certificate was replaced");
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error, "the new TLS files cannot be used; the old ones stay");
            }
        }
        last = content;
    }
}

/// What is in the files.
#[derive(PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

impl Content {
    fn read(files: &ServerFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: file(&files.certificate)?,
            key: Zeroizing::new(file(&files.key)?),
            client_ca: files.client_ca.as_ref().map(file).transpose()?,
        })
    }

    fn config(&self, files: &ServerFiles) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| content(&files.key, "private key"))?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(pem), Some(path)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem, path)? {
                    roots.add(certificate).map_err(TlsError::Pair)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                builder.with_client_cert_verifier(verifier.build().map_err(TlsError::Authorities)?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn file(path: &PathBuf) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { path: path.display().to_string(), source })
}

fn content(path: &std::path::Path, expected: &'static str) -> TlsError {
    TlsError::Content { path: path.display().to_string(), expected }
}

fn certificates(pem: &[u8], path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| content(path, "certificate"))
}
