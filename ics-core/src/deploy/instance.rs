//! The name of a monitor instance, from which the names of what it makes are made.

use std::fmt;
use std::str::FromStr;

use crate::failure::Failure;
use crate::id::ConsumerId;

/// The name of one monitor instance on a host: 1 to 32 of `[a-z0-9-]`.
///
/// Two validators on one platform are two instances; neither touches what the other made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance(String);

impl Instance {
    /// The instance with this name.
    ///
    /// # Errors
    /// A permanent failure if the text is not 1 to 32 of `[a-z0-9-]`.
    pub fn new(text: impl Into<String>) -> Result<Self, Failure> {
        let text = text.into();
        let plain = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
            return Ok(Self(text));
        }
        Err(Failure::permanent(format!(
            "{text:?} is not an instance name: use 1 to 32 of the characters a-z, 0-9 and -"
        )))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of all that this instance makes for a consumer, such as `ics-val-1-7`.
    ///
    /// Unambiguous although an instance may hold dashes: what follows the last dash is the id.
    #[must_use]
    pub fn object_name(&self, consumer_id: ConsumerId) -> String {
        format!("ics-{}-{consumer_id}", self.0)
    }
}

impl FromStr for Instance {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        Self::new(text)
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_short_names_are_instances() {
        let long = "a".repeat(33);
        for bad in ["", "A", "a_b", "a/b", "a b", "ä", "a\n", &long] {
            assert!(Instance::new(bad).is_err(), "{bad:?}");
        }
        let name = Instance::new("val-1").map(|it| it.object_name(ConsumerId::new(7)));
        assert_eq!(name.as_deref(), Ok("ics-val-1-7"));
    }
}
