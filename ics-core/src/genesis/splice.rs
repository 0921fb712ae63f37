//! What of a genesis file is read, and the one value in it that is replaced.

use std::io::{Read, Write};

use super::copy::{Copier, MAX_TOKEN};
use super::{FirstValidator, GenesisError, PreCcv, excerpt};
use crate::artifact::Digest;
use crate::time::UnixTime;

/// A longer list of validators stands in no genesis; it bounds the memory.
const MAX_VALIDATORS: usize = 4 << 20;

/// Copies `file` to `out` with `app_state.ccvconsumer` replaced by `ccvconsumer`, or inserted.
pub(super) fn splice(
    file: impl Read,
    ccvconsumer: &[u8],
    out: impl Write,
) -> Result<PreCcv, GenesisError> {
    let mut copier = Copier::new(file, out);
    let mut found = Found::default();
    copier.space()?;
    copier.object(|copier, key| match key {
        "app_state" => {
            found.once("app_state")?;
            copier.app_state(ccvconsumer)
        }
        "chain_id" => {
            found.once("chain_id")?;
            found.chain_id = copier.key()?;
            Ok(())
        }
        "consensus" => {
            found.once("consensus")?;
            copier.consensus(&mut found)
        }
        "genesis_time" => {
            found.once("genesis_time")?;
            let text = copier.key()?;
            let time = UnixTime::from_rfc3339(&text).ok_or_else(|| {
                GenesisError::Shape(format!(
                    "its genesis_time \"{}\" is not RFC 3339",
                    excerpt(&text)
                ))
            })?;
            // CometBFT puts its own clock in the place of Go's zero time.
            found.genesis_time = Some(time).filter(|time| *time != UnixTime::GO_ZERO);
            Ok(())
        }
        "initial_height" => {
            found.once("initial_height")?;
            found.initial_height = copier.height()?;
            Ok(())
        }
        "validators" => copier.validators(&mut found),
        other => {
            refuse_other_case(other)?;
            copier.value(1)
        }
    })?;
    copier.take()?;
    copier.space()?;
    let digest = copier.finish()?;
    found.into_pre_ccv(digest)
}

/// The keys of the file that matter, each at most once.
#[derive(Default)]
struct Found {
    seen: Vec<&'static str>,
    chain_id: String,
    initial_height: u64,
    genesis_time: Option<UnixTime>,
    validators: Vec<FirstValidator>,
}

impl Found {
    fn once(&mut self, key: &'static str) -> Result<(), GenesisError> {
        if self.seen.contains(&key) {
            return Err(twice(key));
        }
        self.seen.push(key);
        Ok(())
    }

    fn into_pre_ccv(self, digest: Digest) -> Result<PreCcv, GenesisError> {
        for key in ["app_state", "chain_id"] {
            if !self.seen.contains(&key) {
                return Err(GenesisError::Shape(format!(
                    "it has no {key}: is it the genesis of a chain?"
                )));
            }
        }
        Ok(PreCcv {
            digest,
            chain_id: self.chain_id,
            initial_height: self.initial_height.max(1),
            genesis_time: self.genesis_time,
            validators: self.validators,
        })
    }
}

fn twice(key: &str) -> GenesisError {
    GenesisError::Shape(format!(
        "{key} stands there twice, and programs differ in which they take: keep one"
    ))
}

/// Go reads these keys whatever their case, so another case would be a second value in disguise.
///
/// Its `encoding/json` folds two letters beyond ASCII, too: the long s and the Kelvin sign.
fn refuse_other_case(key: &str) -> Result<(), GenesisError> {
    let known = [
        "app_state",
        "chain_id",
        "consensus",
        "genesis_time",
        "initial_height",
        "validators",
    ];
    let folded = key.replace('\u{17f}', "s").replace('\u{212a}', "k");
    match known
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(&folded))
    {
        Some(known) => Err(GenesisError::Shape(format!(
            "key \"{}\" is read as {known}: write it so",
            key.escape_debug()
        ))),
        None => Ok(()),
    }
}

impl<R: Read, W: Write> Copier<R, W> {
    /// Reads `app_state`, with `ccvconsumer` replaced or put at its end.
    fn app_state(&mut self, ccvconsumer: &[u8]) -> Result<(), GenesisError> {
        let (mut replaced, mut empty) = (false, true);
        self.object(|copier, key| {
            empty = false;
            if key != "ccvconsumer" {
                return copier.value(2);
            }
            if std::mem::replace(&mut replaced, true) {
                return Err(twice("ccvconsumer"));
            }
            copier.set_copying(false)?;
            copier.value(2)?;
            copier.set_copying(true)?;
            copier.put(ccvconsumer)
        })?;
        if !replaced {
            self.put(if empty {
                b"\"ccvconsumer\":"
            } else {
                b",\"ccvconsumer\":"
            })?;
            self.put(ccvconsumer)?;
        }
        self.take()
    }

    /// Reads a height: the SDK writes a number, CometBFT a text, and each reads both.
    fn height(&mut self) -> Result<u64, GenesisError> {
        let token = self.captured(MAX_TOKEN, |copier| match copier.need()? {
            b'"' => copier.string(),
            _ => copier.number(),
        })?;
        let digits = match token.as_slice() {
            [b'"', digits @ .., b'"'] => digits,
            digits => digits,
        };
        let plain = digits.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(digits).ok().filter(|_| plain);
        let height = number.and_then(|number| number.parse::<i64>().ok());
        height.map(i64::unsigned_abs).ok_or_else(|| {
            let token = String::from_utf8_lossy(&token);
            GenesisError::Shape(format!(
                "its initial_height {} is not a height",
                excerpt(&token)
            ))
        })
    }

    /// Reads `consensus` for the validators in it.
    fn consensus(&mut self, found: &mut Found) -> Result<(), GenesisError> {
        if self.need()? != b'{' {
            return self.value(1);
        }
        self.object(|copier, key| match key {
            "validators" => copier.validators(found),
            other => {
                refuse_other_case(other)?;
                copier.value(2)
            }
        })?;
        self.take()
    }

    /// Reads the validators that the file itself gives; the SDK's form of a genesis has them in
    /// `consensus`, CometBFT's beside it.
    fn validators(&mut self, found: &mut Found) -> Result<(), GenesisError> {
        found.once("validators")?;
        let token = self.captured(MAX_VALIDATORS, |copier| copier.value(2))?;
        found.validators = FirstValidator::list(&token).map_err(GenesisError::Shape)?;
        Ok(())
    }
}
