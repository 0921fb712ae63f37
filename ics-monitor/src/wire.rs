//! The protobuf messages of interchain-security v7, as the provider sends and takes them.
//!
//! They are our own because a decoder drops the fields that it does not know without a word, and
//! published Rust types are of older versions: a genesis that lost a field would start another
//! chain. Each message cites its file; paths are inside the repository of that package.
//! Texts that a stranger chose are `Vec<u8>`: protobuf's UTF-8 rule is not enforced by the chain,
//! and one bad byte must not hide a whole page of consumers.

pub mod base;
pub mod genesis;
pub mod genesis_json;
pub mod provider;
pub mod query;
pub mod sdk;
pub mod tx;

use ics_core::failure::Failure;
use prost::Message;

/// A decoded message, and whether these types know all of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded<M> {
    /// Encoding it again gives the same bytes.
    Exact(M),
    /// It carried something that these types do not: whoever sent it is newer.
    Newer(M),
}

impl<M> Decoded<M> {
    /// The message, and whether its sender is newer.
    pub fn into_parts(self) -> (M, bool) {
        match self {
            Self::Exact(message) => (message, false),
            Self::Newer(message) => (message, true),
        }
    }
}

/// Decodes a message and tells whether it was understood to the last byte.
///
/// `name` says in a failure what was read. Comparing bytes is right because the provider encodes
/// like `prost`: fields in the order of their numbers, defaults left out.
///
/// # Errors
/// Permanent, if the bytes are no such message.
pub fn decode<M: Message + Default>(name: &str, bytes: &[u8]) -> Result<Decoded<M>, Failure> {
    let message = decode_known::<M>(name, bytes)?;
    if message.encoded_len() == bytes.len() && message.encode_to_vec() == bytes {
        Ok(Decoded::Exact(message))
    } else {
        Ok(Decoded::Newer(message))
    }
}

/// Decodes a message that must be understood to the last byte.
///
/// # Errors
/// Permanent, if the bytes are no such message or carry anything more.
pub fn decode_exact<M: Message + Default>(name: &str, bytes: &[u8]) -> Result<M, Failure> {
    match decode(name, bytes)? {
        Decoded::Exact(message) => Ok(message),
        Decoded::Newer(_) => Err(Failure::permanent(format!(
            "{name}: its {} bytes hold fields that this program does not know; upgrade it to a \
             version for this provider",
            bytes.len()
        ))),
    }
}

/// Decodes the fields that these types have and skips all others.
///
/// # Errors
/// Permanent, if the bytes are no such message.
pub fn decode_known<M: Message + Default>(name: &str, bytes: &[u8]) -> Result<M, Failure> {
    M::decode(bytes).map_err(|error| {
        Failure::permanent(format!(
            "{name}: {} bytes are not the protobuf of interchain-security v7 ({error}); is this \
             the RPC address of a provider?",
            bytes.len()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::query::QueryConsumerChainRequest;
    use super::*;

    #[test]
    fn an_unknown_field_is_noticed() {
        let message = QueryConsumerChainRequest {
            consumer_id: "0".into(),
        };
        let mut bytes = message.encode_to_vec();
        assert_eq!(decode("m", &bytes), Ok(Decoded::Exact(message.clone())));
        assert_eq!(decode_exact("m", &bytes), Ok(message.clone()));

        // Field 15, a varint of 1.
        bytes.extend([0x78, 1]);
        assert_eq!(decode("m", &bytes), Ok(Decoded::Newer(message.clone())));
        assert!(decode_exact::<QueryConsumerChainRequest>("m", &bytes).is_err());
        assert_eq!(decode_known("m", &bytes), Ok(message));
    }

    #[test]
    fn a_field_in_another_encoding_is_not_exact() {
        // An empty string that is written out: legal protobuf, but not what the chain stores.
        let decoded = decode::<QueryConsumerChainRequest>("m", &[0x0a, 0]);
        assert!(matches!(decoded, Ok(Decoded::Newer(_))));
    }

    #[test]
    fn broken_bytes_are_refused() {
        for bytes in [&[0x0a, 5, b'x'][..], &[0xff; 11], &[0x0a, 1, 0xff]] {
            assert!(decode::<QueryConsumerChainRequest>("m", bytes).is_err());
        }
    }
}
