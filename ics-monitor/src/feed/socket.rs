//! One WebSocket connection that is subscribed to block headers.
//!
//! A thin client of our own: that of `tendermint-rpc` 0.41 drops header frames without a word, and
//! tells nothing of pings and close reasons.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::FeedSettings;
use super::frame::{Frame, Header};
use super::pace::Pace;

/// A connection that takes longer than this to stand is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// No header frame comes near this; a larger one is not read.
const MAX_FRAME: usize = 1 << 20;

/// The only subscription: small frames, one for each height.
const SUBSCRIBE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"query":"tm.event='NewBlockHeader'"}}"#;

/// A subscribed connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// The WebSocket address of a node with this RPC address.
pub(super) fn address(rpc_url: &str) -> String {
    let (scheme, rest) = rpc_url.split_once("://").unwrap_or(("http", rpc_url));
    let scheme = if scheme.eq_ignore_ascii_case("https") {
        "wss"
    } else {
        "ws"
    };
    format!("{scheme}://{}/websocket", rest.trim_end_matches('/'))
}

impl Socket {
    /// Connects to this address and subscribes; the error says why that failed.
    pub(super) async fn open(address: &str) -> Result<Self, String> {
        let late = |_| format!("{address}: no subscription within {PATIENCE:?}");
        let opened = timeout(PATIENCE, Self::subscribe(address)).await;
        opened
            .map_err(late)?
            .map_err(|reason| format!("{address}: {reason}"))
    }

    async fn subscribe(address: &str) -> Result<Self, String> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        let (stream, _) = connect_async_with_config(address, Some(config), true)
            .await
            .map_err(|error| error.to_string())?;
        let mut socket = Self { stream };
        socket.send(Message::text(SUBSCRIBE)).await?;
        loop {
            match socket.next().await? {
                Some(Frame::Error(reason)) => return Err(format!("not subscribed: {reason}")),
                // A header can overtake the answer. It is not lost: who connects asks for the
                // newest height afterwards.
                Some(Frame::Subscribed | Frame::Header(_)) => return Ok(socket),
                Some(Frame::Other) | None => {}
            }
        }
    }

    /// Publishes each header until the connection ends, and returns why it ended.
    ///
    /// Only the newest header is kept, so a slow reader costs no memory and no pong.
    pub(super) async fn read(
        &mut self,
        settings: &FeedSettings,
        pace: &mut Pace,
        newest: watch::Sender<Header>,
    ) -> String {
        let mut heard = Instant::now();
        let mut first = true;
        let mut ping_at = heard + settings.ping_every;
        loop {
            let silence = settings.silence(pace.interval());
            let deadline = heard + silence;
            let Ok(frame) = timeout_at(deadline.min(ping_at), self.next()).await else {
                if Instant::now() >= deadline {
                    return format!("no block header for {silence:?}");
                }
                ping_at = Instant::now() + settings.ping_every;
                if let Err(reason) = self.send(Message::Ping(Bytes::new())).await {
                    return reason;
                }
                continue;
            };
            ping_at = Instant::now() + settings.ping_every;
            match frame {
                Err(reason) => return reason,
                Ok(Some(Frame::Error(reason))) => return reason,
                Ok(Some(Frame::Header(header))) => {
                    // The time to the first header is not a whole interval.
                    if !first {
                        pace.note(heard.elapsed());
                    }
                    (heard, first) = (Instant::now(), false);
                    newest.send_replace(header);
                }
                Ok(Some(Frame::Other | Frame::Subscribed) | None) => {}
            }
        }
    }

    /// The next frame; `None` for pings and pongs. Pings are answered by the library.
    async fn next(&mut self) -> Result<Option<Frame>, String> {
        match self.stream.next().await {
            None => Err("the node closed the connection".into()),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(Message::Text(text))) => Frame::read(&text)
                .map(Some)
                .ok_or_else(|| "the node sent a frame that CometBFT does not send".into()),
            Some(Ok(Message::Close(frame))) => Err(match frame {
                Some(frame) => format!("the node closed the connection: {:?}", frame.reason),
                None => "the node closed the connection".into(),
            }),
            Some(Ok(_)) => Ok(None),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), String> {
        match timeout(PATIENCE, self.stream.send(message)).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err(format!("the node took nothing for {PATIENCE:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_lies_beside_the_rpc() {
        for (rpc, socket) in [
            ("http://127.0.0.1:26657", "ws://127.0.0.1:26657/websocket"),
            (
                "https://rpc.example.org/a/",
                "wss://rpc.example.org/a/websocket",
            ),
            ("HTTPS://rpc.example.org", "wss://rpc.example.org/websocket"),
        ] {
            assert_eq!(address(rpc), socket);
        }
    }
}
