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
//!
//! Where that gives two consumers one port, the one that launched earlier has it. The later one
//! takes the next offset, modulo 1000, whose P2P port no earlier one has. The RPC port of an offset
//! is the REST port of the one 66 below: the later of two such moves both, by one or by two. All
//! launched and stopped consumers of the provider are counted, whoever runs them, so that all
//! validators compute the same; with more than 1000 the later ones share what the formula gives,
//! and of two that share, one validator can run only one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::id::{ChainId, ConsumerId};
use crate::time::Height;

/// A number of 0 to 999 that spreads consumers over ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Offset(u16);

impl Offset {
    pub(crate) const COUNT: u16 = 1000;

    /// The offset that the published formula gives a chain id.
    #[must_use]
    pub fn of(chain_id: &ChainId) -> Self {
        let offset = chain_id.fingerprint() % u64::from(Self::COUNT);
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
    /// The height at which the provider launched it; `None`: nothing on chain tells, so it comes
    /// after those of which it is known.
    pub launched: Option<Height>,
    /// Its id, which decides between launches of one block.
    pub consumer_id: ConsumerId,
    /// Its chain id, final since launch.
    pub chain_id: &'a ChainId,
}

/// The ports of all these consumers, without collisions; see the module.
///
/// A validator that runs only some of them still has to pass all, or it would compute other ports
/// than its peers.
#[must_use]
pub fn allocate<'a>(claims: impl IntoIterator<Item = Claim<'a>>) -> BTreeMap<ConsumerId, Ports> {
    let mut claims: Vec<_> = claims.into_iter().collect();
    claims.sort_by_key(|claim| order(claim.launched, claim.consumer_id));
    let own = claims
        .iter()
        .map(|claim| (claim.consumer_id, Offset::of(claim.chain_id)));
    let places = Allocation::new(own).places.into_iter();
    places.map(|(id, place)| (id, place.ports())).collect()
}

/// Who comes first: see [`Claim`].
pub(crate) const fn order(launched: Option<Height>, id: ConsumerId) -> (bool, Height, ConsumerId) {
    match launched {
        Some(height) => (false, height, id),
        None => (true, Height(0), id),
    }
}

/// Where a node listens: its offset, and by how much its RPC and REST ports are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    offset: Offset,
    moved: u16,
}

impl Place {
    /// Where the formula puts it.
    pub(crate) const fn new(offset: Offset) -> Self {
        Self { offset, moved: 0 }
    }

    /// The same with this P2P port and what goes with it, if an offset has it.
    pub(crate) fn with_p2p(self, port: u16) -> Self {
        let offset = Offset::of_p2p(port).unwrap_or(self.offset);
        Self { offset, ..self }
    }

    pub(crate) const fn ports(self) -> Ports {
        let ports = self.offset.ports();
        Ports {
            rpc: ports.rpc + self.moved,
            rest: ports.rest + self.moved,
            ..ports
        }
    }
}

/// The places of all launched consumers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocation {
    places: BTreeMap<ConsumerId, Place>,
    offsets: BTreeSet<Offset>,
    /// The RPC and REST ports that are taken.
    http: BTreeSet<u16>,
}

impl Allocation {
    /// The places of these, in the order of their launch, each with its own offset.
    pub(crate) fn new(claims: impl IntoIterator<Item = (ConsumerId, Offset)>) -> Self {
        let mut all = Self::default();
        for (id, own) in claims {
            let place = all.next(own);
            let Ports { rpc, rest, .. } = place.ports();
            all.offsets.insert(place.offset);
            all.http.extend([rpc, rest]);
            all.places.insert(id, place);
        }
        all
    }

    pub(crate) fn of(&self, id: ConsumerId) -> Option<Place> {
        self.places.get(&id).copied()
    }

    /// The place that comes after this one and is no other consumer's.
    pub(crate) fn after(&self, place: Place) -> Place {
        self.next(place.offset.next())
    }

    /// The place of one with this offset that launches next.
    pub(crate) fn next(&self, own: Offset) -> Place {
        let mut place = Place::new(own);
        if self.offsets.len() >= usize::from(Offset::COUNT) {
            return place;
        }
        while self.offsets.contains(&place.offset) {
            place.offset = place.offset.next();
        }
        // Each of the two others that can be in its way takes one of three.
        let is_taken = |place: &Place| {
            let Ports { rpc, rest, .. } = place.ports();
            self.http.contains(&rpc) || self.http.contains(&rest)
        };
        while is_taken(&place) {
            place.moved += 1;
        }
        place
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConsumerId, Place)> + '_ {
        self.places.iter().map(|(id, place)| (*id, *place))
    }
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
            launched: Some(Height(launched)),
            consumer_id: ConsumerId::new(number),
            chain_id,
        };
        let ports = allocate([claim(9, 0, &second), claim(5, 7, &first)]);
        assert_eq!(ports[&ConsumerId::new(7)], Offset(243).ports());
        assert_eq!(ports[&ConsumerId::new(0)], Offset(244).ports());
    }
}
