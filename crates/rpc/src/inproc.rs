//! A transport inside one process: the same services and clients, without a port anybody could connect to.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::{io::DuplexStream, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

const BUFFER_BYTES: usize = 64 * 1024;

/// The server's end: connections as they are made.
pub type Incoming = ReceiverStream<io::Result<DuplexStream>>;

/// A channel and the incoming connections it makes.
pub fn pair() -> (Channel, Incoming) {
    let (sender, receiver) = mpsc::channel(16);
    let connect = service_fn(move |_| {
        let sender = sender.clone();
        async move {
            let (near, far) = tokio::io::duplex(BUFFER_BYTES);
            let gone =
                |_| io::Error::new(io::ErrorKind::ConnectionRefused, "the in-process server has stopped");
            sender.send(Ok(far)).await.map_err(gone)?;
            Ok::<_, io::Error>(TokioIo::new(near))
        }
    });
    let channel = Endpoint::from_static("http://inproc").connect_with_connector_lazy(connect);
    (channel, ReceiverStream::new(receiver))
}
