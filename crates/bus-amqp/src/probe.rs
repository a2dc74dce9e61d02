//! A look at the port before lapin connects: lapin waits for ever, on a thread of its own, for a peer that is silent.

use std::{sync::Arc, time::Duration};

use lapin::uri::AMQPUri;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::error::ConnectError;

const PATIENCE: Duration = Duration::from_secs(2);

/// "AMQP", then protocol 0-9-1: what a client says first.
const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// The broker answers a good header with a method frame on channel 0: `connection.start`.
const START: &[u8] = &[1, 0, 0];

/// Largest `connection.start` we read for the version.
const ENOUGH: usize = 4096;

/// Whether RabbitMQ is there, and its version.
pub(crate) async fn probe(
    uri: &AMQPUri,
    tls: Option<Arc<ClientConfig>>,
    address: &str,
) -> Result<Option<String>, ConnectError> {
    let greeting = match timeout(PATIENCE, greet(uri, tls)).await {
        Ok(Ok(greeting)) => greeting,
        Ok(Err(source)) => return Err(ConnectError::Unreachable { address: address.to_owned(), source }),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Err(ConnectError::Silent { address: address.to_owned(), seconds });
        }
    };
    if greeting.starts_with(START) {
        Ok(version(&greeting))
    } else {
        Err(ConnectError::NotAmqp { address: address.to_owned() })
    }
}

async fn greet(uri: &AMQPUri, tls: Option<Arc<ClientConfig>>) -> io::Result<Vec<u8>> {
    let host = uri.authority.host.clone();
    let stream = TcpStream::connect((host.as_str(), uri.authority.port)).await?;
    match tls {
        None => hello(stream).await,
        Some(tls) => {
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            hello(TlsConnector::from(tls).connect(name, stream).await?).await
        }
    }
}

async fn hello(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Vec<u8>> {
    stream.write_all(HEADER).await?;
    stream.flush().await?;
    let mut frame = vec![0; 7];
    stream.read_exact(&mut frame).await?;
    if !frame.starts_with(START) {
        return Ok(frame);
    }
    let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]) as usize;
    let mut payload = vec![0; size.min(ENOUGH)];
    stream.read_exact(&mut payload).await?;
    frame.extend(payload);
    Ok(frame)
}

/// The server property `version`: a short key, then a long string.
fn version(frame: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\x07versionS";
    let at = frame.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let (length, rest) = frame.get(at..)?.split_at_checked(4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
    String::from_utf8(rest.get(..length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_read_or_left_out() {
        assert_eq!(version(b"..\x07versionS\x00\x00\x00\x063.10.8\x08platform").as_deref(), Some("3.10.8"));
        for frame in [&b""[..], b"\x07versionS", b"\x07versionS\x00\x00\x00\xff3.10.8"] {
            assert_eq!(version(frame), None);
        }
    }
}
