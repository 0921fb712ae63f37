//! What validators publish: anyone can write anything there.

use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::{Address, PublicKey};
use ics_core::peers::{self, Dial, Host, NodeId, Published, Reach};
use ics_core::snapshot::{ConsumerValidator, LocalValidator};

use crate::assert_plain;

const CONSUMER: ConsumerId = ConsumerId::new(3);
const PORT: u16 = 28_746;

/// Reads each line as a validator's details, and chooses peers among these validators.
///
/// A host is read as it prints, a peer prints as one plain word, nobody is dialled under our node
/// id or twice, and what one validator publishes costs no other its peer.
///
/// # Panics
/// Where that does not hold.
pub fn details(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let validators: Vec<_> = text.lines().take(40).zip(1..).map(validator).collect();
    for word in text.split_whitespace() {
        check_host(word);
    }
    let local = LocalValidator {
        operator: Address::new([1; 20]).expect("20 bytes"),
        chain_id: ChainId::new("provider-1").expect("a chain id"),
        provider_key: PublicKey::new([1; 32]),
        node_id: NodeId::new([1; 20]),
    };
    for dial in [Dial::Public, Dial::Private] {
        let (found, problems) = peers::choose(&validators, &local, CONSUMER, PORT, dial);
        for pair in found.windows(2) {
            assert!(pair[0].node_id < pair[1].node_id, "{found:?}");
        }
        for peer in &found {
            assert_ne!(peer.node_id, local.node_id);
            assert!(dial == Dial::Private || peer.host.reach() == Reach::Public);
            let text = peer.to_string();
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"@:.-[]".contains(&b);
            assert!(text.bytes().all(plain), "{text:?}");
        }
        for (validator, problem) in problems {
            assert_plain(&format!("{} {problem}", validator.name()));
        }
        // Whoever has an id of their own is dialled, whatever the others publish.
        for alone in &validators {
            let others = validators.iter().filter(|it| it.operator != alone.operator);
            let of = |it: &ConsumerValidator| it.published.peer(CONSUMER, PORT).ok();
            let Some(peer) = of(alone) else { continue };
            let shared = others.filter_map(of).any(|it| it.node_id == peer.node_id);
            let (single, _) =
                peers::choose(std::slice::from_ref(alone), &local, CONSUMER, PORT, dial);
            assert!(shared || single.iter().all(|it| found.contains(it)));
        }
    }
}

fn validator((line, index): (&str, u8)) -> ConsumerValidator {
    // The name is hostile too, and the weak node id follows from it.
    let moniker = line.rsplit('=').next().unwrap_or_default().to_owned();
    let chain_id = ChainId::new("consumer-1").expect("a chain id");
    let published = Published::read(line, &moniker, &chain_id);
    let _read: Result<_, _> = published.relayer();
    ConsumerValidator {
        provider_address: PublicKey::new([index + 1; 32]).address(),
        operator: Address::new([index + 1; 20]).expect("20 bytes"),
        consumer_key: PublicKey::new([index + 1; 32]),
        power: u64::from(index % 3),
        active: true,
        moniker,
        published,
    }
}

fn check_host(word: &str) {
    let Some(host) = Host::parse(word) else {
        return;
    };
    let _anywhere: Reach = host.reach();
    assert_eq!(Host::parse(&host.to_string()), Some(host));
}
