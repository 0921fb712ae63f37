//! What validators publish about their nodes in their staking `details`, and what it means.
//!
//! Anyone can write anything there: everything is parsed into types that can only hold an address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Serialize, Serializer};

/// A CometBFT node id: 20 bytes, the address of the node key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 20]);

/// A host name or address that may be dialled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name: dot-separated labels of letters, digits and dashes.
    Name(String),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
}

/// A node to dial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// Who must answer.
    pub node_id: NodeId,
    /// Where.
    pub host: Host,
    /// On which P2P port.
    pub port: u16,
}

/// Why an entry in `details` gives no peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// No entry that starts with `p2p=`.
    #[error("publishes no p2p=<node id>@<host> in its staking details")]
    Missing,
    /// More than one, so which one holds is unclear.
    #[error("publishes more than one p2p= entry in its staking details")]
    Repeated,
    /// Not `<node id>@<host>`.
    #[error("publishes {0:?}, which is not p2p=<40 hex characters>@<DNS name or IP address>")]
    Malformed(String),
}

impl NodeId {
    /// The node id with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Reads 40 hex characters.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl Host {
    /// Reads a DNS name, an IPv4 address, or an IPv6 address with or without brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            return inner.parse::<Ipv6Addr>().ok().map(|ip| Self::Ip(ip.into()));
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Self::Ip(ip));
        }
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let numeric_tail = text
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        let name_ok = text.len() <= 253 && text.split('.').all(label_ok) && !numeric_tail;
        name_ok.then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

impl Peer {
    /// Reads the peer that a validator's `details` publish, for a consumer on this P2P port.
    ///
    /// The entry is a word `p2p=<node id>@<host>` among any other text.
    ///
    /// # Errors
    /// If there is no such entry, more than one, or one that names no host.
    pub fn from_details(details: &str, port: u16) -> Result<Self, PeerError> {
        let is_gap = |c: char| c.is_whitespace() || c == ',' || c == ';' || c == '|';
        let mut entries = details
            .split(is_gap)
            .filter_map(|word| word.strip_prefix("p2p="));
        let entry = entries.next().ok_or(PeerError::Missing)?;
        if entries.next().is_some() {
            return Err(PeerError::Repeated);
        }
        let parsed = entry.split_once('@').and_then(|(id, host)| {
            Some(Self {
                node_id: NodeId::from_hex(id)?,
                host: Host::parse(host)?,
                port,
            })
        });
        parsed.ok_or_else(|| PeerError::Malformed(entry.chars().take(120).collect()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
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

impl fmt::Display for Peer {
    /// `<node id>@<host>:<port>`, as `persistent_peers` wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.node_id, self.host, self.port)
    }
}

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "c06732073dbdfaece05be0245312e187771d9d93";

    #[test]
    fn an_entry_is_found_among_other_text() {
        let details = format!("We validate. p2p={ID}@Node.Example.com, relayer=cosmos1x");
        let peer = Peer::from_details(&details, 28746).expect("a peer");
        assert_eq!(peer.to_string(), format!("{ID}@node.example.com:28746"));
    }

    #[test]
    fn hosts_are_names_or_addresses_and_nothing_else() {
        for good in [
            "a",
            "a-b.c1",
            "10.77.0.1",
            "::1",
            "[2001:db8::1]",
            "1and1.com",
        ] {
            assert!(Host::parse(good).is_some(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            ".",
            "a.",
            "-a",
            "a-",
            "a b",
            "a/b",
            "$(id)",
            "1.2.3",
            "1.2.3.4:5",
            "[::1",
            "a\n",
            &long,
        ] {
            assert!(Host::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn broken_entries_are_refused_with_a_reason() {
        assert_eq!(Peer::from_details("hello", 1), Err(PeerError::Missing));
        let twice = format!("p2p={ID}@a p2p={ID}@b");
        assert_eq!(Peer::from_details(&twice, 1), Err(PeerError::Repeated));
        for bad in ["p2p=a@b", "p2p=host.example", &format!("p2p={ID}@a\"b")] {
            assert!(
                matches!(Peer::from_details(bad, 1), Err(PeerError::Malformed(_))),
                "{bad}"
            );
        }
    }
}
