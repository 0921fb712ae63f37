//! What the engine says of a container, as a [`NodeStatus`].

use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum};
use ics_core::artifact::Digest;
use ics_core::deploy::{NodeSigner, NodeState, NodeStatus};
use ics_core::id::ConsumerId;

use crate::labels::{self, Labels};

/// One of our containers, as the engine reports it.
pub(crate) struct Container {
    /// Its id, which stays when a person renames it.
    pub(crate) id: String,
    /// Its labels.
    pub(crate) labels: Labels,
    /// What it does.
    pub(crate) state: NodeState,
    /// Whether it has a process, or the engine is about to start one.
    pub(crate) life: Life,
    /// The host addresses and ports that it publishes.
    pub(crate) published: Vec<(String, String)>,
    /// Its named volumes and where they are mounted.
    mounts: Vec<(String, String)>,
}

/// Whether a container may be executing now or soon, without our doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It has a process, or the engine will start one.
    Alive,
    /// It has none and gets none.
    Ended,
}

impl Container {
    /// Reads the engine's report.
    pub(crate) fn new(report: ContainerInspectResponse) -> Self {
        let restarts = report.restart_count.unwrap_or(0);
        let state = report.state.unwrap_or_default();
        let config = report.config.unwrap_or_default();
        let bindings = report.host_config.and_then(|it| it.port_bindings);
        let published = bindings.into_iter().flatten();
        let mounts = report.mounts.unwrap_or_default().into_iter();
        Self {
            id: report.id.unwrap_or_default(),
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            life: life(&state),
            state: node_state(&state, restarts),
            published: published
                .flat_map(|(_, hosts)| hosts.unwrap_or_default())
                .filter_map(|it| Some((it.host_ip?, it.host_port?)))
                .collect(),
            mounts: mounts
                .filter_map(|it| Some((it.name?, it.destination?)))
                .collect(),
        }
    }

    /// Where a named volume is mounted.
    pub(crate) fn mount_of(&self, volume: &str) -> Option<&str> {
        let mut mounts = self.mounts.iter();
        mounts
            .find(|(name, _)| name == volume)
            .map(|(_, place)| place.as_str())
    }

    /// The digest of the spec that it was made from.
    pub(crate) fn spec(&self) -> Option<Digest> {
        labels::read(&self.labels, labels::SPEC, Digest::from_hex)
    }

    /// What it signs with.
    pub(crate) fn signer(&self) -> NodeSigner {
        labels::signer_of(&self.labels)
    }

    /// The status to report; `None` if its labels name no consumer.
    pub(crate) fn status(&self) -> Option<NodeStatus> {
        Some(NodeStatus {
            consumer_id: labels::read(&self.labels, labels::CONSUMER, |it| it.parse().ok())?,
            state: self.state.clone(),
            spec: self.spec(),
            genesis: labels::read(&self.labels, labels::GENESIS, Digest::from_hex),
            p2p_port: labels::read(&self.labels, labels::P2P_PORT, |it| it.parse().ok()),
            signer: self.signer(),
        })
    }
}

/// The status of a consumer of which only the volume is left.
pub(crate) fn of_data_alone(consumer_id: ConsumerId) -> NodeStatus {
    NodeStatus {
        consumer_id,
        state: NodeState::Stopped,
        spec: None,
        genesis: None,
        p2p_port: None,
        signer: NodeSigner::None,
    }
}

fn life(state: &ContainerState) -> Life {
    use ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::CREATED | Status::EXITED | Status::REMOVING | Status::DEAD) => Life::Ended,
        _ => Life::Alive,
    }
}

/// The restart policy starts every node that ends by itself again, so one that stays ended was
/// stopped, whatever its exit code; only an error says that the engine could not start it.
fn node_state(state: &ContainerState, restarts: i64) -> NodeState {
    use ContainerStateStatusEnum as Status;
    let error = state.error.as_deref().unwrap_or_default();
    match state.status {
        Some(Status::RUNNING | Status::STOPPING) => NodeState::Running,
        Some(Status::PAUSED) => NodeState::Failing("paused; docker unpause resumes it".into()),
        Some(Status::CREATED | Status::EXITED | Status::REMOVING) if error.is_empty() => {
            NodeState::Stopped
        }
        _ => {
            let code = state.exit_code.unwrap_or(0);
            let memory = match state.oom_killed {
                Some(true) => ", out of memory",
                _ => "",
            };
            let reason = if error.is_empty() { "" } else { ": " };
            NodeState::Failing(format!(
                "exit code {code}{memory}, restarted {restarts} times{reason}{error}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: ContainerStateStatusEnum, code: i64) -> ContainerState {
        ContainerState {
            status: Some(status),
            exit_code: Some(code),
            ..ContainerState::default()
        }
    }

    #[test]
    fn a_stop_is_not_a_failure_and_a_crash_is() {
        use ContainerStateStatusEnum as Status;
        for code in [0, 3, 137] {
            let ended = state(Status::EXITED, code);
            assert_eq!(node_state(&ended, 0), NodeState::Stopped);
        }
        let crash = node_state(&state(Status::RESTARTING, 2), 5);
        assert_eq!(
            crash,
            NodeState::Failing("exit code 2, restarted 5 times".into())
        );
        assert_eq!(life(&state(Status::RESTARTING, 2)), Life::Alive);
        let refused = ContainerState {
            error: Some("port in use".into()),
            ..state(Status::CREATED, 128)
        };
        let text = "exit code 128, restarted 0 times: port in use";
        assert_eq!(node_state(&refused, 0), NodeState::Failing(text.into()));
    }
}
