//! The rule language: which rule decides, and how every decision is explained.

use ics_core::artifact::Digest;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::phase::Phase;
use ics_core::policy::{
    Bounds, ChainKind, Decision, Match, Override, Policy, PolicyError, PunishmentBounds, Rule,
    Verdict,
};
use ics_core::snapshot::{Decimal, Snapshot};
use ics_core::time::Height;
use proptest::prelude::*;

use crate::world::chain::{Ask, Chain, Record};
use crate::world::setup::{policy, rule, run};
use crate::world::{START, id};

fn snapshot(chain_id: &str, owner: &str) -> Snapshot {
    let mut chain = Chain::new(START);
    chain.ask(Ask::Create(id(7), Record::new(chain_id, owner).into()));
    chain.block(START);
    let height = Height(chain.height.0);
    let found = chain.snapshot(id(7), height).expect("a height");
    found.expect("a consumer")
}

fn with(rules: Vec<Rule>) -> Policy {
    Policy { rules, ..policy() }
}

/// A rule with this name that allows what it matches and runs nothing.
fn allow(name: &str, matches: Match) -> Rule {
    Rule {
        name: name.into(),
        matches,
        verdict: Verdict::Allow,
        bounds: Bounds::default(),
        run: None,
    }
}

fn alice() -> Match {
    Match {
        owner: Some("alice".into()),
        ..Match::default()
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let narrow = Match {
        chain_id: "test-*".parse().ok(),
        ..alice()
    };
    let rules = vec![
        Rule {
            verdict: Verdict::Deny,
            ..allow("no tests", narrow)
        },
        allow("alice", alice()),
    ];
    let decide = |chain_id| with(rules.clone()).decide(&snapshot(chain_id, "alice"));
    let (denied, allowed) = (decide("test-1"), decide("main-1"));
    assert_eq!(denied, Decision::Denied("no tests denies it".into()));
    assert_eq!(allowed, Decision::Allowed("alice allows it".into()));
}

#[test]
fn every_condition_has_to_hold() {
    let seen = Snapshot {
        top_n: 95,
        genesis_hash: vec![1; 32],
        // As the chain's own CLI leaves a digest that was given in hex.
        binary_hash: hex_read_as_base64(&"02".repeat(32)),
        ..snapshot("alice-1", "alice")
    };
    let all = Match {
        consumer_id: Some(id(7)),
        owner: Some("alice".into()),
        any_owner: false,
        chain_id: "a?ice-*".parse().ok(),
        kind: Some(ChainKind::TopN),
        genesis_hash: Digest::from_hex(&"01".repeat(32)),
        binary_hash: Digest::from_hex(&"02".repeat(32)),
    };
    let decide = |matches| with(vec![allow("all", matches)]).decide(&seen);
    assert_eq!(
        decide(all.clone()),
        Decision::Allowed("all allows it".into())
    );
    let other = Digest::from_hex(&"03".repeat(32));
    let wrong = [
        (
            Match {
                consumer_id: Some(id(8)),
                ..all.clone()
            },
            "consumer_id is 7, not 8",
        ),
        (
            Match {
                owner: Some("bob".into()),
                ..all.clone()
            },
            "owner is alice, not bob",
        ),
        (
            Match {
                owner: Some("bob\n".into()),
                ..all.clone()
            },
            "owner is alice, not bob\\n",
        ),
        (
            Match {
                chain_id: "b*".parse().ok(),
                ..all.clone()
            },
            "chain_id \"alice-1\" does not fit \"b*\"",
        ),
        (
            Match {
                kind: Some(ChainKind::OptIn),
                ..all.clone()
            },
            "it is a top N chain, not an opt-in chain",
        ),
        (
            Match {
                genesis_hash: other,
                ..all.clone()
            },
            "genesis_hash is 0101",
        ),
        (
            Match {
                binary_hash: other,
                ..all.clone()
            },
            "binary_hash is 0202",
        ),
    ];
    for (matches, why) in wrong {
        assert_eq!(
            decide(matches.clone()),
            Decision::Unmentioned("no rule matches".into())
        );
        let explained = with(vec![allow("all", matches)]).explain(&seen);
        let [unmet] = &explained.rules[0].unmet[..] else {
            panic!("not one unmet condition: {:?}", explained.rules);
        };
        assert!(unmet.starts_with(why), "{unmet}");
    }
}

fn hex_read_as_base64(hex: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |c: char| ALPHABET.find(c).expect("in the alphabet");
    let bits: String = hex.chars().map(|c| format!("{:06b}", value(c))).collect();
    let bytes = (0..bits.len() / 8).map(|at| &bits[at * 8..at * 8 + 8]);
    bytes
        .map(|bits| u8::from_str_radix(bits, 2).expect("bits"))
        .collect()
}

#[test]
fn what_exceeds_a_bound_is_denied_naming_the_rule_what_is_asked_and_the_bound() {
    let mut seen = snapshot("alice-1", "alice");
    seen.infraction.downtime.slash = Decimal::ONE;
    let decision = with(vec![rule("alice", Verdict::Allow)]).decide(&seen);
    let expected = "the rule for alice allows it, but its downtime slash fraction 1 exceeds the \
                    provider's own, 0.01";
    assert_eq!(decision, Decision::Denied(expected.into()));
    let wide = Rule {
        bounds: Bounds {
            downtime: PunishmentBounds {
                slash: Some(Decimal::ONE),
                ..PunishmentBounds::default()
            },
            ..Bounds::default()
        },
        ..rule("alice", Verdict::Allow)
    };
    assert!(matches!(
        with(vec![wide]).decide(&seen),
        Decision::Allowed(_)
    ));
}

#[test]
fn an_explanation_tells_of_every_rule_in_order() {
    let mut seen = snapshot("alice-1", "alice");
    seen.infraction.double_sign.tombstone = true;
    let mut all = with(vec![
        allow(
            "for bob",
            Match {
                owner: Some("bob".into()),
                ..Match::default()
            },
        ),
        allow("for alice", alice()),
        rule("alice", Verdict::Deny),
    ]);
    let text = all.explain(&seen).to_string();
    let lines: Vec<_> = text.lines().collect();
    let excess = "its double-sign punishment tombstones, which exceeds the provider's own";
    assert_eq!(
        lines,
        [
            "for bob (allow): does not match: owner is alice, not bob",
            &format!("for alice (allow): matches and decides; {excess}"),
            "the rule for alice (deny): matches, but does not decide; says what to run",
            &format!("denied: for alice allows it, but {excess}"),
            "would run: example/consumer:1",
        ]
    );
    all.overrides.insert(id(7), Override::OptIn);
    let explained = all.explain(&seen);
    assert_eq!(explained.order, Some(Override::OptIn));
    assert!(explained.rules.iter().all(|rule| !rule.decides));
    assert!(
        explained
            .to_string()
            .contains("ordered: the operator ordered opt-in")
    );
}

#[test]
fn an_explanation_shows_hostile_text_escaped() {
    let seen = Snapshot {
        owner: "\u{1b}[2J".into(),
        ..snapshot("a\n\"b", "x")
    };
    let strict = Match {
        chain_id: "z".parse().ok(),
        ..alice()
    };
    let text = with(vec![allow("strict", strict)])
        .explain(&seen)
        .to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_policy_that_people_could_not_mean_is_refused() {
    let check = |rule| with(vec![rule]).check();
    assert_eq!(check(allow("a", alice())), Ok(()));
    let any = Match {
        any_owner: true,
        ..Match::default()
    };
    assert_eq!(check(allow("a", any.clone())), Ok(()));
    let nobody = allow(
        "a",
        Match {
            chain_id: "a*".parse().ok(),
            ..Match::default()
        },
    );
    assert_eq!(check(nobody), Err(PolicyError::AllowsAnyone("a".into())));
    let both = allow(
        "a",
        Match {
            any_owner: true,
            ..alice()
        },
    );
    assert_eq!(check(both), Err(PolicyError::AnyoneAndSomeone("a".into())));
    let two = Decimal::parse("2").expect("a decimal");
    let slash = |slash| Bounds {
        double_sign: PunishmentBounds {
            slash: Some(slash),
            ..PunishmentBounds::default()
        },
        ..Bounds::default()
    };
    let too_large = Rule {
        bounds: slash(two),
        ..allow("a", any.clone())
    };
    assert_eq!(
        check(too_large),
        Err(PolicyError::BoundTooLarge("a".into(), two))
    );
    let of_deny = Rule {
        bounds: slash(Decimal::ONE),
        verdict: Verdict::Deny,
        ..allow("a", any)
    };
    assert_eq!(check(of_deny), Err(PolicyError::BoundsOfDeny("a".into())));
}

fn any_match() -> impl Strategy<Value = Match> {
    let narrow = (
        proptest::option::of(0..3_u64),
        proptest::option::of("[ab]"),
        proptest::option::of("[ab*?\\PC]{1,6}"),
        proptest::option::of(any::<bool>()),
        proptest::option::of(0..2_u8),
    );
    narrow.prop_map(|(number, owner, chain_id, top_n, hash)| Match {
        consumer_id: number.map(ConsumerId::new),
        owner,
        any_owner: false,
        chain_id: chain_id.and_then(|text| text.parse().ok()),
        kind: top_n.map(|top_n| {
            if top_n {
                ChainKind::TopN
            } else {
                ChainKind::OptIn
            }
        }),
        genesis_hash: hash.and_then(|byte| Digest::from_hex(&format!("{byte:02x}").repeat(32))),
        binary_hash: None,
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let slash = proptest::option::of(any::<u64>());
    let flags = any::<(bool, bool)>();
    ("[a-z]{1,3}", any_match(), flags, slash).prop_map(|(name, matches, (allows, runs), slash)| {
        let slash = slash.and_then(|n| Decimal::from_atto_digits(n.to_string().as_bytes()));
        Rule {
            name,
            matches,
            verdict: if allows {
                Verdict::Allow
            } else {
                Verdict::Deny
            },
            bounds: Bounds {
                downtime: PunishmentBounds {
                    slash,
                    ..PunishmentBounds::default()
                },
                ..Bounds::default()
            },
            run: runs.then(run),
        }
    })
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let hash = proptest::collection::vec(0..2_u8, 0..65);
    let words = ("[ab]", "\\PC{0,3}[ab/\n]{1,6}");
    (0..3_u64, words, any::<u32>(), hash, any::<u64>()).prop_map(
        |(number, (owner, chain_id), top_n, hash, slash)| {
            let mut seen = snapshot("a", &owner);
            seen.consumer_id = ConsumerId::new(number);
            seen.chain_id = ChainId::new(chain_id).unwrap_or(seen.chain_id);
            seen.phase = Phase::Initialized;
            seen.top_n = top_n % 3;
            seen.binary_hash.clone_from(&hash);
            seen.genesis_hash = if hash.len() < 32 { vec![0; 32] } else { hash };
            let slash = slash.to_string();
            seen.infraction.downtime.slash =
                Decimal::from_atto_digits(slash.as_bytes()).expect("digits");
            seen
        },
    )
}

proptest! {
    #[test]
    fn every_policy_decides_about_every_consumer_as_it_explains(
        rules in proptest::collection::vec(any_rule(), 0..6),
        seen in any_snapshot(),
        order in proptest::option::of(prop_oneof![Just(Override::OptIn), Just(Override::OptOut)]),
    ) {
        let mut policy = with(rules);
        policy.overrides.extend(order.map(|order| (seen.consumer_id, order)));
        let decision = policy.decide(&seen);
        let explained = policy.explain(&seen);
        prop_assert_eq!(&explained.decision, &decision);
        prop_assert_eq!(explained.to_string().lines().count(), policy.rules.len() + 2);
        let first = explained.rules.iter().find(|rule| rule.unmet.is_empty());
        let decides = explained.rules.iter().find(|rule| rule.decides);
        if order.is_none() {
            prop_assert_eq!(first, decides);
            let allowed = first.is_some_and(|r| r.verdict == Verdict::Allow && r.excess.is_none());
            prop_assert_eq!(matches!(decision, Decision::Allowed(_)), allowed);
            prop_assert_eq!(matches!(decision, Decision::Unmentioned(_)), first.is_none());
        } else {
            prop_assert_eq!(decides, None);
        }
        let image = policy.run_for(&seen).map(|run| run.program.image);
        prop_assert_eq!(&explained.image, &image);
        let runs = explained.rules.iter().find(|rule| rule.runs);
        prop_assert_eq!(runs.is_some(), image.is_some());
    }
}
