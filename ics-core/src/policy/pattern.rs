//! Patterns on chain ids.

use std::fmt;
use std::str::FromStr;

use crate::id::ChainId;

/// The length of the longest chain id, in bytes: `MaxChainIdLength` of the provider's
/// `types/msg.go`.
const LONGEST: usize = 50;

/// A pattern on the text of a chain id: `*` stands for any characters or none, `?` for exactly one,
/// everything else for itself.
///
/// There is no escape: a chain id that holds a `*` or `?` is matched by `?`. Matching takes at most
/// as many steps as the two lengths multiplied, whatever a stranger chose as chain id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainIdPattern(String);

/// A pattern that no chain id can match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} matches no chain id: {1}")]
pub struct PatternError(String, &'static str);

impl ChainIdPattern {
    /// Whether the whole of this chain id fits.
    #[must_use]
    pub fn matches(&self, chain_id: &ChainId) -> bool {
        fits(self.0.as_bytes(), chain_id.as_str())
    }
}

impl FromStr for ChainIdPattern {
    type Err = PatternError;

    /// Reads a pattern.
    ///
    /// # Errors
    /// If no chain id can match it: a blank one, or one that is too long without its `*`.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let refuse = |why| Err(PatternError(text.to_owned(), why));
        if text.trim().is_empty() {
            return refuse("it is blank; leave chain_id out to match any");
        }
        if text.bytes().filter(|byte| *byte != b'*').count() > LONGEST {
            return refuse("a chain id has at most 50 bytes");
        }
        let mut short = String::with_capacity(text.len());
        for c in text.chars() {
            if c != '*' || !short.ends_with('*') {
                short.push(c);
            }
        }
        Ok(Self(short))
    }
}

impl fmt::Display for ChainIdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_debug().fmt(f)
    }
}

/// Whether the pattern fits the whole text. What follows the last `*` is tried at each place in
/// turn; an earlier `*` never has to be tried again, because it took as little as it could.
fn fits(pattern: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    // Where the last `*` stands, and up to where it has taken the text.
    let mut star: Option<(usize, usize)> = None;
    let (mut p, mut t) = (0, 0);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                t += width(text, t);
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                t = taken + width(text, taken);
                star = Some((at, t));
                p = at + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How many bytes the character has that starts at `at`.
fn width(text: &[u8], at: usize) -> usize {
    let rest = text.iter().skip(at + 1);
    // In UTF-8 every further byte of a character starts with the bits 10.
    1 + rest.take_while(|byte| **byte & 0xc0 == 0x80).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> ChainIdPattern {
        text.parse().expect("a pattern")
    }

    fn matches(text: &str, chain_id: &str) -> bool {
        pattern(text).matches(&ChainId::new(chain_id).expect("a chain id"))
    }

    /// The definition, without any care for time.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                (0..=text.len()).any(|taken| by_definition(rest, &text[taken..]))
            }
            (Some(('?', rest)), Some((_, text))) => by_definition(rest, text),
            (Some((c, rest)), Some((d, text))) => c == d && by_definition(rest, text),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    #[test]
    fn a_pattern_fits_the_whole_chain_id() {
        for (text, chain_id, fits) in [
            ("consumer-1", "consumer-1", true),
            ("consumer-1", "consumer-12", false),
            ("consumer-1", "Consumer-1", false),
            ("consumer-*", "consumer-", true),
            ("consumer-?", "consumer-", false),
            ("*-1", "a-1-1", true),
            ("*-1", "a-1-2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?", "ü", true),
            ("??", "ü", false),
            ("*?", "日本", true),
            ("???", "日本", false),
            ("*", "/../", true),
            ("a?b", "a*b", true),
        ] {
            assert_eq!(matches(text, chain_id), fits, "{text:?} on {chain_id:?}");
        }
    }

    #[test]
    fn what_no_chain_id_can_match_is_refused() {
        for bad in ["", "  ", &"a".repeat(51), &format!("*{}*", "?".repeat(51))] {
            assert!(bad.parse::<ChainIdPattern>().is_err(), "{bad:?}");
        }
        assert!(
            format!("{}{}", "*".repeat(90), "a".repeat(50))
                .parse::<ChainIdPattern>()
                .is_ok()
        );
        let error = "".parse::<ChainIdPattern>().expect_err("blank");
        assert!(error.to_string().contains("leave chain_id out"), "{error}");
    }

    #[test]
    fn a_pattern_prints_without_control_characters() {
        assert!(!pattern("a\n*").to_string().contains('\n'));
    }

    proptest! {
        #[test]
        fn every_pattern_means_what_its_definition_says(
            text in "[ab*?ü]{1,9}",
            chain_id in "[abü]{1,9}",
        ) {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = by_definition(&chars(&text), &chars(&chain_id));
            prop_assert_eq!(matches(&text, &chain_id), expected);
        }

        #[test]
        fn any_text_is_read_or_refused_and_any_chain_id_compared(
            text in any::<String>(),
            chain_id in any::<String>(),
        ) {
            if let (Ok(pattern), Ok(chain_id)) = (text.parse::<ChainIdPattern>(), ChainId::new(chain_id)) {
                let _: bool = pattern.matches(&chain_id);
            }
        }
    }
}
