//! A monitor that dies at any point of a call: the next one, repeated, ends as if nothing had been.
//!
//! A call is cut off after each of its first so many waits, of which there is one before and after
//! every look at a store, every piece of file work and every answer of an engine. A piece that has
//! begun is done to its end: what a death inside one leaves is not seen here.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use ics_core::deploy::NodeState;

use crate::backend::Backend;
use crate::switch::{SIGNED, archived, signed};
use crate::world::{CONSUMER, World, assert_signs, eventually, key_of, moniker};

/// How much of a call is done before it is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// All of it.
    None,
    /// What it does until it has waited so often.
    After(usize),
}

/// Does a call up to a number of waits. Returns whether it came to its end before.
async fn cut<T>(call: impl Future<Output = T>, waits: usize) -> Cut {
    let mut call = pin!(call);
    let mut left = waits;
    poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(Cut::None),
        Poll::Pending if left == 0 => Poll::Ready(Cut::After(waits)),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Cuts a call off after 0, 1, 2 … waits, until it comes to its end; where a platform is slow, the
/// more rarely the more there were.
async fn everywhere<B: Backend>(mut once: impl AsyncFnMut(usize) -> Cut) {
    let mut waits = 0;
    while once(waits).await != Cut::None {
        waits += 1 + waits * B::SLOWNESS / 8;
    }
    assert!(waits > 0, "nothing was cut off");
}

pub(crate) async fn an_apply_cut_off_anywhere_ends_with_one_signing_node<B: Backend>(
    first: World<B>,
) {
    drop(first);
    everywhere::<B>(async |waits| {
        let world = World::<B>::new().await;
        let spec = world.spec();
        let done = cut(world.deployer.apply(&spec), waits).await;
        let status = world.apply_again(&spec).await;
        assert_signs(&status, &spec);
        assert_eq!(world.backend.running().await, 1, "{done:?}");
        done
    })
    .await;
}

pub(crate) async fn a_switch_cut_off_anywhere_ends_with_one_signing_node_and_the_old_state_kept<
    B: Backend,
>(
    first: World<B>,
) {
    drop(first);
    everywhere::<B>(async |waits| {
        let world = World::<B>::new().await;
        let (first, second) = signed(&world).await;
        let done = cut(world.deployer.apply(&second), waits).await;
        let status = world.apply_again(&second).await;
        assert_signs(&status, &second);
        assert_eq!(world.backend.running().await, 1, "{done:?}");
        let kept = world.keys.held(&key_of(&first));
        assert_eq!(kept, archived(SIGNED), "{done:?}");
        done
    })
    .await;
}

pub(crate) async fn a_stop_cut_off_anywhere_ends_with_a_stopped_node<B: Backend>(world: World<B>) {
    let mut spec = world.spec();
    everywhere::<B>(async |waits| {
        spec.settings.moniker = moniker(&format!("after-{waits}"));
        let status = world.apply_again(&spec).await;
        assert_signs(&status, &spec);
        let done = cut(world.deployer.stop(CONSUMER), waits).await;
        let deployer = world.restarted().await;
        eventually("a stop", async || deployer.stop(CONSUMER).await.ok()).await;
        let listed = deployer.list().await.expect("a list");
        assert_eq!(listed[0].state, NodeState::Stopped, "{done:?}");
        assert_eq!(world.backend.running().await, 0, "{done:?}");
        done
    })
    .await;
}

pub(crate) async fn a_delete_cut_off_anywhere_ends_with_nothing_left_and_the_state_archived<
    B: Backend,
>(
    first: World<B>,
) {
    drop(first);
    everywhere::<B>(async |waits| {
        let world = World::<B>::new().await;
        let (spec, _) = signed(&world).await;
        let done = cut(world.deployer.delete(CONSUMER), waits).await;
        let deployer = world.restarted().await;
        eventually("a delete", async || deployer.delete(CONSUMER).await.ok()).await;
        let kept = world.keys.held(&key_of(&spec));
        assert_eq!(kept, archived(SIGNED), "{done:?}");
        assert_eq!(deployer.list().await, Ok(Vec::new()), "{done:?}");
        assert_eq!(world.backend.running().await, 0, "{done:?}");
        assert!(!world.backend.has_storage().await, "{done:?}");
        done
    })
    .await;
}
