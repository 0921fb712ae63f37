//! From decisions to actions: what is started, what waits, what people are told.

use super::Machine;
use crate::action::{Action, Level, Notice, OpId, Query};
use crate::consumer::{Consumer, Want};
use crate::decide::{World, decide};
use crate::id::ConsumerId;
use crate::schedule;
use crate::status::{Alarm, Stage};
use crate::time::{Height, UnixTime};

impl Machine {
    /// Decides about every consumer that something happened to, or that may start now what it had
    /// to wait with.
    pub(super) fn work(&mut self, now: UnixTime, actions: &mut Vec<Action>) {
        let Some((height, time, _)) = self.block else {
            return;
        };
        self.file();
        while let Some(id) = self.next_consumer() {
            let world = World {
                now,
                block: (height, time),
                silent: self.silent,
                local: &self.local,
                policy: &self.policy,
                nodes_known: self.nodes_known,
                ports: self.ports.as_ref(),
                consumers: self.consumers.len(),
                index: &self.index,
                counted: self.counted,
            };
            let Some(consumer) = self.consumers.get_mut(&id) else {
                continue;
            };
            let plan = decide(consumer, &world);
            (consumer.wake, consumer.wake_at_block) = (plan.wake, plan.wake_at_block);
            (consumer.held, consumer.unplaced) = (plan.held, plan.unplaced);
            publish(consumer, plan.stage, plan.why, plan.alarms, actions);
            if let Some((kind, urgency)) = consumer.waiting.take()
                && let Some(queue) = self.waiting.get_mut(&kind)
            {
                queue.remove(&(urgency, id));
            }
            if consumer.doing.is_none() {
                self.start_first(now, id, plan.wants, actions);
            }
            let before = self.index.counts();
            if let Some(consumer) = self.consumers.get_mut(&id) {
                self.index.file(consumer);
            }
            self.offer_room(before);
        }
    }

    /// Starts the first of these that may start.
    fn start_first(
        &mut self,
        now: UnixTime,
        id: ConsumerId,
        wants: Vec<Want>,
        actions: &mut Vec<Action>,
    ) {
        for want in wants {
            if self.start(now, id, want, actions) {
                break;
            }
        }
    }

    /// The next consumer to decide about: one that something happened to, else the most urgent of
    /// those that wait for something that may be started again.
    fn next_consumer(&mut self) -> Option<ConsumerId> {
        if !self.counted && self.dirty.is_empty() && self.scan.done_once && self.index.is_counted()
        {
            self.counted = true;
            self.dirty.extend(self.index.held());
        }
        self.dirty.pop_first().or_else(|| {
            let free = |kind| self.busy.get(kind).copied().unwrap_or(0) < schedule::at_once(*kind);
            let mut queues = self.waiting.iter().filter(|(kind, _)| free(kind));
            queues.find_map(|(_, queue)| queue.first().map(|(_, id)| *id))
        })
    }

    /// Starts what a consumer wants, or lets it wait for its turn; whether it was started.
    fn start(
        &mut self,
        now: UnixTime,
        id: ConsumerId,
        want: Want,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return false;
        };
        let kind = want.kind();
        let busy = self.busy.entry(kind).or_default();
        if *busy >= schedule::at_once(kind) {
            // The most urgent want decides what is waited for.
            if consumer.waiting.is_none() {
                let urgency = consumer.urgency();
                consumer.waiting = Some((kind, urgency));
                self.waiting.entry(kind).or_default().insert((urgency, id));
            }
            return false;
        }
        *busy += 1;
        self.next_op += 1;
        let op = OpId(self.next_op);
        let action = action(op, id, consumer.created, want.clone());
        let deadline = now + action.time_limit();
        self.ops.insert(op, (id, deadline));
        self.deadlines.insert((deadline, op));
        actions.push(action);
        consumer.doing = Some(want);
        true
    }
}

/// Remembers what is published of a consumer, and tells people what is new.
fn publish(
    consumer: &mut Consumer,
    stage: Stage,
    why: String,
    alarms: Vec<Alarm>,
    actions: &mut Vec<Action>,
) {
    let notice = |level, text| {
        Action::Notify(Notice {
            consumer_id: Some(consumer.id),
            level,
            text,
        })
    };
    let (last_stage, last_why, last_alarms) = &consumer.view;
    if *last_stage != stage || *last_why != why {
        actions.push(notice(Level::Info, format!("{stage}: {why}")));
    }
    for alarm in alarms.iter().filter(|alarm| !last_alarms.contains(alarm)) {
        actions.push(notice(alarm.level, alarm.text.clone()));
    }
    consumer.view = (stage, why, alarms);
}

fn action(op: OpId, consumer_id: ConsumerId, created: Option<Height>, want: Want) -> Action {
    match want {
        Want::Apply(spec) => Action::Apply { op, spec },
        Want::Broadcast(tx) => Action::Broadcast { op, tx },
        Want::BuildGenesis {
            source,
            expect,
            height,
            keys,
        } => Action::BuildGenesis {
            op,
            consumer_id,
            source,
            expect,
            height,
            keys,
        },
        Want::Candidates => Action::Query {
            op,
            query: Query::Candidates {
                consumer_id,
                created,
            },
        },
        Want::Check(check) => Action::CheckReady { op, check },
        Want::ConsumerSet { rpc_port } => Action::Query {
            op,
            query: Query::ConsumerSet {
                consumer_id,
                rpc_port,
            },
        },
        Want::Delete => Action::Delete { op, consumer_id },
        Want::HoldsKey(key) => Action::Query {
            op,
            query: Query::HoldsKey(key),
        },
        Want::Look(height) => Action::Query {
            op,
            query: Query::Consumer {
                consumer_id,
                height,
            },
        },
        Want::PrepareKey => Action::PrepareKey { op, consumer_id },
        Want::Stop => Action::Stop { op, consumer_id },
    }
}
