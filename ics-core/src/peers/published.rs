//! What a validator publishes in its staking `details`, read once and kept without its text.
//!
//! | word | what it says |
//! |---|---|
//! | `p2p=<node id>@<host>` | where its nodes are, and which key they answer with |
//! | `p2p=<host>` | where they are; the key follows from public data, see [`NodeId::weak`] |
//! | `p2p.<consumer id>=<host>:<port>` | where its node of this consumer listens, if elsewhere |
//! | `p2p.<consumer id>=:<port>` | on which port, if the host is the same |
//! | `relayer=<bech32>` | the account of its relayer |
//!
//! Words are parted by white space, `,`, `;` or `|`; all other words are left alone.

use std::collections::BTreeMap;

use super::{Host, NodeId, Peer, Problem};
use crate::id::{ChainId, ConsumerId};
use crate::key::Address;

/// What one validator publishes. Anyone can write anything there: this holds values, never text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    node: Result<Node, Problem>,
    elsewhere: BTreeMap<ConsumerId, Result<Elsewhere, Problem>>,
    relayer: Option<Result<Address, Problem>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    id: NodeId,
    /// The id was not published but follows from public data.
    is_weak: bool,
    host: Host,
}

/// Where one consumer's node listens; without a host, at the one that stands for all consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Elsewhere {
    host: Option<Host>,
    port: u16,
}

impl Published {
    /// Reads a validator's details.
    ///
    /// Its name and the consumer's chain id matter only where no node id is published.
    #[must_use]
    pub fn read(details: &str, moniker: &str, chain_id: &ChainId) -> Self {
        let (mut node, mut relayer) = (None, None);
        let mut elsewhere = BTreeMap::new();
        for (key, value) in entries(details) {
            match key {
                Key::Node => once(&mut node, key, || Node::read(value, moniker, chain_id)),
                Key::Elsewhere(consumer_id) => {
                    let mut slot = elsewhere.remove(&consumer_id);
                    once(&mut slot, key, || Elsewhere::read(value, consumer_id));
                    elsewhere.extend(slot.map(|found| (consumer_id, found)));
                }
                Key::Relayer => once(&mut relayer, key, || {
                    Address::from_any_bech32(value)
                        .map(|(_, address)| address)
                        .map_err(|_| Problem::Relayer)
                }),
            }
        }
        Self {
            node: node.unwrap_or(Err(Problem::Missing)),
            elsewhere,
            relayer,
        }
    }

    /// The node to dial for a consumer whose computed P2P port is this.
    ///
    /// # Errors
    /// What is missing, stands there twice or cannot be read.
    pub fn peer(&self, consumer_id: ConsumerId, port: u16) -> Result<Peer, Problem> {
        let node = self.node.as_ref().map_err(Clone::clone)?;
        let (host, port) = match self.elsewhere.get(&consumer_id) {
            None => (&node.host, port),
            Some(Err(problem)) => return Err(problem.clone()),
            Some(Ok(found)) => (found.host.as_ref().unwrap_or(&node.host), found.port),
        };
        Ok(Peer {
            node_id: node.id,
            host: host.clone(),
            port,
        })
    }

    /// Whether its node id follows from public data, so that anyone can answer in its place.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.node.as_ref().is_ok_and(|node| node.is_weak)
    }

    /// The account of its relayer; `None` if it publishes none.
    ///
    /// # Errors
    /// If it publishes two, or one that is no address.
    pub fn relayer(&self) -> Result<Option<&Address>, Problem> {
        match &self.relayer {
            None => Ok(None),
            Some(found) => found.as_ref().map(Some).map_err(Clone::clone),
        }
    }
}

impl Node {
    fn read(text: &str, moniker: &str, chain_id: &ChainId) -> Result<Self, Problem> {
        if let Some((id, host)) = text.split_once('@') {
            return Ok(Self {
                id: NodeId::from_hex(id).ok_or(Problem::NodeId)?,
                is_weak: false,
                host: Host::parse(host).ok_or(Problem::Host)?,
            });
        }
        // The Go monitor ignores a port there, since it computes it.
        let without_port = || Host::parse(split_port(text)?.0);
        Ok(Self {
            host: Host::parse(text)
                .or_else(without_port)
                .ok_or(Problem::Host)?,
            is_weak: true,
            id: NodeId::weak(moniker, chain_id),
        })
    }
}

impl Elsewhere {
    fn read(text: &str, consumer_id: ConsumerId) -> Result<Self, Problem> {
        let read = || {
            let (host, port) = split_port(text)?;
            let host = match host {
                "" => None,
                host => Some(Host::parse(host)?),
            };
            Some(Self { host, port })
        };
        read().ok_or(Problem::Elsewhere(consumer_id))
    }
}

fn split_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some((host, port))
}

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Node,
    Elsewhere(ConsumerId),
    Relayer,
}

/// The words that are entries.
fn entries(details: &str) -> impl Iterator<Item = (Key, &str)> {
    details.split(is_gap).filter_map(entry)
}

/// What parts words.
pub(super) fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '|')
}

/// Reads a word; `None` if it is no entry.
pub(super) fn entry(word: &str) -> Option<(Key, &str)> {
    let (key, value) = word.split_once('=')?;
    let key = match key {
        "p2p" => Key::Node,
        "relayer" => Key::Relayer,
        _ => Key::Elsewhere(key.strip_prefix("p2p.")?.parse().ok()?),
    };
    Some((key, value))
}

/// Fills the slot; of what stands there twice it is unclear which holds.
fn once<T>(
    slot: &mut Option<Result<T, Problem>>,
    key: Key,
    read: impl FnOnce() -> Result<T, Problem>,
) {
    *slot = Some(match slot {
        None => read(),
        Some(_) => Err(Problem::Repeated(key.to_string())),
    });
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node => f.write_str("p2p="),
            Self::Elsewhere(id) => write!(f, "p2p.{id}="),
            Self::Relayer => f.write_str("relayer="),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "c06732073dbdfaece05be0245312e187771d9d93";
    const CONSUMER: ConsumerId = ConsumerId::new(3);

    fn read(details: &str) -> Published {
        let chain_id = ChainId::new("consumer-0-1752458708-0").expect("a chain id");
        Published::read(details, "alice", &chain_id)
    }

    fn peer(details: &str) -> Result<String, Problem> {
        let peer = read(details).peer(CONSUMER, 28_746);
        peer.map(|peer| peer.to_string())
    }

    #[test]
    fn an_entry_is_found_among_other_text() {
        let details = format!("We validate. p2p={ID}@Node.Example.com, relayer=x p2p.03=a:1 p2p");
        assert_eq!(peer(&details), Ok(format!("{ID}@node.example.com:28746")));
        assert!(!read(&details).is_weak());
    }

    #[test]
    fn a_host_alone_is_dialled_with_the_id_that_the_go_monitor_derives() {
        for entry in ["p2p=host.example", "p2p=host.example:26656"] {
            assert_eq!(peer(entry), Ok(format!("{ID}@host.example:28746")));
            assert!(read(entry).is_weak());
        }
        assert_eq!(
            peer("p2p=[2606:4700::1]"),
            Ok(format!("{ID}@[2606:4700::1]:28746"))
        );
    }

    #[test]
    fn a_node_that_listens_elsewhere_is_found_there() {
        for (entry, found) in [
            ("p2p.3=other:5", "other:5"),
            ("p2p.3=:5", "host:5"),
            ("p2p.3=[2001:db8::1]:5", "[2001:db8::1]:5"),
            ("p2p.4=other:5", "host:28746"),
            ("p2p.4=/", "host:28746"),
        ] {
            let details = format!("p2p={ID}@host {entry}");
            assert_eq!(peer(&details), Ok(format!("{ID}@{found}")));
        }
        for bad in ["other", "other:0", "other:65536", "a/b:5", ""] {
            let details = format!("p2p={ID}@host p2p.3={bad}");
            assert_eq!(peer(&details), Err(Problem::Elsewhere(CONSUMER)), "{bad}");
        }
    }

    #[test]
    fn broken_entries_are_refused_with_a_reason() {
        assert_eq!(peer("hello"), Err(Problem::Missing));
        assert_eq!(peer("p2p.3=host:5"), Err(Problem::Missing));
        let repeated = |key: &str| Err(Problem::Repeated(key.to_owned()));
        assert_eq!(peer(&format!("p2p={ID}@a p2p={ID}@a")), repeated("p2p="));
        assert_eq!(peer("p2p=a p2p=a p2p=a"), repeated("p2p="));
        assert_eq!(peer("p2p=a p2p.3=:1 p2p.3=:1"), repeated("p2p.3="));
        for bad in ["a@b", "@b", &format!("{}@b", &ID[1..])] {
            assert_eq!(peer(&format!("p2p={bad}")), Err(Problem::NodeId), "{bad}");
        }
        for bad in ["", "a\"b", "a/b", ":1", &format!("{ID}@b:1")] {
            assert_eq!(peer(&format!("p2p={bad}")), Err(Problem::Host), "{bad}");
        }
    }

    #[test]
    fn a_relayer_is_an_address_of_any_chain() {
        let address = Address::new([5; 20]).expect("20 bytes");
        let text = format!("relayer={}", address.to_bech32("con"));
        assert_eq!(read(&text).relayer(), Ok(Some(&address)));
        assert_eq!(read("").relayer(), Ok(None));
        assert_eq!(read("relayer=con1x").relayer(), Err(Problem::Relayer));
        let twice = read(&format!("{text} {text}"));
        assert_eq!(twice.relayer(), Err(Problem::Repeated("relayer=".into())));
    }
}
