//! The ports of a consumer node, computed alike by every validator.
//!
//! | port | formula |
//! |---|---|
//! | P2P | 26756 + 10·offset |
//! | RPC | 26757 + 10·offset |
//! | gRPC | 9190 + 10·offset |
//! | gRPC-Web | 9191 + 10·offset |
//! | REST | RPC + 660 |
//!
//! The offset is the first 8 bytes of SHA-256(chain id), big-endian, modulo 1000.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::id::{ChainId, ConsumerId};
use crate::time::Height;

/// A number of 0 to 999 that spreads consumers over ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Offset(u16);

impl Offset {
    const COUNT: u16 = 1000;

    /// The offset that the published formula gives a chain id.
    #[must_use]
    pub fn of(chain_id: &ChainId) -> Self {
        let hash = Sha256::digest(chain_id.as_str());
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        let offset = u64::from_be_bytes(first) % u64::from(Self::COUNT);
        Self(u16::try_from(offset).unwrap_or_default())
    }

    /// The offset whose P2P port is this; `None` if there is none.
    #[must_use]
    pub fn of_p2p(port: u16) -> Option<Self> {
        let above = port.checked_sub(26_756)?;
        (above % 10 == 0 && above / 10 < Self::COUNT).then_some(Self(above / 10))
    }

    /// The ports at this offset.
    #[must_use]
    pub const fn ports(self) -> Ports {
        let step = 10 * self.0;
        Ports {
            p2p: 26_756 + step,
            rpc: 26_757 + step,
            grpc: 9_190 + step,
            grpc_web: 9_191 + step,
            rest: 27_417 + step,
        }
    }

    const fn next(self) -> Self {
        Self((self.0 + 1) % Self::COUNT)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The ports that one consumer node listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// CometBFT peers.
    pub p2p: u16,
    /// CometBFT RPC.
    pub rpc: u16,
    /// Cosmos SDK gRPC.
    pub grpc: u16,
    /// Cosmos SDK gRPC-Web.
    pub grpc_web: u16,
    /// Cosmos SDK REST.
    pub rest: u16,
}

/// A consumer that has ports: launched or stopped.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The height at which the provider launched it.
    pub launched: Height,
    /// Its id, which decides between launches of one block.
    pub consumer_id: ConsumerId,
    /// Its chain id, final since launch.
    pub chain_id: &'a ChainId,
}

/// Resolves collisions: in order of launch, each takes the first free offset from its own upwards.
///
/// The offsets wrap at 1000. A validator that runs only some of the consumers still has to pass all
/// of them, or it would compute other ports than its peers. With more than 1000 consumers the
/// later ones share the port that the formula gives.
#[must_use]
pub fn allocate<'a>(claims: impl IntoIterator<Item = Claim<'a>>) -> BTreeMap<ConsumerId, Offset> {
    let mut claims: Vec<_> = claims.into_iter().collect();
    claims.sort_by_key(|claim| (claim.launched, claim.consumer_id));
    resolve(
        claims
            .iter()
            .map(|claim| (claim.consumer_id, Offset::of(claim.chain_id))),
    )
}

/// [`allocate`] for consumers in the order of their launch, each with its own offset.
pub(crate) fn resolve(
    claims: impl IntoIterator<Item = (ConsumerId, Offset)>,
) -> BTreeMap<ConsumerId, Offset> {
    let mut taken = BTreeSet::new();
    let resolve = |(id, own): (ConsumerId, Offset)| {
        let mut offset = own;
        while taken.contains(&offset) && taken.len() < usize::from(Offset::COUNT) {
            offset = offset.next();
        }
        taken.insert(offset);
        (id, offset)
    };
    claims.into_iter().map(resolve).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ChainId {
        ChainId::new(text).expect("a chain id")
    }

    #[test]
    fn the_formula_gives_the_published_ports() {
        let ports = Offset::of(&id("consumer-1")).ports();
        assert_eq!(Offset::of(&id("consumer-1")), Offset(199));
        assert_eq!((ports.p2p, ports.rpc, ports.grpc), (28_746, 28_747, 11_180));
        assert_eq!((ports.grpc_web, ports.rest), (11_181, 29_407));
        assert_eq!(Offset::of_p2p(28_746), Some(Offset(199)));
        assert_eq!(
            (Offset::of_p2p(28_747), Offset::of_p2p(36_756)),
            (None, None)
        );
    }

    #[test]
    fn the_later_launch_moves_up() {
        let (first, second) = (id("neutron-1"), id("stride-1"));
        let claim = |launched, number, chain_id| Claim {
            launched: Height(launched),
            consumer_id: ConsumerId::new(number),
            chain_id,
        };
        let offsets = allocate([claim(9, 0, &second), claim(5, 7, &first)]);
        assert_eq!(offsets[&ConsumerId::new(7)], Offset(243));
        assert_eq!(offsets[&ConsumerId::new(0)], Offset(244));
    }
}
