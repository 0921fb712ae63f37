//! Bech32 addresses of one account under different prefixes.

use bech32::{Bech32, Hrp};

use crate::Error;

/// Writes the account behind `address` with another prefix, such as `cosmosvaloper`.
///
/// # Errors
/// When the address is not bech32, or the prefix not fit for it.
pub fn with_prefix(address: &str, prefix: &str) -> Result<String, Error> {
    let wrong = |cause: &dyn std::fmt::Display| {
        Error::Reply(format!("address {address} with prefix {prefix}: {cause}"))
    };
    let (_, bytes) = bech32::decode(address).map_err(|e| wrong(&e))?;
    let prefix = Hrp::parse(prefix).map_err(|e| wrong(&e))?;
    bech32::encode::<Bech32>(prefix, &bytes).map_err(|e| wrong(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_agrees_on_the_operator_address() -> Result<(), Error> {
        let account = "cosmos1euvx7wtr9amt2439cca8u4xhnrwwpxmd39rsl9";
        let operator = "cosmosvaloper1euvx7wtr9amt2439cca8u4xhnrwwpxmd53h9nk";
        assert_eq!(with_prefix(account, "cosmosvaloper")?, operator);
        Ok(())
    }
}
