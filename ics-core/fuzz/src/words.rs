//! Everything that is one word: ids, addresses, hashes, times, numbers, events.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use ics_core::artifact::Digest;
use ics_core::event::Event;
use ics_core::genesis::{IcsVersion, published_digest};
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::{Address, PublicKey};
use ics_core::keystore::StorageId;
use ics_core::node::{GasPrices, Moniker};
use ics_core::peers::NodeId;
use ics_core::phase::Phase;
use ics_core::ports::Offset;
use ics_core::select::Share;
use ics_core::snapshot::Decimal;
use ics_core::time::UnixTime;

use crate::assert_plain;

/// Reads a text as everything that has a text.
///
/// What is read prints as what reads the same again, and what is shown stays on its line.
///
/// # Panics
/// Where that does not hold.
pub fn words(data: &[u8]) {
    bytes(data);
    let text = &*String::from_utf8_lossy(data);
    if let Ok(id) = text.parse::<ConsumerId>() {
        assert_eq!(id.to_string(), text);
        assert!(!text.starts_with('0') || text == "0");
    }
    chain_id(text);
    address(text);
    again::<GasPrices>(text);
    again::<IcsVersion>(text);
    if let Some(share) = Share::parse(text) {
        assert_eq!(Share::parse(&share.to_string()), Some(share));
        assert!(share.of(u128::MAX) >= share.of(u128::MAX - 1) && share.of(1) <= 1);
    }
    if let Some(decimal) = Decimal::parse(text) {
        assert_eq!(Decimal::parse(&decimal.to_string()), Some(decimal));
        let digits = decimal.to_atto_digits();
        assert_eq!(Decimal::from_atto_digits(digits.as_bytes()), Some(decimal));
    }
    if let Some(time) = UnixTime::from_rfc3339(text) {
        assert_eq!(UnixTime::from_rfc3339(&time.to_string()), Some(time));
    }
    if let Ok(moniker) = Moniker::new(text) {
        assert!(moniker.as_str().is_ascii());
    }
    if let Some(phase) = Phase::from_name(text) {
        assert!(text.ends_with(&phase.to_string()));
    }
    if let Some(storage) = StorageId::new(text) {
        assert!(!storage.to_string().contains(['/', '.', ' ']));
    }
    if let Ok(key) = PublicKey::from_base64(text) {
        assert_eq!(PublicKey::from_base64(&key.to_base64()), Ok(key));
    }
    if let Some(id) = NodeId::from_hex(text) {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
    event(text);
}

/// Reads bytes as they lie on chain, and as numbers.
fn bytes(data: &[u8]) {
    if let Some(digest) = published_digest(data) {
        assert_eq!(Digest::from_hex(&digest.to_string()), Some(digest));
        assert_eq!(published_digest(digest.as_bytes()), Some(digest));
    }
    if let Some(decimal) = Decimal::from_atto_digits(data) {
        assert_eq!(Decimal::parse(&decimal.to_string()), Some(decimal));
        let _large: (Option<u128>, Option<u128>) = (
            decimal.times_rounded_up(u64::MAX),
            decimal.times_truncated(u128::MAX),
        );
    }
    let Some((numbers, _)) = data.split_first_chunk::<24>() else {
        return;
    };
    let number = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&numbers[at..at + 8]);
        u64::from_le_bytes(eight)
    };
    let time = |at| UnixTime::new(number(at).cast_signed(), (number(at) >> 7) as u32);
    let (one, other) = (time(0), time(8));
    let (early, late) = (one.min(other), one.max(other));
    assert_eq!(early + late.since(early), late);
    assert_eq!(late - late.since(early), early);
    assert_eq!(early.since(late), Duration::ZERO);
    let far = Duration::new(number(16), 999_999_999);
    assert!((one + far).seconds() >= one.seconds() && (one - far).seconds() <= one.seconds());
    assert_plain(&one.to_string());
    if let Some(offset) = Offset::of_p2p((number(16) & 0xffff) as u16) {
        assert_eq!(Offset::of_p2p(offset.ports().p2p), Some(offset));
    }
}

fn again<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string().parse::<T>().ok(), Some(read));
    }
}

fn chain_id(text: &str) {
    let Ok(chain_id) = ChainId::new(text) else {
        return;
    };
    assert_eq!(chain_id.as_str(), text);
    assert_plain(&chain_id.to_string());
    let revision = chain_id.revision();
    assert!(revision == 0 || text.ends_with(&format!("-{revision}")));
    let ports = Offset::of(&chain_id).ports();
    assert_eq!(Offset::of_p2p(ports.p2p), Some(Offset::of(&chain_id)));
}

fn address(text: &str) {
    let Ok((prefix, address)) = Address::from_any_bech32(text) else {
        return;
    };
    assert_eq!(address.to_bech32(&prefix), text.to_lowercase());
    assert_eq!(Address::from_bech32(text, &prefix), Ok(address));
}

/// The first line names the event, each other line an attribute.
fn event(text: &str) {
    let mut lines = text.lines();
    let kind = lines.next().unwrap_or_default();
    let attributes: Vec<_> = lines.filter_map(|line| line.split_once('=')).collect();
    let read = Event::read(kind, attributes.iter().copied());
    if let Some(Event::Created(id) | Event::Touched(id)) = read {
        let id = id.to_string();
        assert!(
            attributes
                .iter()
                .any(|(key, value)| *key == "consumer_id" && *value == id)
        );
    }
}
