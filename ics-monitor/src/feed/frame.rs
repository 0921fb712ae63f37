//! One WebSocket frame of a CometBFT node, as far as the feed reads it.

use ics_core::time::{Height, UnixTime};
use serde_json::Value;

/// What is used of a block's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) height: Height,
    pub(super) time: UnixTime,
}

/// A frame of a node that was asked for headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// An error: the subscription was refused, or cancelled.
    Error(String),
    /// A new block.
    Header(Header),
    /// Anything else; it says nothing here.
    Other,
    /// The subscription stands.
    Subscribed,
}

impl Frame {
    /// Reads the text of a frame; `None` if it is none that CometBFT sends.
    ///
    /// Layout: `rpc/jsonrpc/types/types.go` and `types/events.go` of CometBFT 0.38; the recorded
    /// frames show it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let frame: Value = serde_json::from_str(text).ok()?;
        if let Some(error) = frame.get("error") {
            let text = |key| error.get(key).and_then(Value::as_str).unwrap_or_default();
            return Some(Self::Error(format!(
                "{}: {}",
                text("message"),
                text("data")
            )));
        }
        let result = frame.get("result")?.as_object()?;
        if result.is_empty() {
            return Some(Self::Subscribed);
        }
        let data = result.get("data")?;
        if data.get("type")?.as_str()? != "tendermint/event/NewBlockHeader" {
            return Some(Self::Other);
        }
        let header = data.get("value")?.get("header")?;
        Some(Self::Header(Header {
            height: Height(header.get("height")?.as_str()?.parse().ok()?),
            time: UnixTime::from_rfc3339(header.get("time")?.as_str()?)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &str) -> Option<Frame> {
        Frame::read(&String::from_utf8(ics_fixtures::recorded(name)).expect("UTF-8"))
    }

    #[test]
    fn every_recorded_frame_is_read() {
        let mut headers = 0;
        for name in ics_fixtures::recorded_names("ws") {
            let expected = match name.split('.').nth(2) {
                Some("NewBlockHeader") => {
                    headers += 1;
                    let step = name
                        .split('.')
                        .nth(1)
                        .expect("a height")
                        .trim_start_matches('h');
                    let height = Height(step.parse().expect("a number"));
                    assert!(
                        matches!(recorded(&name), Some(Frame::Header(h)) if h.height == height),
                        "{name}"
                    );
                    continue;
                }
                Some("NewBlock" | "NewBlockEvents" | "Tx") => Frame::Other,
                _ => Frame::Subscribed,
            };
            assert_eq!(recorded(&name), Some(expected), "{name}");
        }
        assert!(headers > 15);
    }

    #[test]
    fn the_launch_header_has_its_time() {
        let Some(Frame::Header(header)) = recorded("ws/launch.h44.NewBlockHeader.0.json") else {
            panic!("no header");
        };
        assert_eq!(header.time.to_string(), "2026-11-21T08:02:22.871726105Z");
    }

    #[test]
    fn a_cancelled_subscription_is_an_error() {
        let text = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Server error",
            "data":"subscription was canceled (reason: client is not pulling messages)"}}"#;
        assert!(matches!(Frame::read(text), Some(Frame::Error(e)) if e.contains("canceled")));
    }

    #[test]
    fn broken_frames_are_none() {
        let kind = r#"{"result":{"data":{"type":"tendermint/event/NewBlockHeader""#;
        for text in [
            String::new(),
            "{}".into(),
            "[]".into(),
            r#"{"result":1}"#.into(),
            r#"{"result":{"data":{}}}"#.into(),
            format!("{kind}}}}}}}"),
            format!(r#"{kind},"value":{{"header":{{"height":"-1","time":""}}}}}}}}}}"#),
        ] {
            assert_eq!(Frame::read(&text), None, "{text}");
        }
    }
}
