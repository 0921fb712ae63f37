//! A deployer and a key store in memory, which notice what must never happen.

use std::collections::{BTreeMap, BTreeSet};

use ics_core::deploy::{NodeSigner, NodeState, NodeStatus};
use ics_core::failure::Failure;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::PublicKey;
use ics_core::keystore::{KeyOrigin, KeyRef, signed_for};
use ics_core::node::{NodeSpec, Signer};
use ics_core::ports::Ports;

use super::chain::{local, provider_key};

/// All nodes of our instance.
#[derive(Clone, Default)]
pub(crate) struct Nodes {
    pub(crate) all: BTreeMap<ConsumerId, NodeStatus>,
    /// What was last asked to run.
    pub(crate) specs: BTreeMap<ConsumerId, NodeSpec>,
    pub(crate) deleted: BTreeSet<ConsumerId>,
    pub(crate) wrong: Vec<String>,
    /// For whom each key has signed under each chain id.
    signed: BTreeSet<(PublicKey, ChainId, ConsumerId)>,
}

/// Durable keys of each consumer, in the order of their making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    all: BTreeMap<ConsumerId, Vec<(PublicKey, Standing)>>,
    imported: BTreeMap<ConsumerId, PublicKey>,
    /// For whom each key was bound under each chain id.
    bound: BTreeMap<(PublicKey, ChainId), ConsumerId>,
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Archived,
    Bound,
    Unbound,
}

impl Keys {
    pub(crate) fn prepare(
        &mut self,
        consumer_id: ConsumerId,
        origin: KeyOrigin,
    ) -> Result<KeyRef, Failure> {
        let imported = self.imported.get(&consumer_id).copied();
        let none = || Failure::permanent("no key was imported");
        let found = match origin {
            KeyOrigin::Imported => Some(imported.ok_or_else(none)?),
            KeyOrigin::Fresh => {
                let mut keys = self.all.entry(consumer_id).or_default().iter().rev();
                let unbound = keys.by_ref().filter(|it| it.1 == Standing::Unbound);
                let mut own = unbound.filter(|(key, _)| *key != provider_key(0));
                let fresh = own.find(|(key, _)| Some(*key) != imported);
                fresh.map(|(key, _)| *key)
            }
        };
        Ok(match found {
            Some(public_key) => KeyRef {
                consumer_id,
                public_key,
            },
            None => self.add(consumer_id, 1),
        })
    }

    /// A key that the operator puts into the store.
    pub(crate) fn import(&mut self, consumer_id: ConsumerId) -> PublicKey {
        let key = self.add(consumer_id, 2).public_key;
        self.imported.insert(consumer_id, key);
        key
    }

    /// Puts this key into the store as an imported one.
    pub(crate) fn import_key(&mut self, consumer_id: ConsumerId, key: PublicKey) {
        self.bring(consumer_id, key);
        self.imported.insert(consumer_id, key);
    }

    /// A key of another instance, or a copy of our provider key, brought here.
    pub(crate) fn bring(&mut self, consumer_id: ConsumerId, key: PublicKey) {
        let keys = self.all.entry(consumer_id).or_default();
        keys.push((key, Standing::Unbound));
    }

    fn add(&mut self, consumer_id: ConsumerId, kind: u8) -> KeyRef {
        let keys = self.all.entry(consumer_id).or_default();
        let mut bytes = [kind; 32];
        bytes[..8].copy_from_slice(&consumer_id.number().to_be_bytes());
        bytes[8] = u8::try_from(keys.len()).expect("few keys");
        let public_key = PublicKey::new(bytes);
        keys.push((public_key, Standing::Unbound));
        KeyRef {
            consumer_id,
            public_key,
        }
    }

    pub(crate) fn holds(&self, key: &KeyRef) -> bool {
        self.of(key.consumer_id).contains(&key.public_key)
    }

    pub(crate) fn may_sign(&self, key: &KeyRef, chain_id: &ChainId) -> bool {
        self.holds(key) && self.other(key, chain_id).is_none()
    }

    /// For whom else this key was bound under this chain id.
    fn other(&self, key: &KeyRef, chain_id: &ChainId) -> Option<ConsumerId> {
        let bound = self.bound.get(&(key.public_key, chain_id.clone())).copied();
        bound.filter(|consumer_id| *consumer_id != key.consumer_id)
    }

    /// The keys of a consumer, the oldest first.
    pub(crate) fn of(&self, consumer_id: ConsumerId) -> Vec<PublicKey> {
        let keys = self.all.get(&consumer_id).into_iter().flatten();
        keys.map(|(key, _)| *key).collect()
    }

    /// Binds a key, if there is one to bind, and archives every other that was bound.
    fn replace(&mut self, consumer_id: ConsumerId, now: Option<PublicKey>) {
        for (key, standing) in self.all.entry(consumer_id).or_default() {
            if Some(*key) == now {
                *standing = Standing::Bound;
            } else if *standing == Standing::Bound {
                *standing = Standing::Archived;
            }
        }
    }
}

impl Nodes {
    /// Makes a node run whose consumer has this set of its own.
    pub(crate) fn apply(
        &mut self,
        spec: &NodeSpec,
        keys: &mut Keys,
        own_set: &[PublicKey],
    ) -> NodeStatus {
        let id = spec.consumer_id;
        let stored = spec.signer.stored();
        let bindable = stored.filter(|key| keys.may_sign(key, &spec.chain_id));
        keys.replace(id, bindable.map(|key| key.public_key));
        if let Some(key) = bindable {
            let under = (key.public_key, spec.chain_id.clone());
            keys.bound.insert(under, id);
        }
        let signer = match spec.signer {
            Signer::None => NodeSigner::None,
            Signer::Key(key) if bindable.is_some() => NodeSigner::Key(key.public_key),
            Signer::Key(key) => NodeSigner::Withheld(match keys.other(&key, &spec.chain_id) {
                Some(other) => signed_for(other, &spec.chain_id),
                None => format!("key {} is not here", key.public_key),
            }),
            Signer::Remote { public_key, .. } => NodeSigner::Remote(public_key),
        };
        let node = NodeStatus {
            consumer_id: id,
            state: NodeState::Running,
            spec: Some(spec.digest()),
            genesis: Some(spec.genesis.digest),
            p2p_port: Some(spec.ports.p2p),
            signer,
        };
        if let Some(old) = self.all.get(&id) {
            if old.genesis != node.genesis {
                self.wrong.push(format!("consumer {id}: genesis changed"));
            }
            if let Some(key) = old.signer.key()
                && old.signer != node.signer
                && (own_set.contains(&key) || node.signer.key() == Some(key))
            {
                self.wrong
                    .push(format!("consumer {id}: {key} still counts"));
            }
            if old.p2p_port != node.p2p_port {
                self.wrong.push(format!("consumer {id}: port moved"));
            }
        }
        if let Some(other) = self.holder(id, &spec.ports) {
            let text = format!("consumers {id} and {other} listen on one port");
            self.wrong.push(text);
        }
        self.all.insert(id, node.clone());
        self.specs.insert(id, spec.clone());
        if let Some(key) = node.signer.key() {
            if self.could_sign_twice(spec, key) {
                self.wrong.push(format!("key {key} could sign twice"));
            }
            self.signed.insert((key, spec.chain_id.clone(), id));
        }
        node
    }

    /// I8: whether this key has ever signed for another consumer; our provider key, for another under
    /// the same chain id, or the provider's own.
    fn could_sign_twice(&self, spec: &NodeSpec, key: PublicKey) -> bool {
        let is_ours = key == provider_key(0);
        let mut signed = self.signed.iter();
        signed.any(|(other, chain_id, id)| {
            let named = !is_ours || *chain_id == spec.chain_id;
            *other == key && *id != spec.consumer_id && named
        }) || is_ours && spec.chain_id == local().chain_id
    }

    /// Who else listens on one of these ports.
    pub(crate) fn holder(&self, id: ConsumerId, ports: &Ports) -> Option<ConsumerId> {
        let all = |it: &Ports| [it.p2p, it.rpc, it.grpc, it.grpc_web, it.rest];
        let clashes = |spec: &NodeSpec| all(&spec.ports).iter().any(|it| all(ports).contains(it));
        let mut others = self.specs.iter().filter(|(other, _)| **other != id);
        let holder = others.find(|(other, spec)| self.runs(**other) && clashes(spec));
        holder.map(|(other, _)| *other)
    }

    pub(crate) fn stop(&mut self, id: ConsumerId) {
        if let Some(node) = self.all.get_mut(&id) {
            node.state = NodeState::Stopped;
        }
    }

    pub(crate) fn delete(&mut self, id: ConsumerId) {
        if self.all.remove(&id).is_some() {
            self.deleted.insert(id);
        }
    }

    pub(crate) fn list(&self) -> Vec<NodeStatus> {
        self.all.values().cloned().collect()
    }

    pub(crate) fn runs(&self, id: ConsumerId) -> bool {
        let node = self.all.get(&id);
        node.is_some_and(|node| node.state == NodeState::Running)
    }
}
