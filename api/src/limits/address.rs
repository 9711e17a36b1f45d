//! From where a request comes: the connection's other end, or what a trusted proxy says.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Mutex,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, request::Parts},
};
use ipnet::IpNet;

use crate::{app::App, error::Error};

/// The client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub IpAddr);

impl FromRequestParts<App> for Address {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.ok_or_else(|| Error::Internal(anyhow::anyhow!("a connection without an address")))?;
        app.proxies.see(peer, &parts.headers, &app.config.http.trusted_proxies);
        Ok(Self(client(peer, &parts.headers, &app.config.http.trusted_proxies)))
    }
}

/// The client of a request. Each proxy appends from whom it heard: the last hop that is no trusted proxy is the client. A
/// hop that can't be read counts as the connection's other end, so that garbage opens no fresh limit.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_among(peer, trusted) {
        return peer;
    }
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')).map(hop);
    for hop in hops {
        match hop {
            Some(address) if is_among(address, trusted) => {}
            Some(address) => return address,
            None => return peer,
        }
    }
    peer
}

/// Whether an address is in one of these networks. An IPv4 address counts as itself, also where it comes mapped into IPv6.
pub fn is_among(address: IpAddr, networks: &[IpNet]) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// A hop as proxies write it: an address, with a port or without, an IPv6 one in brackets or without.
fn hop(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// The network that one customer has: an IPv4 address, or 2^64 IPv6 addresses.
pub fn network(address: IpAddr) -> IpAddr {
    prefix(address.to_canonical(), 4)
}

/// The network that one site may have: 2^80 IPv6 addresses.
pub(super) fn site(address: IpAddr) -> Option<IpAddr> {
    address.is_ipv6().then(|| prefix(address, 3))
}

/// An IPv6 address cut to its first groups of 16 bits.
fn prefix(address: IpAddr, groups: usize) -> IpAddr {
    match address {
        IpAddr::V6(address) => {
            let mut segments = address.segments();
            segments[groups..].fill(0);
            IpAddr::V6(Ipv6Addr::from(segments))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// How many proxies that aren't listed are remembered.
const REMEMBERED: usize = 8;

/// Proxies that seem to be in front of the service and aren't listed: from behind one all people have one address, and
/// share its limits.
#[derive(Debug, Default)]
pub struct UnlistedProxies(Mutex<BTreeSet<IpAddr>>);

impl UnlistedProxies {
    /// Notes a peer on a private network that forwards for others.
    fn see(&self, peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) {
        let peer = peer.to_canonical();
        let forwards = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        if !forwards || !is_near(peer) || is_among(peer, trusted) {
            return;
        }
        if let Ok(mut seen) = self.0.lock()
            && seen.len() < REMEMBERED
            && seen.insert(peer)
        {
            tracing::warn!(
                event = "proxy.unlisted",
                %peer,
                "this peer forwards for others, but http.trusted_proxies does not list it: all its clients share one limit"
            );
        }
    }

    /// Those that were seen.
    pub fn seen(&self) -> Vec<IpAddr> {
        self.0.lock().map(|seen| seen.iter().copied().collect()).unwrap_or_default()
    }
}

/// Whether an address is of this machine or of a private network, as proxies of one's own are.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().expect("a header"));
        }
        let trusted = ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"].map(|net| net.parse().expect("a network"));
        client(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client_of("192.0.2.7", &["198.51.100.1"]), "192.0.2.7");
        assert_eq!(client_of("127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client_of("10.1.2.3", &["203.0.113.9, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client_of("127.0.0.1", &["203.0.113.9", "198.51.100.1"]), "198.51.100.1", "two lines are one list");
        assert_eq!(client_of("fd00::1", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn hops_with_ports_and_mapped_addresses_are_read() {
        for hop in ["198.51.100.1:4711", "::ffff:198.51.100.1", "\"198.51.100.1:80\"", "[::ffff:198.51.100.1]:443"] {
            assert_eq!(client_of("127.0.0.1", &[hop]), "198.51.100.1", "{hop}");
        }
        for hop in ["[2001:db8::1]:80", "[2001:db8::1]", "2001:db8::1", "\"[2001:db8::1]:9\""] {
            assert_eq!(client_of("127.0.0.1", &[hop]), "2001:db8::1", "{hop}");
        }
        assert_eq!(client_of("::ffff:127.0.0.1", &["198.51.100.1"]), "198.51.100.1", "the peer may be mapped");
        assert_eq!(client_of("::ffff:10.9.9.9", &["198.51.100.1, ::ffff:10.0.0.2"]), "198.51.100.1");
    }

    #[test]
    fn a_hop_that_can_not_be_read_counts_as_the_peer() {
        for hop in ["unknown", "_hidden", "", "198.51.100.1, unknown", "198.51.100.1, ", "999.1.1.1", "1.2.3.4:99999"] {
            assert_eq!(client_of("127.0.0.1", &[hop]), "127.0.0.1", "{hop:?}");
        }
        assert_eq!(client_of("127.0.0.1", &["10.0.0.2, 10.0.0.3"]), "127.0.0.1", "only proxies");
    }

    #[test]
    fn networks_are_what_one_customer_has() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(network(address("198.51.100.7")), address("198.51.100.7"));
        assert_eq!(network(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_eq!(site(address("2001:db8:1:2:3:4:5:6")), Some(address("2001:db8:1::")));
        assert_eq!(site(address("198.51.100.7")), None);
    }

    #[test]
    fn a_private_peer_that_forwards_and_is_not_listed_is_noticed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "198.51.100.1".parse().expect("a header"));
        let proxies = UnlistedProxies::default();
        proxies.see("10.0.0.9".parse().expect("an address"), &headers, &["10.0.0.9/32".parse().expect("a network")]);
        proxies.see("203.0.113.5".parse().expect("an address"), &headers, &[]);
        assert!(proxies.seen().is_empty());
        proxies.see("10.0.0.9".parse().expect("an address"), &headers, &[]);
        assert_eq!(proxies.seen().len(), 1);
    }
}
