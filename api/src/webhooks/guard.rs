//! Where a web hook may lead: to public addresses alone, so that nobody uses Relight to look into our own network; if that is
//! configured, to private ones too, but never to link-local ones, where clouds keep their machines' credentials.
//!
//! The name is resolved once, every address is checked, and the connection goes to those addresses; no redirect is
//! followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

/// What an endpoint's address must be like: https, without credentials, of a bearable length.
///
/// # Errors
/// A sentence for whoever typed it.
pub fn address(text: &str, private: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| "That is not an address such as https://example.com/hooks.")?;
    if text.len() > 2_000 {
        return Err("The address is too long.");
    }
    if url.scheme() != "https" && !(private && url.scheme() == "http") {
        let schemes = ["The address must begin with https://.", "The address must begin with https:// or http://."];
        return Err(schemes[usize::from(private)]);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("The address must not contain a password: deliveries are signed.");
    }
    match url.host() {
        None => Err("The address has no host."),
        Some(Host::Ipv4(ip)) if !may_lead_to(ip.into(), private) => Err("The address is not a public one."),
        Some(Host::Ipv6(ip)) if !may_lead_to(ip.into(), private) => Err("The address is not a public one."),
        Some(_) => Ok(url),
    }
}

/// The addresses of an endpoint's host, all of them public.
///
/// # Errors
/// Why there is none to connect to.
pub async fn resolve(url: &Url, private: bool) -> Result<Vec<SocketAddr>, &'static str> {
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else { return Err("it has no host") };
    let found: Vec<SocketAddr> = match host {
        Host::Ipv4(ip) => vec![(ip, port).into()],
        Host::Ipv6(ip) => vec![(ip, port).into()],
        Host::Domain(name) => {
            tokio::net::lookup_host((name, port)).await.map_err(|_| "its name can't be resolved")?.collect()
        }
    };
    if found.is_empty() {
        return Err("its name has no address");
    }
    if !found.iter().all(|address| may_lead_to(address.ip(), private)) {
        return Err("its name leads to an address that is not public");
    }
    Ok(found)
}

fn may_lead_to(ip: IpAddr, private: bool) -> bool {
    is_public(ip) || (private && is_own(ip.to_canonical()) && !METADATA.contains(&ip.to_canonical()))
}

/// Where clouds keep their machines' credentials, as far as that is not link-local: Amazon's by IPv6, Alibaba's.
const METADATA: [IpAddr; 2] =
    [IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200))];

/// Whether an address is one of this machine or a private network.
fn is_own(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || is_carriers(ip),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

/// Carriers' own (RFC 6598).
fn is_carriers(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && (64..128).contains(&b)
}

/// Whether an address is one of the public Internet. Source: IANA's special-purpose address registries (RFC 6890).
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = a == 0
        || a >= 240
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || is_carriers(ip)
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let last = || Ipv4Addr::from(u32::from(segments[6]) << 16 | u32::from(segments[7]));
    match segments {
        // An IPv4 address in other clothes: mapped, compatible, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(last()),
        [0x2002, high, low, ..] => is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        // Of what is left, 2000::/3 alone is given out, and of that not Teredo, ORCHID and documentation.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x3fff, second, ..] => second >= 0x1000,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2002:c0a8:101::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "100::1",
            "64:ff9b:1::1",
            "3fff::1",
        ] {
            assert!(!is_public(ip.parse().expect("an address")), "{ip}");
        }
        for ip in [
            "1.1.1.1",
            "93.184.216.34",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(ip.parse().expect("an address")), "{ip}");
        }
    }

    #[test]
    fn an_address_must_be_https_and_carry_no_password() {
        assert!(address("https://example.com/hooks", false).is_ok());
        for text in [
            "http://example.com",
            "ftp://example.com",
            "example.com",
            "https://ann:secret@example.com",
            "https://127.0.0.1",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
        ] {
            assert!(address(text, false).is_err(), "{text}");
        }
        for text in ["http://127.0.0.1:9000/", "http://10.0.0.7/", "http://[::1]/", "http://[fd12::1]/"] {
            assert!(address(text, true).is_ok(), "{text}");
        }
        for text in [
            "http://169.254.169.254/",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://0.0.0.0/",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
        ] {
            assert!(address(text, true).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let url = Url::parse("https://localhost/").expect("a URL");
        assert_eq!(resolve(&url, false).await, Err("its name leads to an address that is not public"));
        assert!(resolve(&url, true).await.is_ok());
    }
}
