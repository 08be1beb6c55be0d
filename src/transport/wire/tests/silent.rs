//! An address on loopback that neither takes a connection nor refuses one, as one behind a broken route.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

use socket2::{Domain, Socket, Type};

/// A listener whose queue is full: what else comes is not answered.
pub(in crate::transport::wire) struct Silent {
    _listener: Socket,
    _queued: Vec<Socket>,
    address: SocketAddr,
}

/// The queue of the shortest kind holds one connection on Linux; others round it up.
const FILLING: usize = 16;

impl Silent {
    pub(in crate::transport::wire) fn new() -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener
            .bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into())
            .unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let queued = (0..FILLING).map(|_| {
            let queued = socket();
            queued.set_nonblocking(true).unwrap();
            // It is under way, or in the queue.
            let _ = queued.connect(&address.into());
            queued
        });
        Silent {
            _queued: queued.collect(),
            _listener: listener,
            address,
        }
    }

    pub(in crate::transport::wire) fn address(&self) -> SocketAddr {
        self.address
    }
}

#[test]
fn it_never_answers() {
    let silent = Silent::new();
    let error = TcpStream::connect_timeout(&silent.address(), super::SHORT).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
