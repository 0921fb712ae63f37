//! Names in place of what differs between two chains: addresses, keys, times.

use std::collections::BTreeMap;

use ics_core::key::PublicKey;
use ics_core::time::UnixTime;
use ics_fixtures::cast::Cast;

use crate::target::Target;

/// How many keys a script speaks of by number.
const KEYS: u8 = 30;

/// What stands for each address and key.
pub(crate) struct Names {
    /// Texts to replace.
    texts: Vec<(String, String)>,
    keys: BTreeMap<[u8; 32], String>,
    /// Consensus addresses on the provider.
    consensus: BTreeMap<String, String>,
}

impl Names {
    /// Asks who is who.
    pub(crate) async fn of(target: &Target) -> Self {
        let mut names = Self {
            texts: Vec::new(),
            keys: BTreeMap::new(),
            consensus: BTreeMap::new(),
        };
        for (name, signer) in target.signers() {
            names.text(signer.operator(), format!("<operator {name}>"));
            names.text(signer.account(), format!("<{name}>"));
        }
        for name in Cast::validators() {
            let signer = target.signer(name).expect("it is of the cast");
            let found = target.provider.validator(&signer.address).await;
            let found = found.expect("it is read").expect("it is a validator");
            let key = found.consensus_key;
            let bech32 = key.address().to_bech32("cosmosvalcons");
            names.text(bech32.clone(), format!("<consensus {name}>"));
            names.consensus.insert(bech32, name.to_owned());
            names.key_of(&key, &format!("the provider's key of {name}"), name);
        }
        for number in 0..KEYS {
            let name = format!("key {number}");
            names.key_of(&script_key(number), &name, &name);
        }
        names
    }

    fn text(&mut self, from: String, to: String) {
        self.texts.push((from, to));
    }

    fn key_of(&mut self, key: &PublicKey, name: &str, whose: &str) {
        let address = hex::encode(key.address().as_bytes());
        self.text(address, format!("<address of {whose}>"));
        self.text(key.to_base64(), format!("<{name}>"));
        self.text(hex::encode(key.as_bytes()), format!("<{name}>"));
        self.keys.insert(*key.as_bytes(), name.to_owned());
    }

    /// A text with names in it.
    pub(crate) fn name(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.texts {
            text = text.replace(from, to);
        }
        text
    }

    /// Whose consensus address this is.
    pub(crate) fn consensus(&self, bech32: &str) -> String {
        let found = self.consensus.get(bech32);
        found.cloned().unwrap_or_else(|| bech32.to_owned())
    }

    /// What a key is called.
    pub(crate) fn key(&self, key: Option<&PublicKey>) -> String {
        match key {
            None => "no key".to_owned(),
            Some(key) => {
                let found = self.keys.get(key.as_bytes());
                found.cloned().unwrap_or_else(|| key.to_base64())
            }
        }
    }
}

/// A key that a script speaks of by number.
pub(crate) fn script_key(number: u8) -> PublicKey {
    let key = ed25519_dalek::SigningKey::from_bytes(&[number + 100; 32]);
    PublicKey::new(key.verifying_key().to_bytes())
}

/// Whether a time is set; of one that is near the block's only that.
pub(crate) fn time(time: Option<UnixTime>, now: UnixTime) -> String {
    /// Longer than any script, shorter than what is not to come.
    const FAR: i64 = 86_400;
    match time {
        None => "none".to_owned(),
        Some(UnixTime::GO_ZERO) => "zero".to_owned(),
        Some(time) if (time.seconds() - now.seconds()).abs() < FAR => "about now".to_owned(),
        Some(time) => format!("{}.{:09}", time.seconds(), time.nanos()),
    }
}
