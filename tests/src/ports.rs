//! TCP ports on 127.0.0.1 that stay ours, so that a node comes back where it was.
//!
//! They lie below the range from which the kernel serves outgoing connections (32768 on Linux),
//! else such a connection could sit on the port of a stopped node. Blocks of them are claimed by
//! locks in the cache folder, which keeps test processes that run at once apart.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::Error;
use crate::cache::{Lock, folder};

/// The first port of the first block.
const FIRST: u16 = 20_000;
/// Ports in a block.
const SIZE: u16 = 100;
/// Number of blocks.
const BLOCKS: u16 = 120;

/// A claimed block; the claim lasts as long as this process.
struct Block {
    next: u16,
    end: u16,
    _lock: Lock,
}

/// The blocks of this process, the one in use last; a full one keeps its ports claimed.
static BLOCKS_HELD: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// Returns a port that nobody listens on and that is given out only once.
///
/// # Errors
/// When all blocks are claimed, or the cache folder cannot be written.
pub fn free() -> Result<u16, Error> {
    // A panic cannot leave the counter half moved.
    let mut held = BLOCKS_HELD.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let Some(block) = held.last_mut().filter(|block| block.next < block.end) else {
            let from = held.last().map_or(FIRST, |block| block.end);
            held.push(claim(from)?);
            continue;
        };
        let port = block.next;
        block.next += 1;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
}

/// Claims the first block nobody holds, starting at the given port.
fn claim(from: u16) -> Result<Block, Error> {
    let locks = folder()?.join("ports");
    let ends = FIRST + BLOCKS * SIZE;
    for next in (from..ends).step_by(usize::from(SIZE)) {
        if let Some(lock) = Lock::try_exclusive(&locks.join(next.to_string()))? {
            return Ok(Block {
                next,
                end: next + SIZE,
                _lock: lock,
            });
        }
    }
    Err(Error::Setup(format!(
        "no free ports from {from} to {ends}: end other runs of the devnet"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_out_once() -> Result<(), Error> {
        assert_ne!(free()?, free()?);
        Ok(())
    }
}
