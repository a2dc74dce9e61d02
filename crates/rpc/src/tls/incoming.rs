//! Connections of callers, after their TLS handshake. A caller that is slow at it holds up nobody.

use std::{io, sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::ServerTls;

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once; further callers wait.
const HANDSHAKES: usize = 256;
/// Without file handles, accepting fails at once and for a while.
const AFTER_A_FAULT: Duration = Duration::from_millis(100);

/// Connections as they are ready.
pub(crate) fn incoming(
    listener: TcpListener,
    tls: ServerTls,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    let (ready, connections) = mpsc::channel(16);
    // The task ends with the stream: then nobody waits for a connection any more.
    tokio::spawn(async move {
        let gone = ready.clone();
        tokio::select! {
            () = accept(listener, tls, ready) => {}
            () = gone.closed() => {}
        }
    });
    stream::unfold(connections, |mut connections| async {
        connections.recv().await.map(|connection| (Ok(connection), connections))
    })
}

async fn accept(listener: TcpListener, tls: ServerTls, ready: mpsc::Sender<TlsStream<TcpStream>>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    let mut handshakes = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection was accepted");
                sleep(AFTER_A_FAULT).await;
                continue;
            }
        };
        while handshakes.try_join_next().is_some() {}
        let (acceptor, ready) = (TlsAcceptor::from(tls.present()), ready.clone());
        handshakes.spawn(async move {
            let _place = place;
            // Small frames must not wait for others.
            let _ = stream.set_nodelay(true);
            match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(connection)) => drop(ready.send(connection).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            }
        });
    }
}
