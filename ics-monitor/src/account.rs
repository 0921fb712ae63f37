//! The account that signs the validator's transactions.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bip39::{Language, Mnemonic};
use cosmrs::bip32::DerivationPath;
use cosmrs::crypto::secp256k1::SigningKey;
use ics_core::failure::Failure;
use ics_core::key::Address;
use zeroize::Zeroizing;

use crate::durable;

/// The Cosmos Hub's path (SLIP-44 coin type 118), the default of the SDK's `keys add`.
const HD_PATH: &str = "m/44'/118'/0'/0/0";

/// A mnemonic has at most 24 words of 8 letters; a file far above that is something else.
const MAX_FILE_LEN: u64 = 4096;

/// A secp256k1 account of a chain of the Cosmos SDK. Its key is never printed.
pub struct Account {
    key: SigningKey,
    public_key: Vec<u8>,
    address: Address,
    prefix: String,
}

impl Account {
    /// Reads the account whose BIP-39 mnemonic (English, 12 to 24 words) is in this file, for the
    /// chain with this bech32 prefix (such as `cosmos`).
    ///
    /// # Errors
    /// A permanent failure if that is no regular file for its owner alone, holds no valid
    /// mnemonic, or cannot be read. No message repeats any of the file.
    pub fn from_mnemonic_file(path: &Path, prefix: &str) -> Result<Self, Failure> {
        refuse_exposed(path)?;
        let bytes = fs::read(path)
            .map(Zeroizing::new)
            .map_err(|e| durable::failed("read", path, &e))?;
        let refuse = |what: &str| {
            Failure::permanent(format!(
                "{} holds no mnemonic: {what}; write the account's 12 to 24 words there, on one line",
                path.display()
            ))
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| refuse("it is not text"))?;
        let mnemonic = parse(text).map_err(|e| refuse(&e))?;
        let seed = Zeroizing::new(mnemonic.to_seed_normalized(""));
        Self::from_seed(&seed, prefix).map_err(|e| refuse(&e))
    }

    /// The address of the account, without a prefix.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The address of the account as the chain writes it.
    #[must_use]
    pub fn address_text(&self) -> String {
        self.address.to_bech32(&self.prefix)
    }

    /// The address of the validator that this account operates, as the chain writes it.
    #[must_use]
    pub fn operator_text(&self) -> String {
        self.address.to_bech32(&format!("{}valoper", self.prefix))
    }

    /// The 33 bytes of the compressed public key.
    pub(crate) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Signs the bytes of a `SignDoc` (SHA-256, then ECDSA as r and s, 64 bytes).
    pub(crate) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let signature = self.key.sign(bytes);
        let signature = signature.map_err(|e| Failure::permanent(format!("cannot sign: {e}")))?;
        Ok(signature.to_vec())
    }

    fn from_seed(seed: &[u8; 64], prefix: &str) -> Result<Self, String> {
        let path: DerivationPath = HD_PATH.parse().map_err(|e| format!("{HD_PATH}: {e}"))?;
        let key = SigningKey::derive_from_path(seed, &path).map_err(|e| e.to_string())?;
        let public = key.public_key();
        let id = public.account_id(prefix).map_err(|_| {
            format!("{prefix:?} cannot be the prefix of an address, which is such as \"cosmos\"")
        })?;
        Ok(Self {
            public_key: public.to_bytes(),
            address: Address::new(id.to_bytes()).ok_or("its address is empty")?,
            prefix: prefix.to_owned(),
            key,
        })
    }
}

fn parse(text: &str) -> Result<Mnemonic, String> {
    // Upper case and odd spaces come from hand-written backups and mean the same.
    let words: Zeroizing<String> = Zeroizing::new(text.to_ascii_lowercase());
    Mnemonic::parse_in_normalized(Language::English, &words).map_err(|e| match e {
        bip39::Error::BadWordCount(count) => format!("it has {count} words"),
        bip39::Error::UnknownWord(index) => {
            format!("word {} is not in the BIP-39 list", index + 1)
        }
        bip39::Error::InvalidChecksum => {
            "its checksum is wrong, so a word is mistaken or misplaced".to_owned()
        }
        other => other.to_string(),
    })
}

fn refuse_exposed(path: &Path) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(|e| durable::failed("read", path, &e))?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_LEN {
        return Err(Failure::permanent(format!(
            "{} is not a mnemonic file: name a regular file with the account's words",
            path.display()
        )));
    }
    let mode = metadata.permissions().mode();
    if mode & 0o177 != 0 {
        return Err(Failure::permanent(format!(
            "the mnemonic file {path} may be used by others (mode {:04o}): run chmod 600 {path}",
            mode & 0o7777,
            path = path.display(),
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWELVE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    fn read(text: &str, mode: u32) -> Result<Account, Failure> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mnemonic");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
        Account::from_mnemonic_file(&path, "cosmos")
    }

    #[test]
    fn the_account_is_the_one_that_the_sdk_derives() {
        for text in [
            TWELVE,
            &format!("{TWELVE}\n"),
            &format!(" {}\r\n", TWELVE.to_uppercase()),
        ] {
            let account = read(text, 0o600).expect("an account");
            assert_eq!(
                account.address_text(),
                "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"
            );
            assert_eq!(account.address().as_bytes().len(), 20);
            assert!(
                account
                    .operator_text()
                    .starts_with("cosmosvaloper19rl4cm2hmr8afy4kldpxz3fka4jg")
            );
            assert_eq!(account.public_key().len(), 33);
            assert_eq!(
                account.sign(b"document").map(|signature| signature.len()),
                Ok(64)
            );
        }
        let longest = format!("{}art", "abandon ".repeat(23));
        assert_eq!(
            read(&longest, 0o400).expect("an account").address_text(),
            "cosmos1r5v5srda7xfth3hn2s26txvrcrntldjumt8mhl"
        );
    }

    #[test]
    fn a_file_that_others_may_use_is_refused_with_the_cure() {
        for mode in [0o640, 0o604, 0o644, 0o700, 0o620] {
            let failure = read(TWELVE, mode).err().expect("refused");
            assert!(
                failure
                    .message
                    .contains(&format!("(mode {mode:04o}): run chmod 600 /"))
            );
        }
    }

    #[test]
    fn what_is_no_mnemonic_is_refused_and_not_repeated() {
        let cases = [
            ("", "it has 0 words"),
            ("abandon about", "it has 2 words"),
            (&TWELVE.replacen("abandon", "zebra", 1), "checksum"),
            (
                &TWELVE.replacen("abandon", "hunter2", 1),
                "word 1 is not in",
            ),
        ];
        for (text, reason) in cases {
            let failure = read(text, 0o600).err().expect("refused");
            assert!(failure.message.contains(reason), "{failure}");
            for word in ["abandon", "zebra", "hunter2"] {
                assert!(!failure.message.contains(word), "{failure}");
            }
        }
        assert!(Account::from_mnemonic_file(Path::new("/"), "cosmos").is_err());
        assert!(Account::from_mnemonic_file(Path::new("/nowhere"), "cosmos").is_err());
    }
}
