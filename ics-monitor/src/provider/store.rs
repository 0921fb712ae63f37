//! What is read from the provider's store directly, because no query tells it cheaply.
//!
//! Keys: `x/ccv/provider/types/keys.go` of interchain-security v7, stable since v6; a key with a
//! consumer id is a prefix byte, mostly the length of the id in 8 bytes, big-endian, and its digits.
//! A node may refuse these paths, so nothing here decides: it only says where to look and when.

use std::collections::BTreeMap;

use ics_core::id::ConsumerId;
use ics_core::phase::Phase;
use ics_core::time::UnixTime;

use crate::wire::sdk::{Pair, Pairs};

/// `ConsumerIdToPhaseKey`: the phase, a big-endian `u32` followed by four zeros.
pub(super) const PHASE_PREFIX: u8 = 0x31;

/// `ConsumerIdToRemovalTimeKey`: when a stopped consumer is to be deleted.
const REMOVAL_TIME_PREFIX: u8 = 0x32;

/// `ConsumerGenesisKey`: the launch genesis; its id has no length before it.
const GENESIS_PREFIX: u8 = 14;

/// The key of a consumer's launch genesis.
pub(super) fn genesis_key(id: ConsumerId) -> Vec<u8> {
    let mut key = vec![GENESIS_PREFIX];
    key.extend(id.to_string().as_bytes());
    key
}

/// The key of a consumer's removal time.
pub(super) fn removal_time_key(id: ConsumerId) -> Vec<u8> {
    let digits = id.to_string();
    let mut key = vec![REMOVAL_TIME_PREFIX];
    key.extend((digits.len() as u64).to_be_bytes());
    key.extend(digits.as_bytes());
    key
}

/// Reads a scan of all phases; `None` if anything in it is not as v7 writes it.
pub(super) fn phases(scan: &Pairs) -> Option<BTreeMap<ConsumerId, Phase>> {
    let entry = |pair: &Pair| {
        let id = id_in(&pair.key)?;
        let (number, zeros) = pair.value.split_first_chunk::<4>()?;
        let phase = Phase::from_number(u32::from_be_bytes(*number).into())?;
        (zeros == [0; 4]).then_some((id, phase))
    };
    scan.pairs.iter().map(entry).collect()
}

fn id_in(key: &[u8]) -> Option<ConsumerId> {
    let (prefix, rest) = key.split_first()?;
    let (length, digits) = rest.split_first_chunk::<8>()?;
    let whole = u64::from_be_bytes(*length) == digits.len() as u64;
    if *prefix != PHASE_PREFIX || !whole {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads Go's `time.Time.MarshalBinary`: a version, seconds since the year 1 and nanoseconds, both
/// big-endian, then the offset of the zone, which does not change the instant.
pub(super) fn go_time(bytes: &[u8]) -> Option<UnixTime> {
    let (version, rest) = bytes.split_first()?;
    let (seconds, rest) = rest.split_first_chunk::<8>()?;
    let (nanos, zone) = rest.split_first_chunk::<4>()?;
    let zone_len = match version {
        1 => 2,
        2 => 3,
        _ => return None,
    };
    if zone.len() != zone_len {
        return None;
    }
    let seconds = i64::from_be_bytes(*seconds).checked_add(UnixTime::GO_ZERO.seconds())?;
    let nanos = u32::from_be_bytes(*nanos);
    (nanos < 1_000_000_000).then(|| UnixTime::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> Pair {
        let bytes = |text| hex::decode(text).expect("hex");
        Pair {
            key: bytes(key),
            value: bytes(value),
        }
    }

    fn scan(pairs: &[(&str, &str)]) -> Option<BTreeMap<ConsumerId, Phase>> {
        let pairs = pairs.iter().map(|(key, value)| pair(key, value)).collect();
        phases(&Pairs { pairs })
    }

    #[test]
    fn a_scan_gives_ids_and_phases() {
        let found = scan(&[
            ("31000000000000000130", "0000000200000000"),
            ("3100000000000000023132", "0000000500000000"),
        ]);
        let expected = [
            (ConsumerId::new(0), Phase::Initialized),
            (ConsumerId::new(12), Phase::Deleted),
        ];
        assert_eq!(found, Some(expected.into()));
    }

    #[test]
    fn another_layout_is_refused_as_a_whole() {
        for bad in [
            ("31000000000000000130", "00000002"),
            ("31000000000000000130", "0000000700000000"),
            ("31000000000000000130", "0000000200000001"),
            ("31000000000000000230", "0000000200000000"),
            ("32000000000000000130", "0000000200000000"),
            ("31", "0000000200000000"),
        ] {
            assert_eq!(scan(&[bad]), None, "{bad:?}");
        }
    }

    #[test]
    fn removal_times_are_gos() {
        // 2026-11-21T08:02:22.5Z in UTC, whose offset Go writes as -1.
        let seconds = 1_795_248_142_u64 + 62_135_596_800;
        let mut bytes = vec![1];
        bytes.extend(seconds.to_be_bytes());
        bytes.extend(500_000_000_u32.to_be_bytes());
        bytes.extend([0xff, 0xff]);
        assert_eq!(
            go_time(&bytes),
            Some(UnixTime::new(1_795_248_142, 500_000_000))
        );
        assert_eq!(go_time(&bytes[..14]), None);
        assert_eq!(go_time(&[]), None);
        bytes[0] = 3;
        assert_eq!(go_time(&bytes), None);
    }
}
