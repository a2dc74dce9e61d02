//! A network between the adapter and the broker that can be cut.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub(crate) struct Proxy {
    port: u16,
    network: Arc<Network>,
}

#[derive(Default)]
struct Network {
    cut: AtomicBool,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

impl Proxy {
    /// In front of the broker of that URL.
    pub(crate) async fn start(url: &str) -> Self {
        let broker = authority(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let network = Arc::new(Network::default());
        let shared = Arc::clone(&network);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if shared.cut.load(Ordering::SeqCst) {
                    continue;
                }
                let mut broker = TcpStream::connect(&broker).await.expect("the real broker listens");
                let passing = tokio::spawn(async move {
                    // Either side may hang up as it likes.
                    let _ = copy_bidirectional(&mut client, &mut broker).await;
                });
                shared.connections.lock().expect("no holder panics").push(passing);
            }
        });
        Self { port, network }
    }

    /// The broker's URL, through here.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replace(authority(url), &format!("127.0.0.1:{}", self.port))
    }

    /// Ends every connection; new ones end at once. Nothing passes once it has returned.
    pub(crate) async fn cut(&self) {
        self.network.cut.store(true, Ordering::SeqCst);
        let connections = std::mem::take(&mut *self.network.connections.lock().expect("no holder panics"));
        for connection in connections {
            connection.abort();
            // Cancelled, or over before.
            let _ = connection.await;
        }
    }

    pub(crate) fn mend(&self) {
        self.network.cut.store(false, Ordering::SeqCst);
    }
}

/// `host:port` of a URL that has both.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").expect("a scheme").1;
    let authority = rest.split('/').next().expect("an authority");
    authority.rsplit('@').next().expect("a host")
}
