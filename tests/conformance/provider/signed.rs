//! Transactions with everything in the hand of the script: sequence, gas, fee, timeout.
//!
//! The monitor's own sender stops at the first refusal; here each stage must tell its code.

use cosmrs::crypto::secp256k1::SigningKey;
use cosmrs::proto::Any;
use cosmrs::proto::cosmos::base::v1beta1::Coin;
use cosmrs::proto::cosmos::crypto::secp256k1;
use cosmrs::proto::cosmos::tx::signing::v1beta1::SignMode;
use cosmrs::proto::cosmos::tx::v1beta1::mode_info::{Single, Sum};
use cosmrs::proto::cosmos::tx::v1beta1::{
    AuthInfo, Fee, ModeInfo, SignDoc, SignerInfo, TxBody, TxRaw,
};
use ics_core::key::Address;
use ics_monitor::tx::Message;
use prost::Message as _;

/// Who signs.
pub(crate) struct Signer {
    key: SigningKey,
    pub(crate) address: Address,
}

/// What is signed beside the messages.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) chain_id: String,
    pub(crate) number: u64,
    pub(crate) sequence: u64,
    pub(crate) gas: u64,
    /// In the chain's denomination.
    pub(crate) fee: u64,
    pub(crate) timeout: u64,
    pub(crate) memo: String,
}

impl Signer {
    /// The first account of a mnemonic.
    pub(crate) fn new(mnemonic: &str) -> Self {
        let mnemonic = bip39::Mnemonic::parse_normalized(mnemonic.trim()).expect("a mnemonic");
        let path = "m/44'/118'/0'/0/0".parse().expect("a path");
        let seed = mnemonic.to_seed_normalized("");
        let key = SigningKey::derive_from_path(seed, &path).expect("a key");
        let id = key.public_key().account_id("cosmos").expect("an address");
        let address = Address::new(id.to_bytes()).expect("20 bytes");
        Self { key, address }
    }

    /// The address of the account.
    pub(crate) fn account(&self) -> String {
        self.address.to_bech32("cosmos")
    }

    /// The address of the validator that the account runs.
    pub(crate) fn operator(&self) -> String {
        self.address.to_bech32("cosmosvaloper")
    }

    /// A signed transaction.
    pub(crate) fn sign(&self, messages: &[Message], terms: &Terms) -> Vec<u8> {
        let body = TxBody {
            messages: messages.iter().map(any).collect(),
            memo: terms.memo.clone(),
            timeout_height: terms.timeout,
            ..TxBody::default()
        };
        let key = secp256k1::PubKey {
            key: self.key.public_key().to_bytes(),
        };
        let single = Single {
            mode: SignMode::Direct.into(),
        };
        let coin = Coin {
            denom: "stake".into(),
            amount: terms.fee.to_string(),
        };
        let auth_info = AuthInfo {
            signer_infos: vec![SignerInfo {
                public_key: Some(Any {
                    type_url: "/cosmos.crypto.secp256k1.PubKey".into(),
                    value: key.encode_to_vec(),
                }),
                mode_info: Some(ModeInfo {
                    sum: Some(Sum::Single(single)),
                }),
                sequence: terms.sequence,
            }],
            fee: Some(Fee {
                amount: if terms.fee > 0 { vec![coin] } else { vec![] },
                gas_limit: terms.gas,
                ..Fee::default()
            }),
            ..AuthInfo::default()
        };
        let document = SignDoc {
            body_bytes: body.encode_to_vec(),
            auth_info_bytes: auth_info.encode_to_vec(),
            chain_id: terms.chain_id.clone(),
            account_number: terms.number,
        };
        let signature = self
            .key
            .sign(&document.encode_to_vec())
            .expect("a signature");
        let raw = TxRaw {
            body_bytes: document.body_bytes,
            auth_info_bytes: document.auth_info_bytes,
            signatures: vec![signature.to_vec()],
        };
        raw.encode_to_vec()
    }
}

/// A message as part of another one.
pub(crate) fn any(message: &Message) -> Any {
    Any {
        type_url: message.type_url.clone(),
        value: message.value.clone(),
    }
}
