//! The connections of browsers. Whoever does not send the whole head of a request in time loses the connection: many who
//! send slowly must not hold what others need.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use axum::{Extension, Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// For the head of a request, and between two requests of one connection.
pub(crate) const HEAD: Duration = Duration::from_secs(15);
/// After an accept that failed: there may be no more files to open.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until the stop fires, and then what was begun to its end.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    head: Duration,
) -> io::Result<()> {
    let connections = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                let router = router.clone().layer(Extension(ConnectInfo::<SocketAddr>(peer)));
                connections.spawn(one(stream, router, stop.clone(), head));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the console could not be taken");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn one(stream: TcpStream, router: Router, stop: CancellationToken, head: Duration) {
    // Parts of a page are sent as they come.
    stream.set_nodelay(true).ok();
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection to the console broke off");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn half_a_request_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hello = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string();
        let router = Router::new().route("/", axum::routing::get(hello));
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, router, stop.clone(), Duration::from_millis(200)));
        let ask = async |text: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            let mut answer = String::new();
            // Ends with the connection.
            stream.read_to_string(&mut answer).await.ok();
            answer
        };
        let slow = ask("GET / HTTP/1.1\r\nhost: a").await;
        assert!(!slow.contains("200 OK"), "{slow}");
        let quick = ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(quick.contains("200 OK") && quick.ends_with("127.0.0.1"), "{quick}");
        stop.cancel();
        server.await.unwrap().unwrap();
    }
}
