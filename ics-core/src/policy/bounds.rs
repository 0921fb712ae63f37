//! How hard the owner of a consumer may punish those who validate it.
//!
//! `ValidateInfractionParameters` of the provider's `types/msg.go` lets an owner take all of the
//! stake, and jail for ever, for not signing. Until launch a change takes effect at once.

use std::time::Duration;

use crate::snapshot::{Decimal, Infraction, Punishment};

/// The hardest punishments that a rule accepts. What it does not say is bounded by what the
/// provider itself does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// For signing twice at one height.
    pub double_sign: PunishmentBounds,
    /// For not signing.
    pub downtime: PunishmentBounds,
}

/// The hardest accepted form of one punishment; `None`: the provider's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PunishmentBounds {
    /// The share of the stake that is lost.
    pub slash: Option<Decimal>,
    /// How long the validator is jailed. Where it may be tombstoned, and no bound on this is
    /// written, any time is accepted: a tombstone is for ever.
    pub jail: Option<Duration>,
    /// Whether the validator may be kept from ever returning.
    pub tombstone: Option<bool>,
}

impl Bounds {
    /// Names the first punishment that is harder than accepted, and by what measure.
    pub(super) fn excess(&self, asked: &Infraction, provider: &Infraction) -> Option<String> {
        let double_sign = || {
            let bounds = &self.double_sign;
            bounds.excess("double-sign", &asked.double_sign, &provider.double_sign)
        };
        let downtime = || {
            let bounds = &self.downtime;
            bounds.excess("downtime", &asked.downtime, &provider.downtime)
        };
        double_sign().or_else(downtime)
    }
}

impl PunishmentBounds {
    fn excess(&self, name: &str, asked: &Punishment, provider: &Punishment) -> Option<String> {
        let whose = |written| {
            if written {
                "the rule's bound"
            } else {
                "the provider's own"
            }
        };
        let slash = self.slash.unwrap_or(provider.slash);
        if asked.slash > slash {
            return Some(format!(
                "its {name} slash fraction {} exceeds {}, {slash}",
                asked.slash,
                whose(self.slash.is_some()),
            ));
        }
        let tombstone = self.tombstone.unwrap_or(provider.tombstone);
        if asked.tombstone && !tombstone {
            return Some(format!(
                "its {name} punishment tombstones, which exceeds {}",
                whose(self.tombstone.is_some()),
            ));
        }
        let jail = self.jail.unwrap_or(provider.jail);
        if asked.jail > jail && (self.jail.is_some() || !tombstone) {
            return Some(format!(
                "its {name} jail time {:?} exceeds {}, {jail:?}",
                asked.jail,
                whose(self.jail.is_some()),
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> Infraction {
        Infraction {
            double_sign: punishment(5, u64::MAX, true),
            downtime: punishment(1, 600, false),
        }
    }

    fn percent(percent: u64) -> Decimal {
        Decimal::parse(&format!("0.{percent:02}")).expect("a decimal")
    }

    fn punishment(slash: u64, jail: u64, tombstone: bool) -> Punishment {
        Punishment {
            slash: percent(slash),
            jail: Duration::from_secs(jail),
            tombstone,
        }
    }

    fn downtime(asked: Punishment, bounds: PunishmentBounds) -> Option<String> {
        let asked = Infraction {
            downtime: asked,
            ..provider()
        };
        let bounds = Bounds {
            downtime: bounds,
            ..Bounds::default()
        };
        bounds.excess(&asked, &provider())
    }

    #[test]
    fn what_the_provider_does_itself_is_accepted() {
        assert_eq!(Bounds::default().excess(&provider(), &provider()), None);
        let milder = Infraction::default();
        assert_eq!(Bounds::default().excess(&milder, &provider()), None);
    }

    #[test]
    fn what_is_harder_than_the_providers_own_is_named() {
        for (asked, words) in [
            (
                punishment(2, 600, false),
                "slash fraction 0.02 exceeds the provider's own, 0.01",
            ),
            (
                punishment(1, 601, false),
                "jail time 601s exceeds the provider's own, 600s",
            ),
            (
                punishment(0, 0, true),
                "tombstones, which exceeds the provider's own",
            ),
        ] {
            let excess = downtime(asked, PunishmentBounds::default()).expect("too hard");
            assert!(excess.contains(words), "{excess}");
            assert!(excess.starts_with("its downtime"), "{excess}");
        }
    }

    #[test]
    fn a_rule_may_accept_more_or_less() {
        let wide = PunishmentBounds {
            slash: Some(percent(2)),
            jail: Some(Duration::from_secs(601)),
            tombstone: Some(true),
        };
        assert_eq!(downtime(punishment(2, 601, true), wide), None);
        let excess = downtime(punishment(3, 0, false), wide).expect("too hard");
        assert!(
            excess.contains("0.03 exceeds the rule's bound, 0.02"),
            "{excess}"
        );
        let narrow = PunishmentBounds {
            slash: Some(Decimal::default()),
            ..PunishmentBounds::default()
        };
        assert!(downtime(provider().downtime, narrow).is_some());
    }

    #[test]
    fn where_a_tombstone_is_accepted_no_jail_time_is_longer() {
        let asked = Infraction {
            double_sign: punishment(5, u64::MAX, false),
            ..provider()
        };
        let tombstoning = Infraction {
            double_sign: punishment(5, 600, true),
            ..provider()
        };
        assert_eq!(Bounds::default().excess(&asked, &tombstoning), None);
        let written = Bounds {
            double_sign: PunishmentBounds {
                jail: Some(Duration::from_secs(600)),
                ..PunishmentBounds::default()
            },
            ..Bounds::default()
        };
        let excess = written.excess(&asked, &tombstoning).expect("too long");
        assert!(excess.starts_with("its double-sign jail time"), "{excess}");
    }
}
