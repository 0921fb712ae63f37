//! The text for a validator's staking `details`: what stands there, with our entries in it.

use std::fmt;
use std::num::NonZeroU16;

use super::published::{Key, entry, is_gap};
use super::{Host, NodeId};
use crate::id::ConsumerId;
use crate::key::Address;

/// How many bytes details may have, `MaxDetailsLength` of the SDK's staking module.
const MAX_DETAILS: usize = 280;

/// A word to publish; see [`Published`](super::Published) for what each says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Where the node of one consumer listens.
    Elsewhere {
        /// Which consumer's.
        consumer_id: ConsumerId,
        /// `None`: at the host that stands for all consumers.
        host: Option<Host>,
        /// On which P2P port.
        port: NonZeroU16,
    },
    /// Where all nodes are.
    Node {
        /// What they answer with.
        node_id: NodeId,
        /// Where.
        host: Host,
    },
    /// Who relays.
    Relayer {
        /// The relayer's account.
        account: Address,
        /// Its bech32 prefix.
        prefix: String,
    },
}

/// Details that the chain would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the details would have {bytes} bytes, {} more than the chain takes: {ours} of them are ours, \
     the other text has {}: shorten the longer of both, ours by a shorter host or fewer \
     p2p.<consumer id>= entries",
    bytes - MAX_DETAILS,
    bytes - ours
)]
pub struct TooLong {
    /// How many bytes there would be.
    pub bytes: usize,
    /// How many of them our entries take.
    pub ours: usize,
}

impl Entry {
    const fn key(&self) -> Key {
        match self {
            Self::Elsewhere { consumer_id, .. } => Key::Elsewhere(*consumer_id),
            Self::Node { .. } => Key::Node,
            Self::Relayer { .. } => Key::Relayer,
        }
    }

    /// The details with these entries in place of those that say the same, or after all others.
    ///
    /// Everything else is kept as it stands. Of two entries that say the same the first counts.
    ///
    /// # Errors
    /// If the result is longer than the chain takes.
    pub fn set_in(details: &str, entries: &[Self]) -> Result<String, TooLong> {
        let mut text = String::new();
        let mut placed = vec![false; entries.len()];
        for piece in details.split_inclusive(is_gap) {
            let (word, gap) = match piece.char_indices().last() {
                Some((at, last)) if is_gap(last) => piece.split_at(at),
                _ => (piece, ""),
            };
            let key = entry(word).map(|(key, _)| key);
            let ours = entries.iter().position(|ours| Some(ours.key()) == key);
            match ours {
                None => text.push_str(word),
                Some(which) if !placed[which] => {
                    text.push_str(&entries[which].to_string());
                    placed[which] = true;
                }
                // A second one would make both unclear; its gap goes with it.
                Some(_) => continue,
            }
            text.push_str(gap);
        }
        for (which, ours) in entries.iter().enumerate() {
            let earlier = &entries[..which];
            if placed[which] || earlier.iter().any(|other| other.key() == ours.key()) {
                continue;
            }
            if text.chars().next_back().is_some_and(|last| !is_gap(last)) {
                text.push(' ');
            }
            text.push_str(&ours.to_string());
        }
        if text.len() <= MAX_DETAILS {
            return Ok(text);
        }
        let ours = entries.iter().map(|ours| ours.to_string().len()).sum();
        let bytes = text.len();
        Err(TooLong { bytes, ours })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key().fmt(f)?;
        match self {
            Self::Elsewhere { host, port, .. } => {
                if let Some(host) = host {
                    host.fmt(f)?;
                }
                write!(f, ":{port}")
            }
            Self::Node { node_id, host } => write!(f, "{node_id}@{host}"),
            Self::Relayer { account, prefix } => f.write_str(&account.to_bech32(prefix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Problem, Published};
    use super::*;
    use crate::id::ChainId;

    fn node(host: &str) -> Entry {
        Entry::Node {
            node_id: NodeId::new([0xab; 20]),
            host: Host::parse(host).expect("a host"),
        }
    }

    fn elsewhere(host: Option<&str>, port: u16) -> Entry {
        Entry::Elsewhere {
            consumer_id: ConsumerId::new(3),
            host: host.map(|host| Host::parse(host).expect("a host")),
            port: NonZeroU16::new(port).expect("a port"),
        }
    }

    fn relayer() -> Entry {
        Entry::Relayer {
            account: Address::new([5; 20]).expect("20 bytes"),
            prefix: "cosmos".into(),
        }
    }

    /// What others read, as our node of consumer 3 and our relayer.
    fn others_read(details: &str) -> (Result<String, Problem>, Result<bool, Problem>) {
        let chain_id = ChainId::new("consumer-1").expect("a chain id");
        let published = Published::read(details, "", &chain_id);
        let peer = published.peer(ConsumerId::new(3), 1);
        let has_relayer = published.relayer().map(|found| found.is_some());
        (peer.map(|peer| peer.to_string()), has_relayer)
    }

    #[test]
    fn entries_come_after_other_text_or_in_place_of_their_own() {
        let ours = node("a.example");
        for (before, after) in [
            ("", ours.to_string()),
            ("We validate.", format!("We validate. {ours}")),
            ("We validate.\n", format!("We validate.\n{ours}")),
            ("p2p=old;  more", format!("{ours};  more")),
            ("a p2p=old, b p2p=older c", format!("a {ours}, b c")),
            ("p2p.4=:5 p2p.3=:5", format!("p2p.4=:5 p2p.3=:5 {ours}")),
        ] {
            let entries = std::slice::from_ref(&ours);
            assert_eq!(Entry::set_in(before, entries), Ok(after), "{before:?}");
        }
        let both = [ours.clone(), elsewhere(None, 9)];
        let text = Entry::set_in("p2p.3=:5 é", &both);
        assert_eq!(text, Ok(format!("p2p.3=:9 é {ours}")));
    }

    #[test]
    fn of_two_entries_that_say_the_same_the_first_counts() {
        let entries = [elsewhere(None, 8), elsewhere(None, 9)];
        for before in ["", "p2p.3=:5", "p2p.3=:5,p2p.3=:6"] {
            let text = Entry::set_in(before, &entries).expect("short");
            assert_eq!(text.trim_end_matches(','), "p2p.3=:8", "{before:?}");
        }
    }

    #[test]
    fn what_the_chain_would_refuse_is_refused_with_how_much_to_cut() {
        let ours = node("a.example");
        let bytes = ours.to_string().len();
        let longest = "x".repeat(MAX_DETAILS - bytes - 1);
        let set = |details: &str| Entry::set_in(details, std::slice::from_ref(&ours));
        assert_eq!(set(&longest).map(|text| text.len()), Ok(MAX_DETAILS));
        let error = set(&format!("{longest}éé")).expect_err("too long");
        assert_eq!((error.bytes, error.ours), (284, bytes));
        assert!(error.to_string().contains(", 4 more than"), "{error}");
    }

    /// Text in which words that look like ours stand among any others.
    fn details() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            "[a-cé=.]{1,4}",
            "(p2p|p2p\\.3|p2p\\.4|p2p\\.03|relayer)=[ab@:1]{0,3}",
            "\\PC{0,6}",
        ];
        let piece = (word, "[ ,;|\n]{1,2}").prop_map(|(word, gap)| word + &gap);
        let pieces = prop::collection::vec(piece, 0..6);
        (pieces, "[a-c]{0,2}").prop_map(|(pieces, last)| pieces.concat() + &last)
    }

    proptest! {
        #[test]
        fn what_is_set_is_what_others_read_and_all_else_is_kept(
            details in details(),
            other_host in prop::option::of(prop_oneof![Just("b.example"), Just("1.1.1.1")]),
            port in 1_u16..,
            with_relayer: bool,
        ) {
            let mut entries = vec![node("[2606:4700::1]"), elsewhere(other_host, port)];
            entries.extend(with_relayer.then(relayer));
            let text = Entry::set_in(&details, &entries).expect("short");

            let (peer, has_relayer) = others_read(&text);
            let host = other_host.unwrap_or("[2606:4700::1]");
            let node_id = NodeId::new([0xab; 20]);
            prop_assert_eq!(peer, Ok(format!("{node_id}@{host}:{port}")));
            if with_relayer {
                prop_assert_eq!(has_relayer, Ok(true));
            }
            prop_assert_eq!(Entry::set_in(&text, &entries), Ok(text.clone()));

            let is_ours = |word: &str| {
                let key = entry(word).map(|(key, _)| key);
                entries.iter().any(|ours| Some(ours.key()) == key)
            };
            let others = |text: &str| {
                let words = text.split(is_gap).filter(|word| !word.is_empty() && !is_ours(word));
                words.map(str::to_owned).collect::<Vec<_>>()
            };
            prop_assert_eq!(others(&text), others(&details));
            if !details.split(is_gap).any(is_ours) {
                prop_assert!(text.starts_with(&details));
            }
        }
    }
}
