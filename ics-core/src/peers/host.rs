//! Where a validator says that its node is: a DNS name or an IP address, and nothing else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host name or address that may be dialled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name in lower case: dot-separated labels of letters, digits and dashes.
    Name(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

/// Who can reach a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whoever is on the same machine or network: what it means elsewhere is another machine, such
    /// as a stranger's database or a cloud's metadata service.
    Private,
    /// Everyone.
    Public,
}

impl Host {
    /// Reads a DNS name (RFC 1123), an IPv4 address, or an IPv6 address with or without brackets.
    ///
    /// An address that no single machine can have is none: unspecified, multicast or broadcast. An
    /// IPv4 address written as IPv6 is read as IPv4.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Some(inner) = bracketed {
            return inner
                .parse::<Ipv6Addr>()
                .ok()
                .and_then(|ip| single(ip.into()));
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return single(ip);
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        // A name that ends in a number would be read as an IPv4 address by some resolvers.
        let ends_in_number = text
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        let is_name = text.len() <= 253 && text.split('.').all(is_label) && !ends_in_number;
        is_name.then(|| Self::Name(text.to_ascii_lowercase()))
    }

    /// Who can reach it, as far as its text tells: a public name may still stand for any address.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let is_public = match self {
            // One label is completed by the local resolver; the others are reserved by RFC 6761,
            // RFC 6762, RFC 8375 and ICANN's resolution of 29 July 2024.
            Self::Name(name) => {
                let local = ["localhost", "local", "internal", "home.arpa"];
                name.contains('.')
                    && !local.iter().any(|zone| {
                        name.strip_suffix(zone)
                            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                    })
            }
            Self::Ip(IpAddr::V4(ip)) => is_public_v4(*ip),
            Self::Ip(IpAddr::V6(ip)) => is_public_v6(*ip),
        };
        if is_public {
            Reach::Public
        } else {
            Reach::Private
        }
    }
}

/// The address, unless it stands for no machine or for many.
fn single(ip: IpAddr) -> Option<Host> {
    let ip = ip.to_canonical();
    let is_broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    let is_single = !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast;
    is_single.then_some(Host::Ip(ip))
}

/// Whether it is in none of the special blocks of IANA's registry (RFC 6890).
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = a == 0
        || a >= 240
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_documentation()
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a, b, c) == (192, 0, 0);
    !special
}

/// Whether it is global unicast (2000::/3), and neither for documentation nor a tunnel to an IPv4
/// address of anyone's choice (Teredo, 6to4).
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let global = a & 0xe000 == 0x2000;
    let documentation = (a, b) == (0x2001, 0x0db8) || (a == 0x3fff && b < 0x1000);
    let tunnel = (a, b) == (0x2001, 0) || a == 0x2002;
    global && !documentation && !tunnel
}

impl fmt::Display for Host {
    /// As it stands in an address: IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_and_nothing_else() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        for good in [
            "a",
            "a-b.c1",
            "10.77.0.1",
            "::1",
            "[2001:db8::1]",
            "1and1.com",
            &longest,
        ] {
            assert!(Host::parse(good).is_some(), "{good}");
        }
        let (long_label, too_long) = ("a".repeat(64), format!("{longest}b"));
        for bad in [
            "",
            ".",
            "a.",
            "a..b",
            "-a",
            "a-",
            "a b",
            "a_b",
            "a/b",
            "$(id)",
            "é.com",
            "1.2.3",
            "1.2.3.4:5",
            "01.2.3.4",
            "[::1",
            "[1.2.3.4]",
            "[a]",
            "fe80::1%eth0",
            "a\n",
            &long_label,
            &too_long,
        ] {
            assert!(Host::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_of_no_one_or_of_many_are_none() {
        for bad in [
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "ff02::1",
            "::ffff:0.0.0.0",
            "[::ffff:224.0.0.1]",
        ] {
            assert!(Host::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_what_everyone_reaches_is_public() {
        let reach = |text: &str| Host::parse(text).map(|host| host.reach());
        for public in [
            "node.example.com",
            "notlocalhost.com",
            "local.com",
            "1.1.1.1",
            "100.63.0.1",
            "172.32.0.1",
            "[2606:4700::1]",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(reach(public), Some(Reach::Public), "{public}");
        }
        for private in [
            "node",
            "localhost",
            "a.localhost",
            "printer.local",
            "metadata.google.internal",
            "nas.home.arpa",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "240.0.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "[2001:db8::1]",
            "[3fff::1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[64:ff9b::7f00:1]",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(reach(private), Some(Reach::Private), "{private}");
        }
    }
}
