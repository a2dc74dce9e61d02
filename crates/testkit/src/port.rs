//! Ports for processes under test: bound to nobody else for as long as the test runs, whether the process is up or not.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use tokio::net::TcpSocket;

/// Bound and never listening, so that a connection to a process that is down is refused.
static RESERVED: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());

/// A port of this machine that a process of the test can listen on, again and again, and that nobody else is given.
///
/// The socket that holds it is bound with `SO_REUSEADDR` and does not listen. A server that sets the same option, as
/// servers do, can listen on the port beside it; the system gives it to nobody who asks for any free port.
pub fn reserve_port() -> u16 {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("the option exists");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let port = socket.local_addr().expect("it is bound").port();
    RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    port
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_is_listened_on_again_and_again() {
        let port = reserve_port();
        for _ in 0..3 {
            let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "nobody listens yet");
            let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
            TcpStream::connect(("127.0.0.1", port)).unwrap();
            let second = TcpListener::bind(("127.0.0.1", port)).unwrap_err();
            assert_eq!(second.kind(), std::io::ErrorKind::AddrInUse, "one process listens at a time");
            drop(listener);
        }
    }

    #[test]
    fn nobody_who_asks_for_any_port_gets_a_reserved_one() {
        let reserved: Vec<_> = (0..50).map(|_| reserve_port()).collect();
        let taken: Vec<_> = (0..500).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        for listener in &taken {
            assert!(!reserved.contains(&listener.local_addr().unwrap().port()));
        }
    }
}
