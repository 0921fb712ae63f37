//! From decisions to actions: what is started, what waits, what people are told.

use std::sync::Arc;

use super::Machine;
use crate::action::{Action, Level, Notice, OpId, Query};
use crate::consumer::{Consumer, Want};
use crate::decide::{World, decide};
use crate::id::ConsumerId;
use crate::index::Index;
use crate::predict::{Pace, Prediction};
use crate::schedule;
use crate::snapshot::LocalValidator;
use crate::status::ConsumerStatus;
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
            if plan.chosen.is_some() {
                consumer.chosen = plan.chosen;
            }
            let prediction = predict(consumer, &self.local, &self.pace, &self.index);
            let status = consumer.view(plan.stage, plan.why, plan.alarms, prediction);
            if *consumer.status != status {
                actions.extend(news(&consumer.status, &status));
                consumer.status = Arc::new(status);
                self.changed.insert(id);
            }
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
                self.index.file(consumer, self.local.provider_key);
            }
            self.offer_room(before);
        }
    }

    /// Predicts the next launches anew, because blocks go faster or slower than they did. All others
    /// are predicted anew when they are read.
    pub(super) fn predict_next_launches(&mut self) {
        for id in self.index.next_launches() {
            let Some(consumer) = self.consumers.get_mut(&id) else {
                continue;
            };
            let prediction = predict(consumer, &self.local, &self.pace, &self.index);
            if consumer.status.prediction != prediction {
                Arc::make_mut(&mut consumer.status).prediction = prediction;
                self.changed.insert(id);
            }
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

fn predict(
    consumer: &Consumer,
    local: &LocalValidator,
    pace: &Pace,
    index: &Index,
) -> Option<Prediction> {
    let snapshot = consumer.snapshot()?;
    let queue = index.queue(snapshot.spawn_time?, consumer.id);
    Prediction::of(snapshot, local, pace, queue)
}

/// What people are told that is new.
fn news(last: &ConsumerStatus, status: &ConsumerStatus) -> Vec<Action> {
    let notice = |level, text| {
        Action::Notify(Notice {
            consumer_id: Some(status.consumer_id),
            level,
            text,
        })
    };
    let mut news = Vec::new();
    if last.stage != status.stage || last.why != status.why {
        let text = format!("{}: {}", status.stage, status.why);
        news.push(notice(Level::Info, text));
    }
    let alarms = status.alarms.iter();
    let new = alarms.filter(|alarm| !last.alarms.contains(alarm));
    news.extend(new.map(|alarm| notice(alarm.level, alarm.text.clone())));
    news
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
        Want::HoldsKey(key, chain_id) => Action::Query {
            op,
            query: Query::HoldsKey(key, chain_id),
        },
        Want::Look(height) => Action::Query {
            op,
            query: Query::Consumer {
                consumer_id,
                height,
            },
        },
        Want::PrepareKey(origin) => Action::PrepareKey {
            op,
            consumer_id,
            origin,
        },
        Want::Stop => Action::Stop { op, consumer_id },
    }
}
