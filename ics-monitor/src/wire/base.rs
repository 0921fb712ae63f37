//! Messages that several packages share: times, heights, pages, keys, descriptions.

use std::time::Duration as StdDuration;

use ics_core::key::PublicKey as CoreKey;
use ics_core::time::UnixTime;

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Timestamp {
    /// Seconds since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// The instant, unless the nanoseconds are out of range.
    #[must_use]
    pub fn to_unix(self) -> Option<UnixTime> {
        let nanos = u32::try_from(self.nanos).ok().filter(|n| *n < NANOS)?;
        Some(UnixTime::new(self.seconds, nanos))
    }
}

impl From<UnixTime> for Timestamp {
    fn from(time: UnixTime) -> Self {
        Self {
            seconds: time.seconds(),
            // `UnixTime` holds at most 999,999,999.
            nanos: time.nanos() as i32,
        }
    }
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Duration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds, of the same sign as the seconds.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// Nanoseconds in a second.
const NANOS: u32 = 1_000_000_000;

impl Duration {
    /// The duration, unless it is negative or its nanoseconds are out of range.
    #[must_use]
    pub fn to_std(self) -> Option<StdDuration> {
        let seconds = u64::try_from(self.seconds).ok()?;
        let nanos = u32::try_from(self.nanos).ok().filter(|n| *n < NANOS)?;
        Some(StdDuration::new(seconds, nanos))
    }
}

impl From<StdDuration> for Duration {
    /// Seconds above `i64::MAX` become that.
    fn from(duration: StdDuration) -> Self {
        Self {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            // Below 1,000,000,000 by definition.
            nanos: duration.subsec_nanos() as i32,
        }
    }
}

/// `ibc.core.client.v1.Height`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Height {
    /// The revision in the chain id.
    #[prost(uint64, tag = "1")]
    pub revision_number: u64,
    /// The height in that revision.
    #[prost(uint64, tag = "2")]
    pub revision_height: u64,
}

/// `cosmos.base.query.v1beta1.PageRequest`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PageRequest {
    /// Where the page starts; empty for the first.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// How many to skip, instead of a key.
    #[prost(uint64, tag = "2")]
    pub offset: u64,
    /// The most that one page may hold; 0 makes the node count everything.
    #[prost(uint64, tag = "3")]
    pub limit: u64,
    /// Whether to count everything.
    #[prost(bool, tag = "4")]
    pub count_total: bool,
    /// Whether to go from the last to the first.
    #[prost(bool, tag = "5")]
    pub reverse: bool,
}

/// `cosmos.base.query.v1beta1.PageResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PageResponse {
    /// The key of the next page; empty after the last.
    #[prost(bytes = "vec", tag = "1")]
    pub next_key: Vec<u8>,
    /// How many there are, where that was asked for.
    #[prost(uint64, tag = "2")]
    pub total: u64,
}

/// `tendermint.crypto.PublicKey` (`proto/tendermint/crypto/keys.proto` of CometBFT).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct PublicKey {
    /// The key, by its type.
    #[prost(oneof = "KeySum", tags = "1, 2")]
    pub sum: Option<KeySum>,
}

/// The types of a [`PublicKey`].
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum KeySum {
    /// 32 bytes of an ed25519 key.
    #[prost(bytes, tag = "1")]
    Ed25519(Vec<u8>),
    /// 33 bytes of a secp256k1 key.
    #[prost(bytes, tag = "2")]
    Secp256k1(Vec<u8>),
}

impl PublicKey {
    /// The key, if it is ed25519 of 32 bytes: consumers take no other as an assigned key.
    #[must_use]
    pub fn to_ed25519(&self) -> Option<CoreKey> {
        match &self.sum {
            Some(KeySum::Ed25519(bytes)) => CoreKey::from_slice(bytes).ok(),
            Some(KeySum::Secp256k1(_)) | None => None,
        }
    }
}

impl From<CoreKey> for PublicKey {
    fn from(key: CoreKey) -> Self {
        Self {
            sum: Some(KeySum::Ed25519(key.as_bytes().to_vec())),
        }
    }
}

/// `cosmos.staking.v1beta1.Description`: what a validator says of itself.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Description {
    /// Its name.
    #[prost(bytes = "vec", tag = "1")]
    pub moniker: Vec<u8>,
    /// An identity signature, such as of Keybase.
    #[prost(bytes = "vec", tag = "2")]
    pub identity: Vec<u8>,
    /// Its web site.
    #[prost(bytes = "vec", tag = "3")]
    pub website: Vec<u8>,
    /// Whom to tell of a weakness.
    #[prost(bytes = "vec", tag = "4")]
    pub security_contact: Vec<u8>,
    /// Anything else; peers are published here.
    #[prost(bytes = "vec", tag = "5")]
    pub details: Vec<u8>,
}
