//! Connections to servers. The files are read for each: an authority or a certificate that is replaced needs no restart.

use std::{io, sync::Arc};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::Uri;

use crate::client::replicas;

use super::{ClientFiles, TlsError, certificates, content, file, provider};

/// A connection to a server behind that address, which has proven that it is the one.
pub(crate) async fn connect(
    files: ClientFiles,
    uri: Uri,
    place: usize,
) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let (host, port) = replicas::host_and_port(&uri, 443);
    let tls = config(&files).map_err(io::Error::other)?;
    let stream = replicas::connect(&host, port, place).await?;
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    Ok(TokioIo::new(TlsConnector::from(tls).connect(name, stream).await?))
}

/// What is in the files now.
pub(crate) fn config(files: &ClientFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&file(&files.ca)?, &files.ca)? {
        roots.add(certificate).map_err(TlsError::Pair)?;
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_root_certificates(roots);
    let mut config = match &files.own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(&file(certificate)?, certificate)?;
            let pem = zeroize::Zeroizing::new(file(key)?);
            let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| content(key, "private key"))?;
            builder.with_client_auth_cert(chain, key).map_err(TlsError::Pair)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}
