//! A network in front of a real server that can be cut, that swallows what is sent, holds an answer back, or keeps a copy
//! of all that passes.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    task::JoinHandle,
    time::sleep,
};

/// The way to one server.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    network: Arc<Network>,
}

#[derive(Debug, Default)]
struct Network {
    cut: AtomicBool,
    silent: AtomicBool,
    hold: Mutex<Duration>,
    tape: Mutex<Option<Vec<u8>>>,
    connections: Mutex<Vec<JoinHandle<()>>>,
    server: Mutex<String>,
}

impl Proxy {
    /// In front of the server of that URL, which has a host and a port.
    pub async fn start(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = Mutex::new(authority(url).to_owned());
        let network = Arc::new(Network { server, ..Network::default() });
        let shared = Arc::clone(&network);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !shared.cut.load(Ordering::SeqCst) {
                    let passing = tokio::spawn(pass(client, shared.server().clone(), Arc::clone(&shared)));
                    shared.connections().push(passing);
                }
            }
        });
        Self { port, network }
    }

    /// The server's URL, through here.
    pub fn url(&self, url: &str) -> String {
        url.replace(authority(url), &format!("127.0.0.1:{}", self.port))
    }

    /// Ends every connection; new ones end at once. Nothing passes once it has returned.
    pub async fn cut(&self) {
        self.network.cut.store(true, Ordering::SeqCst);
        let connections = std::mem::take(&mut *self.network.connections());
        for connection in connections {
            connection.abort();
            // Cancelled, or over before.
            let _ = connection.await;
        }
    }

    /// Connections opened from now on work.
    pub fn mend(&self) {
        self.network.cut.store(false, Ordering::SeqCst);
    }

    /// Connections opened from now on lead to the server of that URL.
    pub fn lead_to(&self, url: &str) {
        authority(url).clone_into(&mut *self.network.server());
    }

    /// Every connection, open or new, swallows everything from now on, for ever.
    pub fn go_silent(&self) {
        self.network.silent.store(true, Ordering::SeqCst);
    }

    /// Those opened from now on are heard.
    pub fn answer_new_connections(&self) {
        self.network.silent.store(false, Ordering::SeqCst);
    }

    /// Keeps a copy of all that passes from now on, in either direction.
    pub fn record(&self) {
        self.network.tape().get_or_insert_default();
    }

    /// What passed since.
    pub fn recorded(&self) -> Vec<u8> {
        self.network.tape().clone().unwrap_or_default()
    }

    /// The next thing that the server says takes this long.
    pub fn hold_the_next_answer(&self, time: Duration) {
        *self.network.hold() = time;
    }
}

impl Network {
    fn connections(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.connections.lock().expect("no holder panics")
    }

    fn server(&self) -> MutexGuard<'_, String> {
        self.server.lock().expect("no holder panics")
    }

    fn tape(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.tape.lock().expect("no holder panics")
    }

    fn hold(&self) -> MutexGuard<'_, Duration> {
        self.hold.lock().expect("no holder panics")
    }
}

/// `host:port` of a URL that has both.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").expect("a scheme").1;
    let authority = rest.split('/').next().expect("an authority");
    authority.rsplit('@').next().expect("a host")
}

async fn pass(client: TcpStream, server: String, network: Arc<Network>) {
    // The client's connection ends with this one, as where nobody listens.
    let Ok(server) = TcpStream::connect(server).await else { return };
    let dead = AtomicBool::new(network.silent.load(Ordering::SeqCst));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = copy(from_client, to_server, &network, &dead, false);
    let back = copy(from_server, to_client, &network, &dead, true);
    tokio::join!(there, back);
}

/// Either side may hang up as it likes.
async fn copy(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    network: &Network,
    dead: &AtomicBool,
    answers: bool,
) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if network.silent.load(Ordering::SeqCst) {
            dead.store(true, Ordering::SeqCst);
        }
        if dead.load(Ordering::SeqCst) {
            continue;
        }
        if let Some(tape) = network.tape().as_mut() {
            tape.extend_from_slice(&buffer[..read]);
        }
        if answers {
            let hold = std::mem::take(&mut *network.hold());
            sleep(hold).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
