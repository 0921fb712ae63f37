//! What a transaction may cost: decimals, gas prices, the fee and its cap, all in integers.

use std::fmt;
use std::str::FromStr;

use ics_core::failure::Failure;
use ics_core::snapshot::Decimal;

/// The price of one unit of gas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GasPrice {
    /// How much of the coin.
    pub amount: Decimal,
    /// Which coin.
    pub denom: String,
}

impl FromStr for GasPrice {
    type Err = Failure;

    /// Reads a price as the node's `minimum-gas-prices` has it, such as `0.025uatom`.
    ///
    /// A denom is a letter and 2 to 127 of `[a-zA-Z0-9/:._-]` (`types/coin.go` of the SDK).
    fn from_str(text: &str) -> Result<Self, Failure> {
        let start = text
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (amount, denom) = text.split_at(start);
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"/:._-".contains(&b);
        match Decimal::parse(amount) {
            Some(amount) if (3..=128).contains(&denom.len()) && denom.bytes().all(legal) => {
                Ok(Self {
                    amount,
                    denom: denom.to_owned(),
                })
            }
            _ => Err(Failure::permanent(format!(
                "{text:?} is not a gas price: write it like 0.025uatom"
            ))),
        }
    }
}

impl fmt::Display for GasPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.amount, self.denom)
    }
}

/// What the operator is willing to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeSettings {
    /// The price of one unit of gas.
    pub gas_price: GasPrice,
    /// The gas limit as a multiple of the gas that the simulation used; below 1 counts as 1.
    pub gas_adjustment: Decimal,
    /// The most that one transaction may cost, in the denom of the gas price.
    pub max_fee: u128,
}

impl FeeSettings {
    /// The gas limit for a transaction that used this much in the simulation.
    pub(super) fn gas_limit(&self, used: u64) -> u64 {
        let limit = self.gas_adjustment.times_rounded_up(used);
        // What does not fit makes a fee far above any cap.
        let limit = limit.and_then(|limit| u64::try_from(limit).ok());
        limit.unwrap_or(u64::MAX).max(used)
    }

    /// The fee for a gas limit, in the denom of the gas price.
    ///
    /// # Errors
    /// A permanent failure if it is above the cap.
    pub(super) fn fee(&self, gas_limit: u64) -> Result<u128, Failure> {
        let fee = self.gas_price.amount.times_rounded_up(gas_limit);
        let above = || {
            Failure::permanent(format!(
                "a fee of {}{denom} ({gas_limit} gas at {}) is above max_fee {}{denom}: raise max_fee or lower gas_price",
                fee.map_or_else(|| "too many ".to_owned(), |fee| fee.to_string()),
                self.gas_price,
                self.max_fee,
                denom = self.gas_price.denom,
            ))
        };
        fee.filter(|fee| *fee <= self.max_fee).ok_or_else(above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ics_core::failure::FailureKind;

    fn settings(price: &str, adjustment: &str, max_fee: u128) -> FeeSettings {
        FeeSettings {
            gas_price: price.parse().expect("a price"),
            gas_adjustment: Decimal::parse(adjustment).expect("a decimal"),
            max_fee,
        }
    }

    #[test]
    fn prices_are_read_and_written_alike() {
        for text in [
            "0.025uatom",
            "0stake",
            "1000000000.5aevmos",
            "0.000000000000000001ibc/27-A",
        ] {
            assert_eq!(text.parse::<GasPrice>().expect("a price").to_string(), text);
        }
        for bad in [
            "",
            "uatom",
            "0.025",
            ".5stake",
            "1.stake",
            "-1stake",
            "+1stake",
            "1 stake",
            "1st",
            "1stake,2atom",
            "0.0000000000000000001stake",
            "1st\u{e4}ke",
            "1.2.3stake",
            "340282366920938463463374607431768211456stake",
        ] {
            let failure = bad.parse::<GasPrice>().expect_err(bad);
            assert!(failure.message.contains("like 0.025uatom"), "{failure}");
        }
    }

    #[test]
    fn gas_and_fee_are_rounded_up() {
        let settings = settings("0.025uatom", "1.5", 1_000_000);
        assert_eq!(settings.gas_limit(100_001), 150_002);
        assert_eq!(settings.fee(150_002), Ok(3751));
        assert_eq!(settings.fee(0), Ok(0));
        assert_eq!(settings.fee(40_000_000), Ok(1_000_000));
    }

    #[test]
    fn a_fee_above_the_cap_is_refused_with_the_numbers() {
        let tight = settings("0.5stake", "0.1", 99);
        assert_eq!(tight.gas_limit(200), 200);
        let failure = tight.fee(200).expect_err("above");
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(
            failure
                .message
                .contains("100stake (200 gas at 0.5stake) is above max_fee 99stake")
        );
        let absurd = settings("100000000000000000000stake", "9", u128::MAX);
        assert_eq!(absurd.gas_limit(u64::MAX), u64::MAX);
        assert!(absurd.fee(u64::MAX).is_err());
    }
}
