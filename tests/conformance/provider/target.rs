//! A provider to play against: the embedded one, or the real one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ics_core::time::UnixTime;
use ics_fixtures::cast::Cast;
use ics_fixtures::chain::{Chain, Params};
use ics_fixtures::node::Node;
use ics_monitor::provider::Provider;
use ics_monitor::rpc::Rpc;
use ics_tests::provider::{Profile, ProviderChain, ProviderSpec};
use ics_tests::{Daemons, Error};

use crate::signed::Signer;

/// An account that nobody has given anything, by its mnemonic: one of BIP-39's test vectors.
const NOBODY: (&str, &str) = (
    "nobody",
    "jelly better achieve collect unaware mountain thought cargo oxygen act hood bridge",
);

/// What both chains are set to; all else is what a new chain of the daemon has.
const UNBONDING: Duration = Duration::from_secs(40);
pub(crate) const VOTING: Duration = Duration::from_secs(4);
const BLOCKS_PER_EPOCH: u64 = 10;
/// How much later each block of the embedded chain is.
const BLOCK: Duration = Duration::from_millis(400);
/// How often a real node is asked for its next block.
const POLL: Duration = Duration::from_millis(30);

/// A provider and those who use it.
pub(crate) struct Target {
    pub(crate) provider: Provider,
    signers: BTreeMap<String, Signer>,
    /// The embedded chain, whose blocks are made by who waits for them.
    node: Option<Node>,
}

impl Target {
    /// An embedded provider.
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let cast = Cast::write(folder.path(), "cosmos").expect("mnemonics are written");
        let params = Params {
            unbonding: UNBONDING,
            voting_period: VOTING,
            blocks_per_epoch: BLOCKS_PER_EPOCH,
            ..Params::default()
        };
        let time = UnixTime::from_rfc3339("2026-01-01T00:00:00Z").expect("a time");
        let genesis = cast.genesis("provider-1", time, params);
        let listen = ([127, 0, 0, 1], 0).into();
        let node = Node::start(Chain::new(genesis), listen).await;
        let node = node.expect("a port is free");
        node.step(time);
        let signers = signers(|name| Ok(cast.mnemonic_file(name)));
        let signers = signers.expect("everybody has a mnemonic");
        Self::new(&node.url(), signers, Some(node))
    }

    /// A real provider, which lives as long as what is returned beside it.
    pub(crate) async fn real(folder: &Path) -> Result<(Self, ProviderChain), Error> {
        let spec = ProviderSpec {
            profile: Profile::Short,
            accounts: vec!["owner".into()],
            block_time: Duration::from_millis(10),
            blocks_per_epoch: BLOCKS_PER_EPOCH,
            voting_period: VOTING,
            ..ProviderSpec::default()
        };
        let chain = ProviderChain::start(&Daemons::build().await?, spec, folder).await?;
        let signers = signers(|name| chain.mnemonic_file(name))?;
        let target = Self::new(chain.rpc_url("alice")?, signers, None);
        Ok((target, chain))
    }

    fn new(url: &str, signers: BTreeMap<String, Signer>, node: Option<Node>) -> Self {
        Self {
            signers,
            provider: Provider::new(Rpc::new(url).expect("an address")),
            node,
        }
    }

    /// All who sign, by name.
    pub(crate) const fn signers(&self) -> &BTreeMap<String, Signer> {
        &self.signers
    }

    /// Who has this name.
    pub(crate) fn signer(&self, name: &str) -> Result<&Signer, String> {
        let found = self.signers.get(name);
        found.ok_or_else(|| format!("nobody is called {name}"))
    }

    /// Waits a while for the next block, or makes it.
    pub(crate) async fn next_block(&self) {
        match &self.node {
            Some(node) => {
                let time = node.with(|chain| chain.state().time);
                node.step(time + BLOCK);
            }
            None => tokio::time::sleep(POLL).await,
        }
    }
}

/// Those of the cast, from the files of their mnemonics, and nobody.
fn signers(
    file: impl Fn(&str) -> Result<PathBuf, Error>,
) -> Result<BTreeMap<String, Signer>, Error> {
    let mut signers = BTreeMap::new();
    for name in Cast::names() {
        let mnemonic = fs::read_to_string(file(name)?).expect("a mnemonic can be read");
        signers.insert(name.to_owned(), Signer::new(&mnemonic));
    }
    let (name, mnemonic) = NOBODY;
    signers.insert(name.to_owned(), Signer::new(mnemonic));
    Ok(signers)
}
