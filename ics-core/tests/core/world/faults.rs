//! What goes wrong, by seed.

use std::time::Duration;

/// Numbers that look random and are the same for the same seed (splitmix64).
#[derive(Clone)]
pub(crate) struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True in this many of a thousand cases.
    pub(crate) fn is(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.below(1000) < per_mille
    }
}

/// How often what goes wrong, in thousandths, as long as faults last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// For how long from the start.
    pub(crate) last: Duration,
    /// A block's events do not arrive, though the block does.
    pub(crate) events_lost: u64,
    /// A block is not shown, so that the next one comes after a gap.
    pub(crate) blocks_lost: u64,
    /// Headers stop for half a minute.
    pub(crate) silences: u64,
    /// A block is shown again, or an old one.
    pub(crate) repeats: u64,
    /// A reading is answered from two blocks before.
    pub(crate) behind: u64,
    /// An action fails and did nothing.
    pub(crate) transient: u64,
    /// An action fails for good and did nothing.
    pub(crate) permanent: u64,
    /// An action's result is not known; half of them happened.
    pub(crate) unknown: u64,
    /// An outcome never comes; half of them happened.
    pub(crate) lost: u64,
    /// An outcome comes twice.
    pub(crate) doubled: u64,
    /// An action or its outcome takes up to 40 s.
    pub(crate) slow: u64,
    /// The machine is thrown away before an input and built anew.
    pub(crate) crashes: u64,
    /// The wall clock jumps by up to an hour, either way.
    pub(crate) jumps: u64,
}
