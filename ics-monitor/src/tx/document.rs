//! The bytes of a transaction: `TxRaw` signed in `SIGN_MODE_DIRECT`.

use cosmrs::proto::Any;
use cosmrs::proto::cosmos::base::v1beta1::Coin;
use cosmrs::proto::cosmos::crypto::secp256k1;
use cosmrs::proto::cosmos::tx::signing::v1beta1::SignMode;
use cosmrs::proto::cosmos::tx::v1beta1::mode_info::{Single, Sum};
use cosmrs::proto::cosmos::tx::v1beta1::{
    AuthInfo, Fee, ModeInfo, SignDoc, SignerInfo, TxBody, TxRaw,
};
use ics_core::failure::Failure;
use ics_core::time::Height;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::Message;
use crate::account::Account;

/// What a transaction says, before it is known what it costs.
pub(super) struct Draft<'a> {
    pub(super) messages: &'a [Message],
    pub(super) memo: &'a str,
    pub(super) timeout_height: Height,
    pub(super) sequence: u64,
}

/// The limit of its gas and what it pays for it.
pub(super) struct Cost<'a> {
    pub(super) gas_limit: u64,
    pub(super) fee: u128,
    pub(super) denom: &'a str,
}

/// A transaction as it is sent.
pub(super) struct Signed {
    pub(super) bytes: Vec<u8>,
    /// The SHA-256 of the bytes, by which CometBFT knows it.
    pub(super) hash: [u8; 32],
    pub(super) sequence: u64,
    /// The last block that it may be in.
    pub(super) timeout_height: Height,
}

impl Draft<'_> {
    /// The bytes to simulate: without a fee, and with an empty signature, as the SDK allows.
    pub(super) fn unsigned(&self, account: &Account) -> Vec<u8> {
        TxRaw {
            body_bytes: self.body(),
            auth_info_bytes: self.auth_info(account, None),
            signatures: vec![Vec::new()],
        }
        .encode_to_vec()
    }

    /// Signs it at this cost.
    pub(super) fn sign(
        &self,
        account: &Account,
        account_number: u64,
        chain_id: &str,
        cost: &Cost<'_>,
    ) -> Result<Signed, Failure> {
        let document = SignDoc {
            body_bytes: self.body(),
            auth_info_bytes: self.auth_info(account, Some(cost)),
            chain_id: chain_id.to_owned(),
            account_number,
        };
        let signature = account.sign(&document.encode_to_vec())?;
        let bytes = TxRaw {
            body_bytes: document.body_bytes,
            auth_info_bytes: document.auth_info_bytes,
            signatures: vec![signature],
        }
        .encode_to_vec();
        Ok(Signed {
            hash: Sha256::digest(&bytes).into(),
            bytes,
            sequence: self.sequence,
            timeout_height: self.timeout_height,
        })
    }

    fn body(&self) -> Vec<u8> {
        let messages = self.messages.iter().map(|message| Any {
            type_url: message.type_url.to_owned(),
            value: message.value.clone(),
        });
        TxBody {
            messages: messages.collect(),
            memo: self.memo.to_owned(),
            timeout_height: self.timeout_height.0,
            ..TxBody::default()
        }
        .encode_to_vec()
    }

    fn auth_info(&self, account: &Account, cost: Option<&Cost<'_>>) -> Vec<u8> {
        let public_key = secp256k1::PubKey {
            key: account.public_key().to_vec(),
        };
        let signer = SignerInfo {
            public_key: Some(Any {
                type_url: "/cosmos.crypto.secp256k1.PubKey".to_owned(),
                value: public_key.encode_to_vec(),
            }),
            mode_info: Some(ModeInfo {
                sum: Some(Sum::Single(Single {
                    mode: SignMode::Direct.into(),
                })),
            }),
            sequence: self.sequence,
        };
        // A coin of amount 0 is not a valid fee: no coin is.
        let coin = cost.filter(|cost| cost.fee > 0).map(|cost| Coin {
            denom: cost.denom.to_owned(),
            amount: cost.fee.to_string(),
        });
        AuthInfo {
            signer_infos: vec![signer],
            fee: Some(Fee {
                amount: coin.into_iter().collect(),
                gas_limit: cost.map_or(0, |cost| cost.gas_limit),
                ..Fee::default()
            }),
            ..AuthInfo::default()
        }
        .encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn account() -> Account {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mnemonic");
        fs::write(&path, format!("{}about", "abandon ".repeat(11))).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        Account::from_mnemonic_file(&path, "cosmos").expect("an account")
    }

    fn parts(bytes: &[u8]) -> (TxBody, AuthInfo, Vec<Vec<u8>>) {
        let raw = TxRaw::decode(bytes).expect("a transaction");
        (
            TxBody::decode(&*raw.body_bytes).expect("a body"),
            AuthInfo::decode(&*raw.auth_info_bytes).expect("signers and fee"),
            raw.signatures,
        )
    }

    #[test]
    fn what_is_signed_is_what_was_simulated_with_its_cost() {
        let messages = [Message {
            type_url: "/a.B".into(),
            value: vec![1, 2],
        }];
        let draft = Draft {
            messages: &messages,
            memo: "memo",
            timeout_height: Height(99),
            sequence: 5,
        };
        let account = account();
        let cost = |fee| Cost {
            gas_limit: 1000,
            fee,
            denom: "stake",
        };
        let sign = |fee| {
            draft
                .sign(&account, 7, "provider-1", &cost(fee))
                .expect("signed")
        };
        let (simulated, free, signatures) = parts(&draft.unsigned(&account));
        assert_eq!(signatures, [Vec::<u8>::new()]);
        let signed = sign(25);
        assert_eq!(signed.hash, *Sha256::digest(&signed.bytes));
        let (body, paid, signatures) = parts(&signed.bytes);
        assert_eq!(signatures[0].len(), 64);
        assert_eq!(body, simulated);
        assert_eq!((body.timeout_height, body.memo.as_str()), (99, "memo"));
        assert_eq!(body.messages[0].value, [1, 2]);
        assert_eq!(paid.signer_infos, free.signer_infos);
        assert_eq!(paid.signer_infos[0].sequence, 5);
        let fee = paid.fee.expect("a fee");
        assert_eq!((fee.gas_limit, fee.amount[0].amount.as_str()), (1000, "25"));
        let (_, nothing, _) = parts(&sign(0).bytes);
        assert!(nothing.fee.expect("a fee").amount.is_empty());
    }
}
