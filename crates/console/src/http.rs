//! The connections of browsers. Whoever does not send the whole head of a request in time loses the connection: many who
//! send slowly must not hold what others need.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use axum::{Extension, Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tidemark_rpc::limit::{Places, network};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// At once; others are closed as they come.
    pub(crate) connections: usize,
    /// Whether connections come from the people themselves: then none of their addresses has more than a quarter.
    pub(crate) is_direct: bool,
    /// For the head of a request, and between two requests of one connection.
    pub(crate) head: Duration,
    /// For the other end to take some more of an answer.
    pub(crate) write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (head, write) = (Duration::from_secs(15), Duration::from_secs(30));
        Self { connections: 2_048, is_direct: true, head, write }
    }
}

/// After an accept that failed: there may be no more files to open.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until the stop fires, and then what was begun to its end.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    limits: Limits,
) -> io::Result<()> {
    let connections = TaskTracker::new();
    let places = Places::new(limits.connections);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                let address = network(peer.ip());
                let Ok(place) = places.take([limits.is_direct.then_some((&*address, 4)), None]) else {
                    continue;
                };
                let router = router.clone().layer(Extension(ConnectInfo::<SocketAddr>(peer)));
                let served = one(stream, router, stop.clone(), limits);
                connections.spawn(async move {
                    let _place = place;
                    served.await;
                });
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

async fn one(stream: TcpStream, router: Router, stop: CancellationToken, limits: Limits) {
    // Parts of a page are sent as they come.
    stream.set_nodelay(true).ok();
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write));
    let stream = TokioIo::new(Box::pin(stream));
    let connection = builder.serve_connection(stream, TowerToHyperService::new(router));
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
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        task::JoinHandle,
    };

    use super::*;

    async fn served(
        router: Router,
        limits: Limits,
    ) -> (SocketAddr, CancellationToken, JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        (address, stop.clone(), tokio::spawn(serve(listener, router, stop, limits)))
    }

    async fn ask(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // Ends with the connection.
        stream.read_to_string(&mut answer).await.ok();
        answer
    }

    const QUICK: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn half_a_request_is_not_waited_for() {
        let hello = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string();
        let limits = Limits { head: Duration::from_millis(200), ..Limits::default() };
        let (address, stop, server) = served(Router::new().route("/", get(hello)), limits).await;
        let slow = ask(address, "GET / HTTP/1.1\r\nhost: a").await;
        assert!(!slow.contains("200 OK"), "{slow}");
        let quick = ask(address, QUICK).await;
        assert!(quick.contains("200 OK") && quick.ends_with("127.0.0.1"), "{quick}");
        stop.cancel();
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn connections_of_one_address_leave_room_for_another() {
        let hello = async || "hello";
        let limits = Limits { connections: 8, ..Limits::default() };
        let (address, ..) = served(Router::new().route("/", get(hello)), limits).await;
        let mut idle = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // It is being served when this is answered.
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            stream.read_exact(&mut [0; 12]).await.unwrap();
            idle.push(stream);
        }
        assert_eq!(ask(address, QUICK).await, "", "a quarter is taken");
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = socket.connect(address).await.unwrap();
        other.write_all(QUICK.as_bytes()).await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_ends() {
        let endless = async || {
            let parts = std::iter::repeat_with(|| Ok::<_, io::Error>(vec![b'x'; 65_536]));
            axum::body::Body::from_stream(tokio_stream::iter(parts))
        };
        let limits = Limits { write: Duration::from_millis(200), ..Limits::default() };
        let (address, stop, server) = served(Router::new().route("/", get(endless)), limits).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(QUICK.as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
        // The server ends only when this connection has.
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(30), server).await.unwrap().unwrap().unwrap();
    }
}
