//! What this machine itself can run out of when a connection is made: that tells nothing about the endpoint.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// An error that is this machine's own, as the payload of an [`io::Error`].
#[derive(Debug)]
pub(super) struct Lack(io::Error);

/// The codes of the operating system for it: open files, of the process and of the system, memory, buffers, and
/// what it calls "try again" (no free port, no thread).
#[cfg(any(target_os = "linux", target_os = "android"))]
const CODES: [i32; 5] = [24, 23, 12, 105, 11];
/// As on Linux, by their numbers elsewhere in the family of Unix.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const CODES: [i32; 5] = [24, 23, 12, 55, 35];
/// Open sockets and buffers.
#[cfg(windows)]
const CODES: [i32; 2] = [10024, 10055];
#[cfg(not(any(unix, windows)))]
const CODES: [i32; 0] = [];

/// `error` of connecting to `address`, as a [`Lack`] where it is one.
pub(super) fn told_apart(error: io::Error, address: SocketAddr) -> io::Error {
    // Over IPv6 it is also what a machine without a route for it says, and that does not pass.
    let no_port = error.kind() == io::ErrorKind::AddrNotAvailable && address.is_ipv4();
    if no_port || is_lack(&error) {
        io::Error::other(Lack(error))
    } else {
        error
    }
}

/// Whether `error` was told apart so.
pub(super) fn was_told_apart(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Lack>())
}

/// Why a name could not be looked up, where that was for want of something here: the system's resolver calls much of
/// that a name that it does not know, so it is tried whether a socket can be had at all.
pub(super) fn of_lookup(error: &io::Error) -> Option<String> {
    if is_lack(error) {
        return Some(error.to_string());
    }
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).err()?;
    is_lack(&socket).then(|| socket.to_string())
}

fn is_lack(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Lack {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_machine_lacks_is_told_apart() {
        let check = |code, address: &str, lack| {
            let error = told_apart(io::Error::from_raw_os_error(code), address.parse().unwrap());
            assert_eq!(was_told_apart(&error), lack, "{error}");
            let words = io::Error::from_raw_os_error(code).to_string();
            assert_eq!(error.to_string(), words, "the words stay");
        };
        let (four, six) = ("192.0.2.1:443", "[2001:db8::1]:443");
        for (name, code, over_four, over_six) in [
            ("EMFILE", 24, true, true),
            ("ENFILE", 23, true, true),
            ("ENOMEM", 12, true, true),
            ("ENOBUFS", 105, true, true),
            ("EAGAIN", 11, true, true),
            ("EADDRNOTAVAIL", 99, true, false),
            ("ECONNREFUSED", 111, false, false),
            ("ENETUNREACH", 101, false, false),
            ("ETIMEDOUT", 110, false, false),
            ("EACCES", 13, false, false),
        ] {
            println!("{name}");
            check(code, four, over_four);
            check(code, six, over_six);
        }
        let own = told_apart(io::ErrorKind::TimedOut.into(), four.parse().unwrap());
        assert!(!was_told_apart(&own));
    }

    #[test]
    fn a_name_that_is_not_known_is_no_lack() {
        assert_eq!(of_lookup(&io::Error::other("no such name")), None);
        assert!(of_lookup(&io::Error::from_raw_os_error(24)).is_some());
    }
}
