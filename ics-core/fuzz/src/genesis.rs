//! The streaming merge: what it copies, what it refuses, and that it says the same in any pieces.

use std::io::{self, Read};
use std::sync::LazyLock;

use ics_core::artifact::Digest;
use ics_core::genesis::{self, CcvConsumer, PreCcv};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::assert_plain;

/// What is put into the file.
static CCV: LazyLock<CcvConsumer> = LazyLock::new(|| {
    let ccv = serde_json::json!({"params": {"enabled": true}});
    CcvConsumer::new(ccv, None).expect("a launch genesis")
});

/// Merges any bytes as a genesis file.
///
/// What is accepted is JSON, and differs from the file in `app_state.ccvconsumer` alone; where
/// reading stops and goes on again decides nothing.
///
/// # Panics
/// Where that does not hold.
pub fn genesis(file: &[u8]) {
    let (pieces, whole) = (merged(Pieces(file)), merged(file));
    assert_eq!(pieces, whole, "the size of the pieces read matters");
    assert_eq!(
        genesis::read(file).ok().as_ref(),
        whole.as_ref().map(|(found, _)| found)
    );
    let Some((found, merged_file)) = whole else {
        return;
    };
    assert_eq!(found.digest, Digest::of(file));
    assert!(found.initial_height > 0);
    assert!(is_json(file), "accepted, but not JSON");
    assert!(is_json(&merged_file), "the result is not JSON");
    // Merging is done once and for all.
    let again = merged(merged_file.as_slice()).map(|(_, again)| again);
    assert_eq!(again.as_ref(), Some(&merged_file));
    // serde_json's own trees know fewer numbers and texts than JSON has.
    let trees = (
        serde_json::from_slice(file),
        serde_json::from_slice(&merged_file),
    );
    if let (Ok(mut before), Ok(mut after)) = trees {
        let _replaced = take_ccv(&mut before);
        assert_eq!(
            take_ccv(&mut after),
            serde_json::from_slice(CCV.as_bytes()).ok()
        );
        assert_eq!(before, after, "more changed than ccvconsumer");
    }
}

fn merged(file: impl Read) -> Option<(PreCcv, Vec<u8>)> {
    let mut out = Vec::new();
    match genesis::merge(file, &CCV, &mut out) {
        Ok(found) => Some((found, out)),
        Err(refused) => {
            assert_plain(&refused.to_string());
            None
        }
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn take_ccv(tree: &mut Value) -> Option<Value> {
    tree.get_mut("app_state")?
        .as_object_mut()?
        .remove("ccvconsumer")
}

/// A reader that gives a few bytes at a time.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(3);
        self.0.read(&mut buffer[..count])
    }
}
