//! What an event of the provider chain says to the core: look at this consumer.
//!
//! Event names: `x/ccv/provider/types/events.go` and `x/ccv/types/events.go` of
//! interchain-security v7.

use crate::id::ConsumerId;

/// A hint to look at something; it never changes a state by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Event {
    /// A consumer was created in this block, so selection is made at this height.
    Created(ConsumerId),
    /// A packet failed or timed out: one of the launched consumers may have been stopped.
    MaybeStopped,
    /// Something about this consumer changed.
    Touched(ConsumerId),
}

impl Event {
    /// Reads one event of a block or transaction: its type and its attributes.
    ///
    /// `None` for all events that mean nothing here, malformed ones included: a lost hint costs
    /// time, not truth. `update_consumer` is also emitted by reward transfers, which carry a
    /// `reward_denom` and are not updates.
    pub fn read<'a>(
        kind: &str,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Option<Self> {
        match kind {
            "timeout" => return Some(Self::MaybeStopped),
            // Emitted for every acknowledgement; only a refused packet stops its consumer.
            "ccv_packet" => {
                let refused = attributes.into_iter().any(|(key, _)| key == "error");
                return refused.then_some(Self::MaybeStopped);
            }
            "create_consumer"
            | "update_consumer"
            | "remove_consumer"
            | "consumer_client_created"
            | "opt_in"
            | "opt_out"
            | "assign_consumer_key"
            | "channel_established" => {}
            _ => return None,
        }
        let mut consumer_id = None;
        for (key, value) in attributes {
            match key {
                "consumer_id" => consumer_id = value.parse().ok(),
                "reward_denom" => return None,
                _ => {}
            }
        }
        let consumer_id = consumer_id?;
        Some(match kind {
            "create_consumer" => Self::Created(consumer_id),
            _ => Self::Touched(consumer_id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reward_transfer_is_not_an_update() {
        let id = ("consumer_id", "4");
        let touched = Some(Event::Touched(ConsumerId::new(4)));
        assert_eq!(Event::read("update_consumer", [id]), touched);
        assert_eq!(
            Event::read("update_consumer", [id, ("reward_denom", "ibc/A")]),
            None
        );
    }

    #[test]
    fn only_a_refused_packet_may_have_stopped_a_consumer() {
        assert_eq!(
            Event::read("ccv_packet", [("acknowledgement", "AQ==")]),
            None
        );
        let refused = Event::read("ccv_packet", [("error", "ABCI code: 2")]);
        assert_eq!(refused, Some(Event::MaybeStopped));
    }

    #[test]
    fn malformed_ids_are_no_hints() {
        assert_eq!(Event::read("opt_in", [("consumer_id", "007")]), None);
        assert_eq!(Event::read("opt_in", []), None);
        assert_eq!(Event::read("transfer", [("consumer_id", "4")]), None);
    }
}
