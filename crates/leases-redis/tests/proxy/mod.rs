//! A network between the adapter and Redis that swallows or delays what goes through it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    time::sleep,
};

pub(crate) struct Proxy {
    port: u16,
    network: Arc<Network>,
}

#[derive(Default)]
struct Network {
    silent: AtomicBool,
    hold: Mutex<Duration>,
}

impl Proxy {
    /// In front of the server of that URL, which must be `redis://host:port`.
    pub(crate) async fn start(url: &str) -> Self {
        let server = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let network = Arc::new(Network::default());
        let shared = Arc::clone(&network);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), Arc::clone(&shared)));
            }
        });
        Self { port, network }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Every connection, open or new, swallows everything from now on, for ever.
    pub(crate) fn go_silent(&self) {
        self.network.silent.store(true, Ordering::SeqCst);
    }

    /// Those opened from now on work.
    pub(crate) fn answer_new_connections(&self) {
        self.network.silent.store(false, Ordering::SeqCst);
    }

    pub(crate) fn hold_the_next_answer(&self, time: Duration) {
        *self.network.hold.lock().expect("no holder panics") = time;
    }
}

async fn pass(client: TcpStream, server: String, network: Arc<Network>) {
    let server = TcpStream::connect(server).await.expect("the real server listens");
    let dead = Arc::new(AtomicBool::new(network.silent.load(Ordering::SeqCst)));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = copy(from_client, to_server, &network, &dead, false);
    let back = copy(from_server, to_client, &network, &dead, true);
    tokio::join!(there, back);
}

async fn copy(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    network: &Network,
    dead: &AtomicBool,
    answers: bool,
) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if network.silent.load(Ordering::SeqCst) {
            dead.store(true, Ordering::SeqCst);
        }
        if dead.load(Ordering::SeqCst) {
            continue;
        }
        if answers {
            let hold = std::mem::take(&mut *network.hold.lock().expect("no holder panics"));
            sleep(hold).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
