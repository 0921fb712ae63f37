//! The provider's genesis: the daemon's own, with the devnet's accounts and faster parameters.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::Error;
use crate::provider::{Profile, ProviderSpec};

/// Coins of every account beyond what it stakes, in base units.
const POCKET: u64 = 1_000_000_000_000;

/// Reads a genesis file.
pub(crate) fn read(path: &Path) -> Result<Value, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    serde_json::from_str(&text).map_err(|e| Error::Reply(format!("{}: {e}", path.display())))
}

/// Writes a genesis file.
pub(crate) fn write(path: &Path, genesis: &Value) -> Result<(), Error> {
    fs::write(path, format!("{genesis:#}\n")).map_err(Error::file("write", path))
}

/// Gives an address coins, as `genesis add-genesis-account` does.
pub(crate) fn fund(genesis: &mut Value, address: &str, amount: u64) -> Result<(), Error> {
    let app = &mut genesis["app_state"];
    push(
        &mut app["auth"]["accounts"],
        json!({
            "@type": "/cosmos.auth.v1beta1.BaseAccount", "address": address,
            "pub_key": null, "account_number": "0", "sequence": "0",
        }),
    )?;
    let coins = json!([{"denom": "stake", "amount": amount.to_string()}]);
    push(
        &mut app["bank"]["balances"],
        json!({"address": address, "coins": coins}),
    )?;
    // The daemon adds the supply up itself when it is empty.
    app["bank"]["supply"] = json!([]);
    Ok(())
}

/// Funds the accounts and sets the parameters that decide how fast the devnet lives.
pub(crate) fn prepare(
    genesis: &mut Value,
    spec: &ProviderSpec,
    addresses: &[(String, String)],
) -> Result<(), Error> {
    for (name, address) in addresses {
        let validator = spec
            .validators
            .iter()
            .find(|validator| validator.name == *name);
        fund(
            genesis,
            address,
            POCKET + validator.map_or(0, |validator| validator.stake),
        )?;
    }
    let app = &mut genesis["app_state"];
    let unbonding = match spec.profile {
        Profile::Long => "1814400s",
        Profile::Short => "40s",
    };
    let voting = format!("{}s", spec.voting_period.as_secs());
    // Expedited votes must be shorter than others.
    let expedited = format!("{}s", spec.voting_period.as_secs().div_ceil(2));
    for (pointer, value) in [
        ("/staking/params/unbonding_time", json!(unbonding)),
        (
            "/provider/params/blocks_per_epoch",
            json!(spec.blocks_per_epoch.to_string()),
        ),
        ("/gov/params/voting_period", json!(voting)),
        ("/gov/params/expedited_voting_period", json!(expedited)),
        ("/gov/params/max_deposit_period", json!(voting)),
        (
            "/gov/params/min_deposit",
            json!([{"denom": "stake", "amount": "1"}]),
        ),
        (
            "/gov/params/expedited_min_deposit",
            json!([{"denom": "stake", "amount": "2"}]),
        ),
        // A node that a test stops for a minute must not be jailed for it.
        ("/slashing/params/signed_blocks_window", json!("10000")),
    ] {
        let place = app.pointer_mut(pointer);
        *place.ok_or_else(|| Error::Reply(format!("genesis without app_state{pointer}")))? = value;
    }
    Ok(())
}

/// Adds the validators' signed creations, as `genesis collect-gentxs` does.
pub(crate) fn collect(genesis: &mut Value, creations: Vec<Value>) {
    genesis["app_state"]["genutil"]["gen_txs"] = Value::Array(creations);
}

fn push(list: &mut Value, item: Value) -> Result<(), Error> {
    match list.as_array_mut() {
        Some(list) => list.push(item),
        None => return Err(Error::Reply(format!("genesis: no list for {item}"))),
    }
    Ok(())
}
