//! The labels that say whose a container or volume is and what it was made from.

use std::collections::BTreeMap;

use ics_core::deploy::{Instance, NodeSigner};
use ics_core::id::ConsumerId;

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// The monitor instance that made the object.
pub(crate) const INSTANCE: &str = "ics-monitor.instance";
/// The consumer it belongs to.
pub(crate) const CONSUMER: &str = "ics-monitor.consumer-id";
/// The chain id, escaped, for people.
pub(crate) const CHAIN: &str = "ics-monitor.chain-id";
/// The digest of the spec that a container was made from.
pub(crate) const SPEC: &str = "ics-monitor.spec";
/// The digest of the genesis of a container or volume.
pub(crate) const GENESIS: &str = "ics-monitor.genesis";
/// The P2P port of a container.
pub(crate) const P2P_PORT: &str = "ics-monitor.p2p-port";
/// The consensus key that was asked for, in base64, whether the container got it or not.
pub(crate) const KEY: &str = "ics-monitor.consensus-key";
/// What a container signs with, see [`NodeSigner::to_label`].
pub(crate) const SIGNER: &str = "ics-monitor.signer";
/// The random storage id of a volume.
pub(crate) const STORAGE: &str = "ics-monitor.storage";
/// The image with which a volume can be looked into when its container is gone.
pub(crate) const IMAGE: &str = "ics-monitor.image";

/// The labels of all that an instance made.
pub(crate) fn of_instance(instance: &Instance) -> Labels {
    Labels::from([(INSTANCE.to_owned(), instance.to_string())])
}

/// The labels of all that an instance made for one consumer.
pub(crate) fn of_consumer(instance: &Instance, consumer_id: ConsumerId) -> Labels {
    let mut labels = of_instance(instance);
    labels.insert(CONSUMER.to_owned(), consumer_id.to_string());
    labels
}

/// Whether an object with these labels was made by this instance for this consumer.
pub(crate) fn are_ours(labels: &Labels, instance: &Instance, consumer_id: ConsumerId) -> bool {
    of_consumer(instance, consumer_id)
        .iter()
        .all(|(name, value)| labels.get(name) == Some(value))
}

/// The value of a label in the type that it should have; `None` if it is missing or malformed.
pub(crate) fn read<T>(
    labels: &Labels,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    labels.get(name).and_then(|text| parse(text))
}

/// The signer that a label says.
pub(crate) fn signer_of(labels: &Labels) -> NodeSigner {
    let text = labels.get(SIGNER);
    text.map_or(NodeSigner::None, |text| NodeSigner::from_label(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_instance_and_consumer_make_it_ours() {
        let ours = Instance::new("a").expect("a name");
        let other = Instance::new("b").expect("a name");
        let labels = of_consumer(&ours, ConsumerId::new(1));
        assert!(are_ours(&labels, &ours, ConsumerId::new(1)));
        assert!(!are_ours(&labels, &ours, ConsumerId::new(2)));
        assert!(!are_ours(&labels, &other, ConsumerId::new(1)));
        assert!(!are_ours(&Labels::new(), &ours, ConsumerId::new(1)));
    }
}
