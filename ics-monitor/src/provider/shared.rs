//! What all readings of one height share: asked once, however many consumers are read at it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures::try_join;
use ics_core::failure::Failure;
use ics_core::key::Address;
use ics_core::snapshot::LocalValidator;
use ics_core::time::Height;
use tokio::sync::OnceCell;

use super::ask::{ask, ask_required};
use super::pages::{next_page, page};
use super::{Prefixes, STAKING_VALIDATOR, STAKING_VALIDATORS, VALIDATORS_PER_PAGE};
use crate::rpc::Rpc;
use crate::wire::decode_known;
use crate::wire::query::{Params, QueryParamsRequest, QueryParamsResponse, SERVICE};
use crate::wire::sdk::{
    QuerySigningInfoRequest, QuerySigningInfoResponse, QuerySlashingParamsRequest,
    QuerySlashingParamsResponse, QueryValidatorRequest, QueryValidatorResponse,
    QueryValidatorsRequest, QueryValidatorsResponse, SlashingParams, Validator,
};

/// How many heights are remembered: answers to older ones may still be on their way.
const HEIGHTS: usize = 8;

/// The path of the provider's slashing parameters.
const SLASHING_PARAMS: &str = "/cosmos.slashing.v1beta1.Query/Params";

/// The path of what the provider knows of one validator's signing.
const SIGNING_INFO: &str = "/cosmos.slashing.v1beta1.Query/SigningInfo";

/// What was asked at the newest heights.
#[derive(Debug, Default)]
pub(super) struct Shared {
    heights: Mutex<VecDeque<(Height, Arc<AtHeight>)>>,
}

/// Each is asked by the first who needs it, while the others wait; a failure is not kept.
#[derive(Debug, Default)]
pub(super) struct AtHeight {
    params: OnceCell<Params>,
    slashing: OnceCell<SlashingParams>,
    bonded: OnceCell<Vec<Validator>>,
    own: OnceCell<(Address, Option<Own>)>,
}

/// Our own validator on the provider.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) validator: Validator,
    pub(super) tombstoned: bool,
}

impl Shared {
    /// What is known of a height.
    pub(super) fn at(&self, height: Height) -> Arc<AtHeight> {
        let mut heights = self.heights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = heights.iter().find(|(at, _)| *at == height) {
            return Arc::clone(found);
        }
        if heights.len() >= HEIGHTS {
            heights.pop_front();
        }
        let new = Arc::<AtHeight>::default();
        heights.push_back((height, Arc::clone(&new)));
        new
    }
}

/// Who is asked, and at which height.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) rpc: &'a Rpc,
    pub(super) height: Height,
}

impl AtHeight {
    /// The provider module's parameters.
    pub(super) async fn params(&self, asked: Asked<'_>) -> Result<&Params, Failure> {
        let read = || async {
            let path = format!("{SERVICE}/QueryParams");
            let request = QueryParamsRequest {};
            let bytes = ask_required(asked.rpc, &path, &request, Some(asked.height)).await?;
            let params = decode_known::<QueryParamsResponse>(&path, &bytes)?.params;
            Ok(params.unwrap_or_default())
        };
        self.params.get_or_try_init(read).await
    }

    /// The slashing module's parameters.
    pub(super) async fn slashing(&self, asked: Asked<'_>) -> Result<&SlashingParams, Failure> {
        let read = || async {
            let (path, request) = (SLASHING_PARAMS, QuerySlashingParamsRequest {});
            let bytes = ask_required(asked.rpc, path, &request, Some(asked.height)).await?;
            let params = decode_known::<QuerySlashingParamsResponse>(path, &bytes)?.params;
            Ok(params.unwrap_or_default())
        };
        self.slashing.get_or_try_init(read).await
    }

    /// All bonded validators.
    pub(super) async fn bonded(&self, asked: Asked<'_>) -> Result<&[Validator], Failure> {
        let read = || read_bonded(asked);
        Ok(self.bonded.get_or_try_init(read).await?)
    }

    /// Our validator; `None` if the provider has none with this operator address.
    pub(super) async fn own(
        &self,
        asked: Asked<'_>,
        local: &LocalValidator,
        prefixes: &Prefixes,
    ) -> Result<Option<Own>, Failure> {
        let read = || read_own(asked, local, prefixes);
        let kept = self.own.get_or_try_init(|| async {
            let own = read().await?;
            Ok::<_, Failure>((local.operator.clone(), own))
        });
        match kept.await? {
            (operator, own) if *operator == local.operator => Ok(own.clone()),
            // A client asks for one validator; whoever asks for more gets each anew.
            _ => read().await,
        }
    }
}

async fn read_bonded(asked: Asked<'_>) -> Result<Vec<Validator>, Failure> {
    let mut bonded = Vec::new();
    let mut next = Some(Vec::new());
    while let Some(key) = next {
        let (path, at) = (STAKING_VALIDATORS, Some(asked.height));
        let request = QueryValidatorsRequest {
            status: Validator::BONDED_NAME.into(),
            pagination: Some(page(key.clone(), VALIDATORS_PER_PAGE)),
        };
        let bytes = ask_required(asked.rpc, path, &request, at).await?;
        let answer = decode_known::<QueryValidatorsResponse>(path, &bytes)?;
        bonded.extend(answer.validators);
        next = next_page(path, &key, answer.pagination)?;
    }
    Ok(bonded)
}

async fn read_own(
    asked: Asked<'_>,
    local: &LocalValidator,
    prefixes: &Prefixes,
) -> Result<Option<Own>, Failure> {
    let at = Some(asked.height);
    let request = QueryValidatorRequest {
        validator_addr: local.operator.to_bech32(&prefixes.operator),
    };
    let validator = ask(asked.rpc, STAKING_VALIDATOR, &request, at);
    let request = QuerySigningInfoRequest {
        cons_address: local.provider_key.address().to_bech32(&prefixes.consensus),
    };
    let signing = ask(asked.rpc, SIGNING_INFO, &request, at);
    let (validator, signing) = try_join!(validator, signing)?;
    let Some(validator) = validator else {
        return Ok(None);
    };
    let answer = decode_known::<QueryValidatorResponse>(STAKING_VALIDATOR, &validator)?;
    // One that was never bonded has signed nothing, so nothing is known of its signing.
    let signing = signing
        .map(|bytes| decode_known::<QuerySigningInfoResponse>(SIGNING_INFO, &bytes))
        .transpose()?;
    let info = signing.and_then(|answer| answer.val_signing_info);
    Ok(answer.validator.map(|validator| Own {
        validator,
        tombstoned: info.is_some_and(|info| info.tombstoned),
    }))
}
