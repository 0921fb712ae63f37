//! What validators publish about their nodes in their staking `details`, and what it means.
//!
//! Anyone can write anything there: everything is parsed into types that can only hold an address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Serialize, Serializer};

use crate::id::ConsumerId;

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
    /// An entry stands there twice, so which one holds is unclear.
    #[error("publishes more than one {0} entry in its staking details")]
    Repeated(String),
    /// Neither `p2p=<node id>@<host>` nor `p2p.<consumer id>=<host>:<port>`.
    #[error(
        "publishes {0:?}, which is neither p2p=<40 hex characters>@<DNS name or IP address> nor \
         p2p.<consumer id>=<host>:<port>"
    )]
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
    /// Reads the peer that a validator's `details` publish for a consumer whose computed P2P port
    /// is this.
    ///
    /// Among any other text stands a word `p2p=<node id>@<host>`. Where the validator's node of
    /// this consumer listens elsewhere, a word `p2p.<consumer id>=<host>:<port>` says so; without
    /// a host (`p2p.<consumer id>=:<port>`) only the port differs.
    ///
    /// # Errors
    /// If there is no first entry, one of them stands there twice, or one cannot be read.
    pub fn from_details(
        details: &str,
        consumer_id: ConsumerId,
        port: u16,
    ) -> Result<Self, PeerError> {
        let entry = single(details, "p2p=")?.ok_or(PeerError::Missing)?;
        let parsed = entry
            .split_once('@')
            .and_then(|(id, host)| Some((NodeId::from_hex(id)?, Host::parse(host)?)));
        let (node_id, host) = parsed.ok_or_else(|| malformed("p2p=", entry))?;
        let key = format!("p2p.{consumer_id}=");
        let Some(entry) = single(details, &key)? else {
            return Ok(Self {
                node_id,
                host,
                port,
            });
        };
        let elsewhere = entry.rsplit_once(':').and_then(|(text, port)| {
            let host = if text.is_empty() {
                Some(host)
            } else {
                Host::parse(text)
            };
            let port = port.parse().ok().filter(|port| *port != 0);
            Some((host?, port?))
        });
        let (host, port) = elsewhere.ok_or_else(|| malformed(&key, entry))?;
        Ok(Self {
            node_id,
            host,
            port,
        })
    }
}

/// The value of the one entry with this key; `None` if there is none.
fn single<'a>(details: &'a str, key: &str) -> Result<Option<&'a str>, PeerError> {
    let is_gap = |c: char| c.is_whitespace() || c == ',' || c == ';' || c == '|';
    let mut entries = details
        .split(is_gap)
        .filter_map(|word| word.strip_prefix(key));
    let entry = entries.next();
    match entries.next() {
        Some(_) => Err(PeerError::Repeated(key.to_owned())),
        None => Ok(entry),
    }
}

fn malformed(key: &str, entry: &str) -> PeerError {
    PeerError::Malformed(format!(
        "{key}{}",
        entry.chars().take(120).collect::<String>()
    ))
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

    const CONSUMER: ConsumerId = ConsumerId::new(3);

    #[test]
    fn an_entry_is_found_among_other_text() {
        let details = format!("We validate. p2p={ID}@Node.Example.com, relayer=cosmos1x");
        let peer = Peer::from_details(&details, CONSUMER, 28746).expect("a peer");
        assert_eq!(peer.to_string(), format!("{ID}@node.example.com:28746"));
    }

    #[test]
    fn a_node_that_listens_elsewhere_is_found_there() {
        for (entry, found) in [
            ("p2p.3=other:5", "other:5"),
            ("p2p.3=:5", "host:5"),
            ("p2p.3=[2001:db8::1]:5", "[2001:db8::1]:5"),
            ("p2p.4=other:5", "host:28746"),
        ] {
            let details = format!("p2p={ID}@host {entry}");
            let peer = Peer::from_details(&details, CONSUMER, 28746).expect("a peer");
            assert_eq!(peer.to_string(), format!("{ID}@{found}"));
        }
        for bad in [
            "p2p.3=other",
            "p2p.3=other:0",
            "p2p.3=other:65536",
            "p2p.3=a/b:5",
            "p2p.3=",
        ] {
            let details = format!("p2p={ID}@host {bad}");
            let error = Peer::from_details(&details, CONSUMER, 28746).expect_err(bad);
            assert_eq!(error, PeerError::Malformed(bad.into()));
        }
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
        let read = |details: &str| Peer::from_details(details, CONSUMER, 1);
        assert_eq!(read("hello"), Err(PeerError::Missing));
        assert_eq!(read("p2p.3=host:5"), Err(PeerError::Missing));
        let twice = format!("p2p={ID}@a p2p={ID}@b");
        assert_eq!(read(&twice), Err(PeerError::Repeated("p2p=".into())));
        for bad in ["p2p=a@b", "p2p=host.example", &format!("p2p={ID}@a\"b")] {
            assert!(matches!(read(bad), Err(PeerError::Malformed(_))), "{bad}");
        }
    }
}
