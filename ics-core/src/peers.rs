//! Whom a node dials: the peers that the other validators publish.

mod host;
mod publish;
mod published;

use std::cmp::Reverse;
use std::collections::{BTreeMap, btree_map};
use std::fmt;

use ed25519_dalek::SigningKey;
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

pub use self::host::{Host, Reach};
pub use self::publish::{Entry, TooLong};
pub use self::published::Published;
use crate::id::{ChainId, ConsumerId};
use crate::key::PublicKey;
use crate::snapshot::{ConsumerValidator, LocalValidator};

/// A CometBFT node id: 20 bytes, the address of the node key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 20]);

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

/// Why what a validator publishes gives no peer, or no relayer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The entry of this consumer cannot be read.
    #[error("publishes a p2p.{0}= entry that is neither p2p.{0}=<host>:<port> nor p2p.{0}=:<port>")]
    Elsewhere(ConsumerId),
    /// What should be a host is none.
    #[error(
        "publishes a p2p= entry whose host is no DNS name and no address of one machine: it must \
         read p2p=<node id>@<host>, without a port"
    )]
    Host,
    /// No entry that starts with `p2p=`.
    #[error("publishes no p2p=<node id>@<host> in its staking details")]
    Missing,
    /// What should be a node id is none.
    #[error("publishes a p2p= entry whose node id has not 40 hex characters")]
    NodeId,
    /// It claims to be us.
    #[error("publishes our own node id")]
    Ours,
    /// Its host means another machine to each who dials it.
    #[error(
        "publishes the private host {0}: where that is right, set private_peers = true in [node]"
    )]
    Private(Host),
    /// What should be a relayer's account is none.
    #[error("publishes a relayer= entry that is no bech32 address")]
    Relayer,
    /// An entry stands there twice, so which one holds is unclear.
    #[error("publishes more than one {0} entry in its staking details")]
    Repeated(String),
    /// Another validator with a better claim publishes the same node id.
    #[error("publishes the node id {0} of another validator, {1}")]
    Taken(NodeId, String),
}

/// Which hosts may be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// All.
    Private,
    /// Those that everyone can reach.
    Public,
}

impl NodeId {
    /// The node id with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The node id of a node with this key.
    #[must_use]
    pub fn of(node_key: &PublicKey) -> Self {
        let mut id = [0; 20];
        id.copy_from_slice(&Sha256::digest(node_key.as_bytes())[..20]);
        Self(id)
    }

    /// Reads 40 hex characters.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The node id that the Go monitor gives a validator who publishes a host alone.
    ///
    /// Its key follows from the validator's name and the chain id, so anyone can compute it and
    /// answer in the validator's place: the id only finds such nodes, it proves nothing.
    /// Source: `internal/subnet/node_key_generator.go` of roylee17/monitor, and
    /// `GenPrivKeyFromSecret` of CometBFT's `crypto/ed25519`, which hashes once more.
    #[must_use]
    pub fn weak(moniker: &str, chain_id: &ChainId) -> Self {
        let secret = Sha256::digest(format!("ics-consumer-{moniker}-{}", chain_id.as_str()));
        let seed = Sha256::digest(secret).into();
        let public = SigningKey::from_bytes(&seed).verifying_key();
        Self::of(&PublicKey::new(public.to_bytes()))
    }
}

/// The peers that the other validators of a consumer publish, and those who publish no usable one.
///
/// One validator never costs more than its own peer. Where two publish one node id, one of them is
/// wrong, and CometBFT dials an id only once: the peer is the one of whom published the id, rather
/// than of whom it follows from public data; else of the one with more power, so that copying
/// another's id needs more stake than it has; else of the lower operator address.
#[must_use]
pub fn choose<'a>(
    validators: &'a [ConsumerValidator],
    local: &LocalValidator,
    consumer_id: ConsumerId,
    port: u16,
    dial: Dial,
) -> (Vec<Peer>, Vec<(&'a ConsumerValidator, Problem)>) {
    let own = local.provider_key.address();
    let mut others: Vec<_> = validators
        .iter()
        .filter(|validator| validator.provider_address != own)
        .collect();
    others.sort_by_key(|it| (it.published.is_weak(), Reverse(it.power), &it.operator));
    let mut claimed = BTreeMap::<NodeId, &ConsumerValidator>::new();
    let (mut peers, mut problems) = (Vec::new(), Vec::new());
    for validator in others {
        let found = validator
            .published
            .peer(consumer_id, port)
            .and_then(|peer| {
                if peer.node_id == local.node_id {
                    return Err(Problem::Ours);
                }
                if dial == Dial::Public && peer.host.reach() == Reach::Private {
                    return Err(Problem::Private(peer.host));
                }
                match claimed.entry(peer.node_id) {
                    btree_map::Entry::Occupied(first) => {
                        Err(Problem::Taken(peer.node_id, first.get().name()))
                    }
                    btree_map::Entry::Vacant(free) => {
                        free.insert(validator);
                        Ok(peer)
                    }
                }
            });
        match found {
            Ok(peer) => peers.push(peer),
            Err(problem) => problems.push((validator, problem)),
        }
    }
    // An order that no change of power changes.
    peers.sort_unstable();
    (peers, problems)
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
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
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::key::Address;

    const CONSUMER: ConsumerId = ConsumerId::new(3);

    fn validator(index: u8, power: u64, details: &str) -> ConsumerValidator {
        let moniker = format!("v{index}\n");
        let chain_id = ChainId::new("consumer-1").expect("a chain id");
        ConsumerValidator {
            active: true,
            provider_address: PublicKey::new([index; 32]).address(),
            operator: Address::new([index; 20]).expect("20 bytes"),
            consumer_key: PublicKey::new([index; 32]),
            power,
            published: Published::read(details, &moniker, &chain_id),
            moniker,
        }
    }

    fn id(index: u8) -> String {
        NodeId::new([index; 20]).to_string()
    }

    /// What validator 0, whose node id is all zeros, dials.
    fn dialled(validators: &[ConsumerValidator], dial: Dial) -> (Vec<String>, Vec<String>) {
        let local = LocalValidator {
            operator: Address::new([0; 20]).expect("20 bytes"),
            chain_id: ChainId::new("provider-1").expect("a chain id"),
            provider_key: PublicKey::new([0; 32]),
            node_id: NodeId::new([0; 20]),
        };
        let (peers, problems) = choose(validators, &local, CONSUMER, 5, dial);
        (
            peers.iter().map(ToString::to_string).collect(),
            problems
                .iter()
                .map(|(validator, problem)| format!("{} {problem}", validator.name()))
                .collect(),
        )
    }

    #[test]
    fn one_broken_entry_costs_no_other_peer() {
        let validators = [
            validator(0, 9, &format!("p2p={}@us.example", id(9))),
            validator(1, 9, "p2p=$(id)"),
            validator(2, 9, &format!("p2p={}@two.example", id(2))),
            validator(3, 9, ""),
        ];
        let (peers, problems) = dialled(&validators, Dial::Public);
        assert_eq!(peers, [format!("{}@two.example:5", id(2))]);
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn our_own_node_is_never_dialled() {
        let claims = format!("p2p={}@evil.example", id(0));
        let (peers, problems) = dialled(&[validator(1, 9, &claims)], Dial::Public);
        assert_eq!(peers, [""; 0]);
        assert_eq!(problems, [r"v1\n publishes our own node id"]);
    }

    #[test]
    fn private_hosts_are_dialled_where_the_operator_says_so() {
        let validators = [validator(1, 9, &format!("p2p={}@10.0.0.1", id(1)))];
        let (peers, problems) = dialled(&validators, Dial::Public);
        assert_eq!(peers, [""; 0]);
        assert!(problems[0].contains("private_peers"), "{problems:?}");
        let (peers, problems) = dialled(&validators, Dial::Private);
        assert_eq!(peers, [format!("{}@10.0.0.1:5", id(1))]);
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn of_two_with_one_node_id_the_one_with_more_power_is_dialled() {
        let of = |host: &str| format!("p2p={}@{host}", id(7));
        let validators = [
            validator(1, 8, &of("small.example")),
            validator(2, 9, &of("large.example")),
            validator(3, 9, &of("late.example")),
        ];
        let (peers, problems) = dialled(&validators, Dial::Public);
        assert_eq!(peers, [format!("{}@large.example:5", id(7))]);
        assert_eq!(problems.len(), 2);
        assert!(
            problems[0].ends_with(r"another validator, v2\n"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_published_id_stands_above_one_that_anyone_can_compute() {
        let chain_id = ChainId::new("consumer-1").expect("a chain id");
        let weak = NodeId::weak("v2\n", &chain_id);
        let validators = [
            validator(1, 1, &format!("p2p={weak}@published.example")),
            validator(2, 9, "p2p=weak.example"),
        ];
        let (peers, _) = dialled(&validators, Dial::Public);
        assert_eq!(peers, [format!("{weak}@published.example:5")]);
    }

    #[test]
    fn of_two_with_one_name_that_publish_a_host_alone_one_is_dialled() {
        let mut twins = [
            validator(1, 8, "p2p=a.example"),
            validator(2, 9, "p2p=b.example"),
        ];
        let chain_id = ChainId::new("consumer-1").expect("a chain id");
        for (twin, details) in twins.iter_mut().zip(["p2p=a.example", "p2p=b.example"]) {
            twin.moniker = "same".into();
            twin.published = Published::read(details, "same", &chain_id);
        }
        let weak = NodeId::weak("same", &chain_id);
        let (peers, problems) = dialled(&twins, Dial::Public);
        assert_eq!(peers, [format!("{weak}@b.example:5")]);
        let [problem] = &problems[..] else {
            panic!("{problems:?}");
        };
        assert!(problem.ends_with("of another validator, same"), "{problem}");
    }

    proptest! {
        #[test]
        fn whatever_others_publish_each_good_peer_is_dialled_once(
            details in prop::collection::vec(
                prop_oneof![
                    (1..6_u8).prop_map(|index| format!("p2p={}@good.example", id(index))),
                    "p2p=[a-c@:.\\[0]{0,5}",
                    "\\PC{0,20}",
                ],
                0..12,
            ),
        ) {
            let numbered = (1..).zip(&details);
            let all: Vec<_> = numbered.map(|(n, details)| validator(n, n.into(), details)).collect();
            let (peers, problems) = dialled(&all, Dial::Private);
            prop_assert_eq!(peers.len() + problems.len(), all.len());
            let good = details.iter().filter(|details| details.ends_with("@good.example"));
            let good: BTreeSet<_> = good.map(|details| format!("{}:5", &details["p2p=".len()..])).collect();
            let dialled: BTreeSet<_> = peers.iter().cloned().collect();
            prop_assert_eq!(dialled.len(), peers.len());
            prop_assert!(good.is_subset(&dialled));
        }
    }
}
