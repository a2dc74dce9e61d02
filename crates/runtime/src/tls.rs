//! The client's side of TLS to the servers that a process stands on: authorities and certificates in PEM files, read for
//! each connection.

mod expiry;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use secrecy::zeroize::Zeroizing;

pub use expiry::expiry;

/// Where a client's TLS comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The authorities of the server's certificate; those of this machine without.
    pub ca: Option<PathBuf>,
    /// The client's own certificate and its key, where the server asks for one.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// The contents of the files, as PEM.
pub struct ClientPem {
    /// The authorities.
    pub ca: Option<Vec<u8>>,
    /// Certificate and key.
    pub own: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each says what it is")]
pub enum TlsError {
    #[error("`{path}` cannot be read")]
    File { path: String, source: io::Error },
    #[error("`{path}` holds no {expected} in PEM")]
    Content { path: String, expected: &'static str },
    #[error(
        "this machine knows no authorities of certificates: install them (ca-certificates), or name a file"
    )]
    NoAuthorities,
    #[error("the certificates cannot be used")]
    Unusable(#[source] rustls::Error),
}

impl ClientTls {
    /// What is in the files now. Each of them holds what it should.
    pub fn read(&self) -> Result<ClientPem, TlsError> {
        let ca = self.ca.as_deref().map(read_certificates).transpose()?;
        let own = self.own.as_ref().map(|(certificate, key)| {
            let chain = read_certificates(certificate)?;
            let pem = Zeroizing::new(read_file(key)?);
            if PrivateKeyDer::from_pem_slice(&pem).is_err() {
                return Err(content(key, "private key"));
            }
            Ok((chain, pem))
        });
        Ok(ClientPem { ca, own: own.transpose()? })
    }
}

impl fmt::Debug for ClientPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientPem").field("ca", &self.ca.is_some()).field("own", &self.own.is_some()).finish()
    }
}

impl ClientPem {
    /// For rustls.
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_root_certificates(self.authorities()?);
        let Some((chain, key)) = &self.own else { return Ok(Arc::new(builder.with_no_client_auth())) };
        // `read` has looked at both.
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).flatten().collect();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| content(Path::new("key"), "private key"))?;
        builder.with_client_auth_cert(chain, key).map(Arc::new).map_err(TlsError::Unusable)
    }

    fn authorities(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem).flatten() {
                    roots.add(certificate).map_err(TlsError::Unusable)?;
                }
            }
            // One of the machine's that cannot be read stands for no other.
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        if roots.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(roots) }
    }
}

fn read_certificates(path: &Path) -> Result<Vec<u8>, TlsError> {
    let pem = read_file(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    if found.is_ok_and(|found| !found.is_empty()) { Ok(pem) } else { Err(content(path, "certificate")) }
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { path: path.display().to_string(), source })
}

fn content(path: &Path, expected: &'static str) -> TlsError {
    TlsError::Content { path: path.display().to_string(), expected }
}
