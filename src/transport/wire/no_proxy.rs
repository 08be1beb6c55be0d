//! Hosts that no proxy is used for, as `NO_PROXY` lists them. No two programs agree about that list; it is read as curl does.
//!
//! | entry | means |
//! |---|---|
//! | `*`, alone | every host |
//! | `example.com`, `.example.com`, `*.example.com` | that host and all below it |
//! | `10.1.2.3`, `2001:db8::1`, `[2001:db8::1]` | an endpoint with that very address |
//! | `10.0.0.0/8`, `2001:db8::/32` | an endpoint with an address in that range |
//!
//! Entries have commas or blanks between. Letter case and a dot at the end do not count. An entry with a port matches
//! nothing. Names are not looked up: one that leads to an address in a range is not in it. (curl knows no `*.`; it
//! matches what it says there.)

use std::net::IpAddr;

/// Hosts to which connections are made directly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    All,
    /// In lower case, without dots at its ends.
    Host(String),
    Addresses(IpAddr, u8),
}

impl NoProxy {
    pub(super) fn read(list: &str) -> Self {
        if list.trim() == "*" {
            return NoProxy(vec![Entry::All]);
        }
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        NoProxy(entries.filter_map(Entry::read).collect())
    }

    /// Whether `host`, a name or an address without brackets, is among them.
    pub(super) fn lists(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.parse().ok();
        self.0.iter().any(|entry| entry.lists(&host, address))
    }
}

impl Entry {
    fn read(text: &str) -> Option<Entry> {
        let bare = text.trim_start_matches('[').replacen(']', "", 1);
        let (address, bits) = match bare.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (bare.as_str(), None),
        };
        if let Ok(address) = address.parse::<IpAddr>() {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Ok(longest), str::parse).ok()?;
            return (bits <= longest).then_some(Entry::Addresses(address, bits));
        }
        let host = text
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(text);
        let host = host.strip_prefix('.').unwrap_or(host);
        let host = host.strip_suffix('.').unwrap_or(host);
        (!host.is_empty()).then(|| Entry::Host(host.to_ascii_lowercase()))
    }

    fn lists(&self, host: &str, address: Option<IpAddr>) -> bool {
        match (self, address) {
            (Entry::All, _) => true,
            (Entry::Addresses(range, bits), Some(address)) => is_within(address, *range, *bits),
            (Entry::Host(own), None) => host
                .strip_suffix(own.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.')),
            _ => false,
        }
    }
}

/// Whether the first `bits` of both are the same.
fn is_within(address: IpAddr, range: IpAddr, bits: u8) -> bool {
    // A shift by the whole width is none that a number has.
    match (address, range) {
        (IpAddr::V4(address), IpAddr::V4(range)) => {
            let differs = address.to_bits() ^ range.to_bits();
            differs.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(range)) => {
            let differs = address.to_bits() ^ range.to_bits();
            differs.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, listed: &[&str], others: &[&str]) {
        let no_proxy = NoProxy::read(list);
        for (hosts, expected) in [(listed, true), (others, false)] {
            for host in hosts {
                assert_eq!(no_proxy.lists(host), expected, "{list:?}: {host}, {no_proxy:?}");
            }
        }
    }

    #[test]
    fn a_name_stands_for_itself_and_for_what_is_below_it() {
        for list in [
            "example.com",
            ".example.com",
            "*.example.com",
            "example.com.",
            "EXAMPLE.com",
        ] {
            check(
                list,
                &[
                    "example.com",
                    "a.example.com",
                    "b.a.example.com",
                    "A.Example.Com",
                    "example.com.",
                ],
                &[
                    "nonexample.com",
                    "example.com.evil",
                    "com",
                    "example",
                    "10.0.0.1",
                    "::1",
                ],
            );
        }
        check(
            "www.example.com",
            &["www.example.com"],
            &["example.com", "xwww.example.com"],
        );
        check("localdomain", &["localdomain", "host.localdomain"], &["localdomain2"]);
    }

    #[test]
    fn an_asterisk_alone_stands_for_all_and_among_others_for_nothing() {
        check("*", &["example.com", "10.0.0.1", "::1"], &[]);
        check(" * ", &["example.com"], &[]);
        check("*,example.org", &["example.org"], &["example.com"]);
        check("*example.com", &[], &["example.com", "a.example.com"]);
    }

    #[test]
    fn an_address_is_meant_as_a_whole_and_a_range_by_its_bits() {
        check(
            "10.1.2.3",
            &["10.1.2.3"],
            &["10.1.2.30", "110.1.2.3", "2.3", "10.1.2.3.example"],
        );
        check("10.0.0.0/8", &["10.0.0.0", "10.255.1.2"], &["11.0.0.1", "a.10.0.0.0"]);
        check(
            "192.168.4.0/22",
            &["192.168.4.1", "192.168.7.255"],
            &["192.168.8.0", "192.168.3.255"],
        );
        check("10.1.2.3/32", &["10.1.2.3"], &["10.1.2.2"]);
        check("10.1.2.3/0", &["10.1.2.3", "192.0.2.1"], &["::1", "example.com"]);
        check(
            "2001:db8::/32",
            &["2001:db8::1", "2001:db8:ffff::"],
            &["2001:db9::", "10.0.0.1"],
        );
        check("[2001:db8::1]", &["2001:db8::1", "2001:DB8:0:0::1"], &["2001:db8::2"]);
        check("2001:db8::1", &["2001:db8::1"], &["2001:db8::1:1"]);
        check("[fe80::]/10", &["fe80::1", "febf::1"], &["fec0::1"]);
        check("::/0", &["::1", "2001:db8::1"], &["10.0.0.1"]);
        for nonsense in [
            "10.0.0.0/33",
            "10.0.0.0/x",
            "10.0.0.0/",
            "2001:db8::/129",
            "10.0.0.0/-1",
        ] {
            check(nonsense, &[], &["10.0.0.0", "2001:db8::"]);
        }
    }

    #[test]
    fn entries_have_commas_or_blanks_between() {
        for list in [
            "a.example,b.example",
            " a.example , b.example ",
            "a.example b.example",
            ",,a.example,\tb.example,",
        ] {
            check(list, &["a.example", "b.example"], &["c.example"]);
        }
        for nothing in ["", " ", ",", ".", "..", "/", "[", "[]"] {
            check(nothing, &[], &["example.com", "10.0.0.1", "::1"]);
        }
    }

    #[test]
    fn a_port_is_part_of_no_host() {
        check("example.com:443", &[], &["example.com"]);
        check("10.0.0.1:443", &[], &["10.0.0.1"]);
    }
}
