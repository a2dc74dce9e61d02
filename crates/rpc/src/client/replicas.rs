//! Which replica of a service a connection goes to. A name may stand for many addresses, one for each replica: a client
//! holds a few channels, takes them in turn, and each begins at another address. What an address does not answer, the
//! next one does. Names are resolved for each connection, and servers end connections after ten minutes: so new replicas
//! get their part.

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use tonic::transport::{Channel, Uri};

/// Channels to one name.
const CHANNELS: usize = 4;
/// The next address may answer within the time that a connection has.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Channels to the replicas of one service. Clones take turns together.
#[derive(Clone, Debug)]
pub(super) struct Replicas {
    channels: Arc<[Channel]>,
    next: Arc<AtomicUsize>,
}

impl Replicas {
    /// The channels that `channel` makes, each for its place.
    pub(super) fn new(channel: impl FnMut(usize) -> Channel) -> Self {
        // Processes begin at different replicas.
        let first = usize::from(RandomState::new().hash_one(()).to_le_bytes()[0]);
        let channels = (first..first + CHANNELS).map(channel).collect();
        Self { channels, next: Arc::default() }
    }

    pub(super) fn one(channel: Channel) -> Self {
        Self { channels: [channel].into(), next: Arc::default() }
    }

    /// The channel whose turn it is.
    pub(super) fn next(&self) -> Channel {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.channels[turn % self.channels.len()].clone()
    }
}

/// Host and port of an address, without the brackets of IPv6.
pub(crate) fn host_and_port(uri: &Uri, default_port: u16) -> (String, u16) {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    (host.to_owned(), uri.port_u16().unwrap_or(default_port))
}

/// A connection to one of the replicas behind a name.
pub(crate) async fn connect(host: &str, port: u16, place: usize) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((host, port)).await?.collect();
    first_of(in_order(addresses, place)).await
}

/// Every place begins at another address; all agree on what comes after which.
fn in_order(mut addresses: Vec<SocketAddr>, place: usize) -> Vec<SocketAddr> {
    addresses.sort_unstable();
    addresses.dedup();
    let count = addresses.len().max(1);
    addresses.rotate_left(place % count);
    addresses
}

async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    let last = addresses.len();
    for (at, address) in addresses.into_iter().enumerate() {
        let attempt = TcpStream::connect(address);
        // The last one has all the time that is left.
        let connected = if at + 1 == last {
            attempt.await
        } else {
            timeout(ATTEMPT, attempt)
                .await
                .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")))
        };
        match connected {
            Ok(stream) => {
                // Small frames must not wait for others.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn addresses(last: [u8; 3]) -> Vec<SocketAddr> {
        last.iter().map(|number| ([10, 0, 0, *number], 7401).into()).collect()
    }

    #[test]
    fn channels_spread_over_replicas_whatever_order_the_name_service_has() {
        let firsts = |answer: [u8; 3]| -> Vec<_> {
            (5..5 + CHANNELS).map(|place| in_order(addresses(answer), place)[0].ip().to_string()).collect()
        };
        let spread = firsts([3, 1, 2]);
        assert_eq!(spread, ["10.0.0.3", "10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(firsts([2, 3, 1]), spread);
        assert_eq!(in_order(addresses([7, 7, 7]), 9), addresses([7, 7, 7])[..1]);
        assert_eq!(in_order(Vec::new(), 3), []);
    }

    #[test]
    fn an_address_of_ipv6_has_no_brackets() {
        let read = |address: &'static str| host_and_port(&Uri::from_static(address), 443);
        assert_eq!(read("https://[fd00::7]:7401"), ("fd00::7".to_owned(), 7401));
        assert_eq!(read("https://[::1]/"), ("::1".to_owned(), 443));
        assert_eq!(read("http://credentials:7401"), ("credentials".to_owned(), 7401));
    }

    #[tokio::test]
    async fn what_one_replica_does_not_answer_the_next_one_does() {
        let listeners = ["127.0.0.1:0", "127.0.0.2:0"].map(TcpListener::bind);
        let [one, other] =
            futures::future::join_all(listeners).await.try_into().unwrap_or_else(|_| panic!("two"));
        let [one, other] = [one.unwrap(), other.unwrap()];
        let (gone, left) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        assert_eq!(first_of(vec![gone, left]).await.unwrap().peer_addr().unwrap(), gone);
        drop(one);
        assert_eq!(first_of(vec![gone, left]).await.unwrap().peer_addr().unwrap(), left);
        drop(other);
        assert_eq!(first_of(vec![gone, left]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(first_of(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn calls_take_their_channels_in_turn() {
        let mut places = Vec::new();
        let replicas = Replicas::new(|place| {
            places.push(place);
            Channel::from_static("http://127.0.0.1:1").connect_lazy()
        });
        assert!(
            places.windows(2).all(|pair| pair[0] + 1 == pair[1]) && places.len() == CHANNELS,
            "{places:?}"
        );
        for turn in 0..CHANNELS * 2 {
            replicas.next();
            assert_eq!(replicas.next.load(Ordering::Relaxed), turn + 1);
        }
    }
}
