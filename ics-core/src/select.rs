//! Which validators take part in a consumer: the published rule, in exact integers.
//!
//! Bonded validators at the height of `create_consumer`, by tokens descending, operator address
//! ascending on ties, are taken until their tokens reach target = total·share, rounded down. Every
//! monitor computes the same answer without talking to another.
//!
//! - A **jailed** validator is none of them: `x/staking` unbonds it in the block that jails it, so
//!   its tokens count neither for the total nor for the sum.
//! - A bonded validator with **zero tokens** comes last and is never taken, not even with a share
//!   of all: the target is reached before.
//! - With **no tokens** at all, or a share that rounds to nothing, nobody is taken.

use std::fmt;

use serde::Serialize;

use crate::key::Address;

/// A bonded validator of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its operator address.
    pub operator: Address,
    /// Its tokens, in the base denomination.
    pub tokens: u128,
}

/// An exact share between nothing and all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    numerator: u64,
    denominator: u64,
}

impl Share {
    /// The published share: 66 of 100.
    pub const PUBLISHED: Self = Self {
        numerator: 66,
        denominator: 100,
    };

    /// The share `numerator / denominator`; `None` unless it lies in 0..=1.
    #[must_use]
    pub const fn new(numerator: u64, denominator: u64) -> Option<Self> {
        if denominator == 0 || numerator > denominator {
            return None;
        }
        Some(Self {
            numerator,
            denominator,
        })
    }

    /// Reads `66` or `66%`, `66.5%`, `0.66`, or `2/3`, each exactly.
    ///
    /// A whole number is percent, so a decimal without `%` has to start with `0.`: `1.0` could be
    /// taken for one percent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse().ok().filter(|_: &u64| digits(text));
        if let Some((numerator, denominator)) = text.split_once('/') {
            return Self::new(number(numerator.trim())?, number(denominator.trim())?);
        }
        let (value, whole) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100),
            None if text.starts_with("0.") => (text, 1),
            None => return Self::new(number(text)?, 100),
        };
        let (units, scale, places) = match value.split_once('.') {
            None => (value, 1, 0),
            Some((units, places)) => {
                let scale = 10_u64.checked_pow(u32::try_from(places.len()).ok()?)?;
                (units, scale, number(places)?)
            }
        };
        let numerator = number(units)?.checked_mul(scale)?.checked_add(places)?;
        Self::new(numerator, scale.checked_mul(whole)?)
    }

    /// This share of `total`, rounded down.
    #[must_use]
    pub fn of(self, total: u128) -> u128 {
        // total = q·d + r, so floor(total·n/d) = q·n + floor(r·n/d), and nothing can overflow.
        let (n, d) = (u128::from(self.numerator), u128::from(self.denominator));
        total / d * n + total % d * n / d
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

/// Who was selected, and by what measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The tokens to reach.
    pub target: u128,
    /// The operators selected, in the order taken.
    pub selected: Vec<Address>,
}

/// Selects the smallest leading group of validators that holds the share.
///
/// A target of zero (no tokens, or a share that rounds to nothing) selects nobody.
#[must_use]
pub fn select(candidates: &[Candidate], share: Share) -> Selection {
    let total = candidates
        .iter()
        .fold(0_u128, |sum, c| sum.saturating_add(c.tokens));
    let target = share.of(total);
    // Texts are compared, as the rule was published: bech32 does not sort like the bytes do. The
    // prefix is the same for all, so any will do.
    let mut order: Vec<_> = candidates
        .iter()
        .map(|c| (c.tokens, c.operator.to_bech32("a"), &c.operator))
        .collect();
    order.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut selected = Vec::new();
    let mut sum = 0_u128;
    for (tokens, _, operator) in order {
        if sum >= target {
            break;
        }
        sum = sum.saturating_add(tokens);
        selected.push(operator.clone());
    }
    Selection { target, selected }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(byte: u8, tokens: u128) -> Candidate {
        Candidate {
            operator: Address::new([byte; 20]).expect("20 bytes"),
            tokens,
        }
    }

    #[test]
    fn the_group_ends_where_the_share_is_reached() {
        let all = [candidate(3, 200), candidate(1, 500), candidate(2, 300)];
        let selection = select(&all, Share::PUBLISHED);
        assert_eq!(selection.target, 660);
        assert_eq!(
            selection.selected,
            [all[1].operator.clone(), all[2].operator.clone()]
        );
    }

    #[test]
    fn ties_go_by_the_text_of_the_address() {
        // In bech32's alphabet 0 is "q" and 1 is "p": the larger byte has the smaller text.
        let (zero, eight) = (candidate(0, 10), candidate(0b0000_1000, 10));
        let selection = select(&[zero, eight.clone()], Share::new(1, 2).expect("a share"));
        assert_eq!(selection.selected, [eight.operator]);
    }

    #[test]
    fn nothing_to_reach_selects_nobody() {
        assert!(select(&[], Share::PUBLISHED).selected.is_empty());
        assert!(
            select(&[candidate(1, 1)], Share::PUBLISHED)
                .selected
                .is_empty()
        );
        assert_eq!(
            select(&[candidate(1, 2)], Share::PUBLISHED).selected.len(),
            1
        );
    }

    #[test]
    fn shares_are_read_as_percent_or_fraction() {
        assert_eq!(Share::parse("66"), Some(Share::PUBLISHED));
        assert_eq!(Share::parse("2/3"), Share::new(2, 3));
        assert_eq!(Share::parse("66%"), Some(Share::PUBLISHED));
        assert_eq!(Share::parse("66.67 %"), Share::new(6667, 10_000));
        assert_eq!(Share::parse("0.66"), Some(Share::PUBLISHED));
        assert_eq!(
            Share::parse("0.000000000000000001"),
            Share::new(1, 10_u64.pow(18))
        );
        assert_eq!(Share::parse("100%").map(|all| all.of(7)), Some(7));
        for bad in [
            "",
            "101",
            "101%",
            "3/2",
            "1/0",
            "-1",
            "+1",
            "a",
            "1.0",
            "66.5",
            ".5",
            "0.",
            "0.+1",
            "0.00000000000000000001",
            "%",
            "1/2/3",
            "2/3%",
            "18446744073709551616",
        ] {
            assert_eq!(Share::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn validators_without_tokens_are_never_taken() {
        let all = [candidate(1, 0), candidate(2, 10), candidate(3, 0)];
        let everyone = Share::new(1, 1).expect("a share");
        assert_eq!(select(&all, everyone).selected, [all[1].operator.clone()]);
        let none = select(&[candidate(1, 0), candidate(2, 0)], everyone);
        assert_eq!((none.target, none.selected), (0, Vec::new()));
        let nobody = Share::new(0, 1).expect("a share");
        assert_eq!(select(&all, nobody).selected, Vec::new());
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let share = Share::new(u64::MAX - 1, u64::MAX).expect("a share");
        // The exact quotient, computed with other means.
        assert_eq!(
            share.of(u128::MAX),
            340_282_366_920_938_463_444_927_863_358_058_659_838
        );
        let all = [candidate(1, u128::MAX), candidate(2, u128::MAX)];
        assert_eq!(select(&all, Share::PUBLISHED).selected.len(), 1);
    }

    #[test]
    fn whom_the_group_ends_with_is_needed() {
        let tokens = proptest::collection::vec(0..50_u128, 0..12);
        proptest!(|(tokens in tokens, n in 0..=40_u64)| {
            let share = Share::new(n, 40).expect("a share");
            let all: Vec<_> = (0..).zip(&tokens).map(|(byte, t)| candidate(byte, *t)).collect();
            let found = select(&all, share);
            let held = |operators: &[Address]| -> u128 {
                let of = |c: &&Candidate| operators.contains(&c.operator);
                all.iter().filter(of).map(|c| c.tokens).sum()
            };
            prop_assert!(held(&found.selected) >= found.target);
            if let Some((_, rest)) = found.selected.split_last() {
                prop_assert!(held(rest) < found.target);
            }
        });
    }
}
