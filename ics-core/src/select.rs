//! Which validators take part in a consumer: the published rule, in exact integers.
//!
//! Bonded validators at the height of `create_consumer`, by tokens descending, operator address
//! ascending on ties, are taken until their tokens reach target = total·share, rounded down. Every
//! monitor computes the same answer without talking to another.

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
    numerator: u32,
    denominator: u32,
}

impl Share {
    /// The published share: 66 of 100.
    pub const PUBLISHED: Self = Self {
        numerator: 66,
        denominator: 100,
    };

    /// The share `numerator / denominator`; `None` unless it lies in 0..=1.
    #[must_use]
    pub const fn new(numerator: u32, denominator: u32) -> Option<Self> {
        if denominator == 0 || numerator > denominator {
            return None;
        }
        Some(Self {
            numerator,
            denominator,
        })
    }

    /// Reads `66`, which means percent, or `2/3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "100"));
        Self::new(
            numerator.trim().parse().ok()?,
            denominator.trim().parse().ok()?,
        )
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
        for bad in ["", "101", "3/2", "1/0", "-1", "0.66", "a"] {
            assert_eq!(Share::parse(bad), None, "{bad:?}");
        }
    }
}
