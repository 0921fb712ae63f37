//! Policies and consumers drawn from any bytes: small numbers that meet often, and hostile texts.

use std::time::Duration;

use arbitrary::Unstructured;
use ics_core::artifact::Digest;
use ics_core::genesis::IcsVersion;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::{Address, PublicKey};
use ics_core::node::{Moniker, NodeSettings, Program, Resources};
use ics_core::peers::{NodeId, Published};
use ics_core::phase::Phase;
use ics_core::policy::{
    Bounds, Caps, ChainKind, GenesisSource, KeySource, Match, OptInFrom, Override, Policy,
    PunishmentBounds, Rule, Run, Verdict,
};
use ics_core::select::Share;
use ics_core::snapshot::{
    Bar, Bond, ConsumerValidator, Decimal, Infraction, InitialHeight, LocalValidator, Punishment,
    Snapshot, Standing,
};
use ics_core::time::{Height, UnixTime};

/// When everything begins.
pub(crate) const START: UnixTime = UnixTime::new(1_800_000_000, 0);

const OWNERS: [&str; 4] = ["alice", "mallory", "", "a\u{1b}[2J\nb"];
const CHAIN_IDS: [&str; 5] = [
    "chain-1",
    "chain-2",
    "../../etc",
    "\"\n[rpc]\n#",
    "\u{202e}日本-1",
];
const PATTERNS: [&str; 4] = ["chain-*", "*-1", "?hain-1", "*"];
const DETAILS: [&str; 4] = [
    "p2p=0101010101010101010101010101010101010101@a.example",
    "p2p=b.example",
    "p2p=0202020202020202020202020202020202020202@10.0.0.1 p2p.1=[::1]:5",
    "p2p=$(id)\n relayer=x",
];

/// Bytes that decide everything; where they end, the first choice is made each time.
pub(crate) struct Source<'a>(Unstructured<'a>);

impl<'a> Source<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.int_in_range(0..=end - 1).unwrap_or(0)
    }

    /// Any number at all.
    pub(crate) fn any(&mut self) -> u64 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == times - 1
    }

    pub(crate) fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        let index = self.0.choose_index(all.len()).unwrap_or(0);
        all[index].clone()
    }

    pub(crate) fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.once_in(2).then(|| draw(self))
    }

    fn some<T>(&mut self, most: u64, mut draw: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| draw(self)).collect()
    }

    fn bytes(&mut self, most: u64) -> &'a [u8] {
        let count = usize::try_from(self.below(most + 1)).unwrap_or(0);
        self.0.bytes(count.min(self.0.len())).unwrap_or_default()
    }

    /// One of these texts, or any.
    fn text(&mut self, known: &[&str]) -> String {
        if self.once_in(8) {
            return String::from_utf8_lossy(self.bytes(60)).into_owned();
        }
        self.one_of(known).to_owned()
    }

    /// Any height, also one that CometBFT's 64 bits with a sign cannot hold.
    pub(crate) fn any_height(&mut self) -> Height {
        Height(self.any())
    }

    /// Few ids, among them the last one there can be.
    pub(crate) fn id(&mut self) -> ConsumerId {
        ConsumerId::new(self.one_of(&[0, 1, 2, u64::MAX]))
    }

    pub(crate) fn key(&mut self) -> PublicKey {
        self.one_of(&[
            local().provider_key,
            PublicKey::new([2; 32]),
            PublicKey::new([3; 32]),
        ])
    }

    pub(crate) fn digest(&mut self) -> Digest {
        self.one_of(&[Digest::new([7; 32]), Digest::new([8; 32])])
    }

    /// A duration around what schedules know.
    pub(crate) fn span(&mut self) -> Duration {
        let seconds = [0, 1, 5, 30, 60, 600, 3600, 86_400, u64::MAX];
        Duration::from_secs(self.one_of(&seconds))
    }

    /// Mostly close to the beginning.
    pub(crate) fn time(&mut self) -> UnixTime {
        match self.below(8) {
            0..6 => START + Duration::from_secs(self.below(1000)),
            6 => UnixTime::GO_ZERO,
            _ => UnixTime::new(self.any().cast_signed(), 0),
        }
    }

    fn decimal(&mut self) -> Decimal {
        let digits = [
            "0",
            "50000000000000000",
            "660000000000000000",
            "1000000000000000000",
            "",
        ];
        let digits = self.one_of(&digits);
        Decimal::from_atto_digits(digits.as_bytes()).unwrap_or_default()
    }

    fn punishment(&mut self) -> Punishment {
        Punishment {
            slash: self.decimal(),
            jail: self.span(),
            tombstone: self.once_in(2),
        }
    }

    fn infraction(&mut self) -> Infraction {
        Infraction {
            double_sign: self.punishment(),
            downtime: self.punishment(),
        }
    }

    fn bounds(&mut self) -> PunishmentBounds {
        PunishmentBounds {
            slash: self.maybe(Self::decimal),
            jail: self.maybe(Self::span),
            tombstone: self.maybe(|source| source.once_in(2)),
        }
    }

    /// A hash as it may lie on chain.
    fn hash(&mut self) -> Vec<u8> {
        match self.below(4) {
            0 => self.digest().as_bytes().to_vec(),
            1 => self.digest().to_string().into_bytes(),
            2 => Vec::new(),
            _ => self.bytes(70).to_vec(),
        }
    }

    fn validator(&mut self, chain_id: &ChainId) -> ConsumerValidator {
        let who = self.below(4);
        let moniker = self.text(&["v", "v\u{7}\n", "ours"]);
        let published = Published::read(&self.text(&DETAILS), &moniker, chain_id);
        let number = u8::try_from(who).unwrap_or(0);
        let ours = local();
        let (provider_address, operator) = match who {
            0 => (ours.provider_key.address(), ours.operator),
            _ => (PublicKey::new([number; 32]).address(), address(number)),
        };
        ConsumerValidator {
            provider_address,
            operator,
            consumer_key: self.key(),
            power: self.one_of(&[0, 1, 2, u64::MAX]),
            active: self.once_in(2),
            moniker,
            published,
        }
    }

    /// A consumer as the provider could show it, or as it never would.
    pub(crate) fn snapshot(&mut self, consumer_id: ConsumerId, height: Height) -> Snapshot {
        let chain_id = ChainId::new(self.text(&CHAIN_IDS));
        let chain_id = chain_id.unwrap_or_else(|_| ChainId::new("blank").expect("a chain id"));
        Snapshot {
            height,
            consumer_id,
            phase: self.one_of(&Phase::ALL),
            owner: self.text(&OWNERS),
            spawn_time: self.maybe(Self::time),
            initial_height: InitialHeight {
                revision: self.below(3),
                height: self.below(3),
            },
            genesis_hash: self.hash(),
            binary_hash: self.hash(),
            unbonding_period: self.span(),
            trusting_period_fraction: self.decimal(),
            connection_id: self.one_of(&["", "", "", "connection-0"]).into(),
            top_n: self.one_of(&[0, 0, 50, u32::MAX]),
            infraction: self.infraction(),
            provider_infraction: self.infraction(),
            launched_at: self.maybe(|source| Height(source.below(300))),
            removal_time: self.maybe(Self::time),
            standing: (!self.once_in(8)).then(|| Standing {
                bond: self.one_of(&[Bond::Bonded, Bond::Bonded, Bond::Unbonding, Bond::Unbonded]),
                jailed: self.once_in(4),
                tombstoned: self.once_in(8),
            }),
            barred: self.one_of(&[None, None, Some(Bar::Denylist), Some(Bar::MinStake)]),
            opted_in: self.once_in(2),
            assigned_key: self.maybe(Self::key),
            validators: self.some(3, |source| source.validator(&chain_id)).into(),
            newer_provider: self.once_in(8),
            chain_id,
        }
    }

    fn run(&mut self) -> Run {
        Run {
            program: Program {
                image: "example/consumer:1".into(),
                command: vec!["/consumer-d".into(), "start".into()],
                home: "/data".into(),
            },
            resources: Resources::default(),
            genesis: GenesisSource {
                path: self
                    .one_of(&["/files/{consumer_id}.json", "{consumer_id}{consumer_id}"])
                    .into(),
                sha256: self.maybe(Self::digest),
                ics_version: self.maybe(|_| "v5.2".parse::<IcsVersion>().expect("a version")),
            },
            key: self.one_of(&[
                KeySource::Fresh,
                KeySource::Fresh,
                KeySource::Imported,
                KeySource::Provider,
            ]),
        }
    }

    fn rule(&mut self) -> Rule {
        let chain_id = self.maybe(|source| source.text(&PATTERNS).parse().ok());
        Rule {
            name: self.one_of(&["the first", "the second"]).into(),
            matches: Match {
                consumer_id: self.maybe(Self::id),
                owner: self.maybe(|source| source.text(&OWNERS)),
                any_owner: self.once_in(2),
                chain_id: chain_id.flatten(),
                kind: self.one_of(&[None, Some(ChainKind::OptIn), Some(ChainKind::TopN)]),
                genesis_hash: self.once_in(8).then(|| self.digest()),
                binary_hash: self.once_in(8).then(|| self.digest()),
            },
            verdict: self.one_of(&[Verdict::Allow, Verdict::Deny]),
            bounds: Bounds {
                double_sign: self.bounds(),
                downtime: self.bounds(),
            },
            run: self.maybe(Self::run),
        }
    }

    /// A policy, whether or not it would pass its own check.
    pub(crate) fn policy(&mut self) -> Policy {
        let settings = NodeSettings::named(Moniker::new("ours").expect("a name"));
        let cap = |source: &mut Self| u32::try_from(source.below(3)).unwrap_or(0);
        let mut policy = Policy {
            opt_in: match self.maybe(Self::span) {
                Some(lead) => OptInFrom::BeforeSpawn(lead),
                None => OptInFrom::Registered,
            },
            caps: Caps {
                consumers: self.maybe(cap),
                awaiting: self.maybe(cap),
            },
            rules: self.some(4, Self::rule),
            overrides: self
                .some(2, |source| {
                    (
                        source.id(),
                        source.one_of(&[Override::OptIn, Override::OptOut]),
                    )
                })
                .into_iter()
                .collect(),
            ..Policy::new(settings)
        };
        policy.share = self
            .maybe(|source| Share::new(source.below(3), 2))
            .flatten()
            .unwrap_or(policy.share);
        policy.node.private_peers = self.once_in(2);
        policy
    }
}

/// Our validator.
pub(crate) fn local() -> LocalValidator {
    LocalValidator {
        operator: address(9),
        chain_id: ChainId::new("provider-1").expect("a chain id"),
        provider_key: PublicKey::new([9; 32]),
        node_id: NodeId::new([1; 20]),
    }
}

pub(crate) fn address(number: u8) -> Address {
    Address::new([number; 20]).expect("20 bytes")
}
