//! What must hold of every world once its faults are over.

use ics_core::action::Level;
use ics_core::deploy::{NodeSigner, NodeState, NodeStatus};
use ics_core::phase::Phase;
use ics_core::status::{ConsumerStatus, Stage};

use crate::world::World;
use crate::world::chain::Record;

/// Nothing went wrong on the way, and (I7) our stages match the provider's phases; else what does
/// not hold.
pub(crate) fn ended_well(world: &World) -> Result<(), String> {
    let wrong = world.wrong();
    if !wrong.is_empty() {
        return Err(format!("{wrong:#?}"));
    }
    for (id, record) in &world.chain.consumers {
        let status = world.machine.consumers().find(|c| c.consumer_id == *id);
        let fits = match &status {
            Some(status) => fits(world, status, record),
            // What was deleted before a restart is never read again.
            None => record.phase == Phase::Deleted && !world.nodes.all.contains_key(id),
        };
        if !fits {
            return Err(format!("does not fit: {status:#?}\n{record:#?}"));
        }
    }
    let failing =
        |node: &&NodeStatus| matches!(node.state, NodeState::Ended(_) | NodeState::Failing(_));
    match world.nodes.all.values().find(failing) {
        Some(node) => Err(format!("{node:?}")),
        None => Ok(()),
    }
}

/// Whether the node signs with the key of ours that the consumer's own set has, if it has one.
fn signs(world: &World, status: &ConsumerStatus, record: &Record) -> bool {
    let keys = world.keys.of(status.consumer_id);
    let mut counting = keys.into_iter().filter(|key| record.own_set.contains(key));
    let signer = world.nodes.all.get(&status.consumer_id).map(|n| &n.signer);
    counting.all(|key| signer == Some(&NodeSigner::Key(key)))
}

/// Whether our stage is one that fits the provider's phase and our part in it.
fn fits(world: &World, status: &ConsumerStatus, record: &Record) -> bool {
    let runs = world.nodes.runs(status.consumer_id);
    let critical = status.alarms.iter().any(|a| a.level == Level::Critical);
    let takes_part = record.opted_in.contains(&0) || record.top_n > 0;
    match record.phase {
        Phase::Registered | Phase::Initialized if takes_part => {
            status.stage == Stage::AwaitingLaunch
        }
        Phase::Registered | Phase::Initialized => {
            matches!(status.stage, Stage::Ignored | Stage::Watching)
        }
        // I11: our key in the set means a node, or someone is told what to do.
        Phase::Launched if record.counts_on_us() => {
            (runs && status.stage == Stage::Running && signs(world, status, record)) || critical
        }
        // An order that cannot be followed is told, and the node of before is left as it is.
        Phase::Launched if status.stage == Stage::Watching && runs => {
            critical || status.why.contains("not ready")
        }
        // Its own set can never become empty: the chain has halted with us in it.
        Phase::Launched if record.set.is_empty() && status.stage == Stage::Leaving => runs,
        Phase::Launched => {
            !runs
                && matches!(
                    status.stage,
                    Stage::Ignored | Stage::Watching | Stage::Stopped
                )
        }
        Phase::Stopped => !runs && status.stage == Stage::Stopped,
        Phase::Deleted => {
            status.stage == Stage::Deleted && !world.nodes.all.contains_key(&status.consumer_id)
        }
    }
}
