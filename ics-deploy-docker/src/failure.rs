//! What an answer of the engine means: bollard's errors as [`Failure`]s with a cure.

use std::error::Error as _;

use bollard::errors::Error;
use ics_core::failure::Failure;

/// The cures of refusals that the engine words alike in all versions, by a part of its text.
const CURES: [(&str, &str); 4] = [
    (
        "port is already allocated",
        "stop the container that publishes this port",
    ),
    (
        "address already in use",
        "stop the program that listens on this port",
    ),
    (
        "cannot assign requested address",
        "set the publish and RPC addresses to addresses of this host",
    ),
    (
        "permission denied",
        "run as root or as a member of the group that owns the Docker socket",
    ),
];

/// The failure of `action`, worded as "cannot <action>".
pub(crate) fn refused(action: &str, error: &Error) -> Failure {
    let text = explain(error);
    let cure = CURES
        .iter()
        .find(|(part, _)| text.to_lowercase().contains(part))
        .map_or(String::new(), |(_, cure)| format!("; {cure}"));
    let message = format!("cannot {action}: {text}{cure}");
    match error {
        // The engine understood and refused; the same words will be refused again.
        Error::DockerResponseServerError {
            status_code: 400..=403 | 405..=408,
            ..
        } => Failure::permanent(message),
        // Absent, in conflict with something that is under way, or the engine's own trouble (a port
        // in use, no space): nothing tells us when it passes, so trying again has to find out.
        Error::DockerResponseServerError { .. } | Error::SocketNotFoundError(_) => {
            Failure::transient(message)
        }
        Error::HyperLegacyError { err } if err.is_connect() => Failure::transient(message),
        _ => Failure::unknown(message),
    }
}

/// Whether the engine answered that the thing is not there.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}

/// One line: the engine's own words where it gave some, else the error with its causes.
fn explain(error: &Error) -> String {
    let mut text = match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::RequestTimeoutError => "the Docker engine did not answer in time".to_owned(),
        other => other.to_string(),
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use ics_core::failure::FailureKind;

    use super::*;

    fn answer(status_code: u16, message: &str) -> Error {
        Error::DockerResponseServerError {
            status_code,
            message: message.into(),
        }
    }

    #[test]
    fn the_kind_follows_what_the_engine_said() {
        for (error, kind) in [
            (answer(400, "bad"), FailureKind::Permanent),
            (answer(404, "gone"), FailureKind::Transient),
            (answer(409, "removal in progress"), FailureKind::Transient),
            (answer(500, "no space"), FailureKind::Transient),
            (Error::RequestTimeoutError, FailureKind::Unknown),
        ] {
            assert_eq!(refused("act", &error).kind, kind, "{error:?}");
        }
    }

    #[test]
    fn a_port_in_use_names_the_cure_in_one_line() {
        let failure = refused(
            "start x",
            &answer(500, "Bind for 0.0.0.0:1 failed:\nport is already allocated"),
        );
        assert!(
            failure.message.ends_with("publishes this port"),
            "{failure}"
        );
        assert!(!failure.message.contains('\n'));
    }
}
