//! Keys and addresses as data: consensus keys, node keys, bech32 addresses.

mod address;
mod public;
mod secret;

pub use self::address::{Address, Prefixes};
pub use self::public::{Form, PublicKey};
pub use self::secret::{KeyFileError, SecretKey};

/// A text or byte string that is not the key or address it should be.
///
/// It repeats no key: what was taken for a public one may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a bech32 address.
    #[error("{text:?} is not a bech32 address: {reason}")]
    Bech32 {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An address of another kind or chain.
    #[error("{text:?} is not an address with prefix {prefix:?}: its prefix is {found:?}")]
    Prefix {
        /// What was given.
        text: String,
        /// The prefix that was expected.
        prefix: String,
        /// The prefix that it has.
        found: String,
    },
    /// Not an ed25519 public key.
    #[error("not an ed25519 public key: {0}")]
    PublicKey(String),
    /// A public key of another scheme, as its text names it.
    #[error("the key is of type {0:?}: a consumer's validators sign with ed25519 keys only")]
    Scheme(String),
}
