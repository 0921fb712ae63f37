//! What a real provider said, read by the code that talks to one.
//!
//! The answers in `fixtures/recorded` are decoded, encoded again and compared, directly and through
//! a scripted node that serves them over HTTP and WebSocket.

mod events;
mod feed;
mod node;
mod proof;
mod provider;
mod records;
mod standing;
