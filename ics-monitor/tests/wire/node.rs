//! A scripted CometBFT node: real HTTP and WebSocket on one port, answers from a function.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use ics_monitor::rpc::Rpc;

/// The answer to a call: its result, or the text of an error.
pub(crate) type Answer = Result<Value, String>;

type Script = Arc<dyn Fn(&str, &Value) -> Answer + Send + Sync>;

/// What the node sends on every subscribed WebSocket.
#[derive(Clone, Debug)]
pub(crate) enum Push {
    /// Closes the connection.
    Close,
    /// A frame.
    Text(String),
}

/// A running node; it ends when dropped.
pub(crate) struct Node {
    url: String,
    pushes: broadcast::Sender<Push>,
    subscriptions: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    /// Starts a node that answers calls (method, parameters) by this function.
    pub(crate) async fn start(
        script: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (pushes, _) = broadcast::channel(1024);
        let (count, subscriptions) = watch::channel(0);
        let (script, count): (Script, _) = (Arc::new(script), Arc::new(count));
        let sender = pushes.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, sender) = (script.clone(), sender.clone());
                tokio::spawn(serve(stream, script, sender, count.clone()));
            }
        });
        Self {
            url: format!("http://{address}"),
            pushes,
            subscriptions,
            task,
        }
    }

    /// A client of it.
    pub(crate) fn rpc(&self) -> Rpc {
        Rpc::new(&self.url).expect("a URL")
    }

    /// Sends this to all subscribers.
    pub(crate) fn push(&self, push: Push) {
        // Nobody may be subscribed just now; what is pushed then is lost, as on a real node.
        self.pushes.send(push).ok();
    }

    /// Waits until this many subscriptions were made since the start.
    pub(crate) async fn subscribed(&self, count: usize) {
        let mut subscriptions = self.subscriptions.clone();
        let wait = subscriptions.wait_for(|made| *made >= count);
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.expect("a subscription in time").expect("a node");
    }
}

async fn serve(
    stream: TcpStream,
    script: Script,
    pushes: broadcast::Sender<Push>,
    count: Arc<watch::Sender<usize>>,
) {
    let mut start = [0; 14];
    while let Ok(read) = stream.peek(&mut start).await {
        if read == start.len() {
            break;
        }
    }
    // A client that goes away ends its connection and nothing else.
    if &start == b"GET /websocket" {
        serve_socket(stream, pushes, count).await;
    } else {
        serve_http(stream, script).await.ok();
    }
}

async fn serve_http(stream: TcpStream, script: Script) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let call: Value = serde_json::from_slice(&body).expect("a JSON-RPC call");
        let method = call["method"].as_str().expect("a method");
        let answer = match script(method, &call["params"]) {
            Ok(result) => json!({"jsonrpc": "2.0", "id": call["id"], "result": result}),
            Err(text) => json!({"jsonrpc": "2.0", "id": call["id"],
                "error": {"code": -32603, "message": "Internal error", "data": text}}),
        };
        let body = answer.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
    }
}

async fn serve_socket(
    stream: TcpStream,
    pushes: broadcast::Sender<Push>,
    count: Arc<watch::Sender<usize>>,
) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    let Some(Ok(Message::Text(call))) = socket.next().await else {
        return;
    };
    assert!(call.contains("tm.event='NewBlockHeader'"), "{call}");
    let mut pushed = pushes.subscribe();
    let accepted = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    if socket.send(Message::text(accepted)).await.is_err() {
        return;
    }
    count.send_modify(|count| *count += 1);
    loop {
        let sent = tokio::select! {
            push = pushed.recv() => match push {
                Ok(Push::Text(text)) => socket.send(Message::text(text)).await,
                Ok(Push::Close) | Err(_) => return,
            },
            // Reading answers pings.
            frame = socket.next() => match frame {
                Some(Ok(_)) => Ok(()),
                _ => return,
            },
        };
        if sent.is_err() {
            return;
        }
    }
}
