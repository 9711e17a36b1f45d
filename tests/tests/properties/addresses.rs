//! The client's address is the connection's other end, or a hop that a trusted proxy wrote: never one that garbage makes up.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use api::limits::address::client;
use axum::http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use proptest::prelude::*;

use super::running::{FUNCTION, holds};

fn trusted() -> [IpNet; 3] {
    ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"].map(|net| net.parse().expect("a network"))
}

/// Any address, those of proxies more often.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<Ipv4Addr>().prop_map(IpAddr::from),
        any::<Ipv6Addr>().prop_map(IpAddr::from),
        any::<Ipv4Addr>().prop_map(|address| address.to_ipv6_mapped().into()),
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([10, a, b, c])),
    ]
}

/// A hop that says who it was, as proxies write it, and a hop that doesn't.
#[derive(Debug, Clone)]
enum Hop {
    Of(IpAddr, String),
    Garbage(&'static str),
}

fn hop() -> impl Strategy<Value = Hop> {
    let written = (address(), any::<u16>(), 0..5).prop_map(|(address, port, form)| {
        let text = match form {
            0 => address.to_string(),
            1 => SocketAddr::new(address, port).to_string(),
            2 => format!(" {address} "),
            3 => format!("\"{}\"", SocketAddr::new(address, port)),
            _ => format!("\t{}", SocketAddr::new(address, port)),
        };
        Hop::Of(address.to_canonical(), text)
    });
    let garbage = [
        "",
        "unknown",
        "_hidden",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4:",
        "1.2.3.4:70000",
        "[::1",
        "::1]",
        "01.2.3.4",
        "localhost",
    ];
    prop_oneof![4 => written, 1 => prop::sample::select(garbage.to_vec()).prop_map(Hop::Garbage)]
}

fn headers(lines: impl IntoIterator<Item = Vec<u8>>) -> HeaderMap {
    let lines = lines.into_iter().filter_map(|line| HeaderValue::from_bytes(&line).ok());
    lines.map(|line| ("x-forwarded-for".parse().expect("a name"), line)).collect()
}

#[test]
fn the_client_is_the_last_hop_that_is_no_proxy_and_the_peer_where_one_can_not_be_read() {
    let lines = prop::collection::vec(prop::collection::vec(hop(), 1..4), 0..4);
    holds(FUNCTION, &(address(), lines), |(peer, lines)| {
        let trusted = trusted();
        let is_proxy = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
        let text = |hop: &Hop| match hop {
            Hop::Of(_, text) => text.clone(),
            Hop::Garbage(text) => (*text).to_owned(),
        };
        let written = lines.iter().map(|hops| hops.iter().map(text).collect::<Vec<_>>().join(",").into_bytes());
        let headers = headers(written);
        let hops: Vec<_> = lines.into_iter().flatten().collect();
        let decides = hops.iter().rev().find(|hop| !matches!(hop, Hop::Of(address, _) if is_proxy(address)));
        let peer = peer.to_canonical();
        let expected = match decides {
            Some(Hop::Of(address, _)) if is_proxy(&peer) => *address,
            _ => peer,
        };
        prop_assert_eq!(client(peer, &headers, &trusted), expected);
        Ok(())
    });
}

#[test]
fn no_header_makes_up_an_address_that_does_not_stand_in_it() {
    let line = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[0-9a-f:., \\[\\]\"%]{0,40}".prop_map(String::into_bytes),
        "([0-9]{1,3}\\.){3}[0-9]{1,4}(:[0-9]{0,6})?".prop_map(String::into_bytes),
    ];
    let peer = prop_oneof![Just(IpAddr::from([127, 0, 0, 1])), address()];
    holds(FUNCTION, &(peer, prop::collection::vec(line, 0..4)), |(peer, lines)| {
        let peer = peer.to_canonical();
        let mut possible = BTreeSet::from([peer]);
        for hop in lines.iter().flat_map(|line| line.split(|byte| *byte == b',')) {
            let text = String::from_utf8_lossy(hop);
            let text = text.trim().trim_matches('"');
            possible.extend(text.parse::<SocketAddr>().map(|address| address.ip().to_canonical()));
            possible.extend(text.trim_matches(['[', ']']).parse::<IpAddr>().map(|address| address.to_canonical()));
        }
        let found = client(peer, &headers(lines), &trusted());
        prop_assert!(possible.contains(&found), "{found} is none of {possible:?}");
        Ok(())
    });
}
