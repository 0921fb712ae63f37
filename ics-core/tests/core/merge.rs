//! The merge changes the meaning of nothing but `app_state.ccvconsumer`, however a file is written
//! and read.

use std::io::{self, Read};

use ics_core::artifact::Digest;
use ics_core::genesis::{CcvConsumer, merge, read};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn ccv() -> (CcvConsumer, Value) {
    let value = json!({"new_chain": true, "params": {"consumer_id": "7"}});
    let ccv = CcvConsumer::new(value.clone(), None).expect("known fields");
    (ccv, value)
}

/// Texts that are hard to read: quotes, brackets, escapes, other planes.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,8}",
        Just("ccvconsumer".to_owned()),
        Just("app_state".to_owned()),
        Just("a\"}],\\u0022{\u{7f}\u{1f600}\n\t\\".to_owned()),
        ".{0,6}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e30..1e30_f64).prop_map(Value::from),
        text().prop_map(Value::String),
    ];
    plain.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(text(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A genesis with modules and further keys of its own.
fn genesis() -> impl Strategy<Value = Value> {
    let fields = |at_most| btree_map(text(), value(), 0..at_most);
    (fields(4), fields(3)).prop_map(|(modules, rest)| {
        let known = ["app_state", "chain_id", "consensus", "validators"];
        let folded = |key: &str| key.replace('\u{17f}', "s").to_ascii_lowercase();
        let rest = rest.into_iter();
        let mut genesis: Map<String, Value> = rest
            .filter(|(key, _)| !known.contains(&folded(key).as_str()))
            .collect();
        genesis.insert("app_state".into(), modules.into_iter().collect());
        genesis.insert("chain_id".into(), "c\"-1".into());
        Value::Object(genesis)
    })
}

/// Writes JSON with spaces and escapes as the bytes of a tape choose them.
struct Writer {
    out: String,
    tape: Vec<u8>,
    at: usize,
}

impl Writer {
    fn write(value: &Value, tape: Vec<u8>) -> String {
        let mut writer = Self {
            out: String::new(),
            tape,
            at: 0,
        };
        writer.value(value);
        writer.space();
        writer.out
    }

    fn next(&mut self) -> u8 {
        self.at += 1;
        self.tape
            .get(self.at % self.tape.len().max(1))
            .copied()
            .unwrap_or(0)
    }

    fn space(&mut self) {
        let space = ["", "", " ", "\n", "\t\r\n  "][usize::from(self.next()) % 5];
        self.out.push_str(space);
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for unit in text.chars() {
            if self.next().is_multiple_of(3) {
                for unit in unit.encode_utf16(&mut [0; 2]) {
                    self.out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                let quoted = Value::String(unit.into()).to_string();
                self.out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
        self.out.push('"');
    }

    fn list<T>(
        &mut self,
        ends: [char; 2],
        items: impl Iterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) {
        self.out.push(ends[0]);
        self.space();
        for (index, each) in items.enumerate() {
            if index > 0 {
                self.out.push(',');
                self.space();
            }
            item(self, each);
            self.space();
        }
        self.out.push(ends[1]);
    }

    fn value(&mut self, value: &Value) {
        self.space();
        match value {
            Value::Array(items) => self.list(['[', ']'], items.iter(), Self::value),
            Value::Object(fields) => {
                self.list(['{', '}'], fields.iter(), |writer, (key, value)| {
                    writer.text(key);
                    writer.space();
                    writer.out.push(':');
                    writer.value(value);
                })
            }
            Value::String(text) => self.text(text),
            plain => self.out.push_str(&plain.to_string()),
        }
    }
}

/// Gives its bytes in pieces of the sizes on a tape.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: &'a [usize],
    at: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.at % self.sizes.len()];
        self.at += 1;
        let mut piece = &self.bytes[..size.min(self.bytes.len())];
        let read = piece.read(buffer)?;
        self.bytes = &self.bytes[read..];
        Ok(read)
    }
}

fn merged(file: impl Read) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    merge(file, &ccv().0, &mut out).map_err(|error| error.to_string())?;
    Ok(out)
}

proptest! {
    #[test]
    fn only_ccvconsumer_changes_its_meaning(
        genesis in genesis(),
        tape in vec(any::<u8>(), 1..64),
        sizes in vec(1_usize..5, 1..8),
    ) {
        let file = Writer::write(&genesis, tape);
        let parsed: Value = serde_json::from_str(&file).expect("the writer writes JSON");
        let mut expected = parsed.clone();
        expected["app_state"]["ccvconsumer"] = ccv().1;
        let pieces = Pieces { bytes: file.as_bytes(), sizes: &sizes, at: 0 };
        let out = merged(pieces).map_err(TestCaseError::fail)?;
        let found: Value = serde_json::from_slice(&out).expect("JSON");
        prop_assert_eq!(found, expected);
        prop_assert_eq!(merged(file.as_bytes()), Ok(out.clone()));
        // Doing it again changes nothing: not even a byte.
        prop_assert_eq!(merged(out.as_slice()), Ok(out));
        let digest = read(file.as_bytes()).expect("a genesis").digest;
        prop_assert_eq!(digest, Digest::of(file.as_bytes()));
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error(genesis in genesis(), tape in vec(any::<u8>(), 1..64)) {
        let file = Writer::write(&genesis, tape);
        for cut in 0..file.trim_end().len() {
            let cut = &file.as_bytes()[..cut];
            prop_assert!(merged(cut).is_err(), "{}", String::from_utf8_lossy(cut));
        }
    }

    #[test]
    fn what_is_merged_is_json_for_others_too(
        genesis in genesis(),
        tape in vec(any::<u8>(), 1..64),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut file = Writer::write(&genesis, tape).into_bytes();
        let at = at.index(file.len());
        file[at] = byte;
        if merged(file.as_slice()).is_ok() {
            // Text that is no Unicode and numbers of any size are copied as they are.
            let text = String::from_utf8_lossy(&file);
            let other = ["surrogate", "end of hex escape", "number out of range"];
            let parsed = serde_json::from_str::<Value>(&text).map_err(|e| e.to_string());
            let taken = match &parsed {
                Ok(value) => value["app_state"].is_object(),
                Err(error) => other.iter().any(|other| error.contains(other)),
            };
            prop_assert!(taken, "{parsed:?}: {text}");
        }
    }
}

#[test]
fn every_other_byte_stays_as_it_is() {
    let file = "{ \"chain_id\" :\"c\",\r\n\t\"app_state\": {\"a\":1e5 , \"ccvconsumer\" : {\"old\":[{}]} ,\
                \"b\":{\"ccvconsumer\":0}} }\n";
    let expected = file.replace(r#"{"old":[{}]}"#, &ccv().1.to_string());
    assert_eq!(merged(file.as_bytes()), Ok(expected.into_bytes()));
}

#[test]
fn a_missing_ccvconsumer_is_put_at_the_end_of_app_state() {
    let new = ccv().1.to_string();
    for (before, after) in [
        (
            r#"{"chain_id":"c","app_state":{}}"#,
            r#"{"chain_id":"c","app_state":{"ccvconsumer":NEW}}"#,
        ),
        (
            r#"{"chain_id":"c","app_state":{ }}"#,
            r#"{"chain_id":"c","app_state":{ "ccvconsumer":NEW}}"#,
        ),
        (
            r#"{"chain_id":"c","app_state":{"a":{"ccvconsumer":1} }, "ccvconsumer":2}"#,
            r#"{"chain_id":"c","app_state":{"a":{"ccvconsumer":1} ,"ccvconsumer":NEW}, "ccvconsumer":2}"#,
        ),
    ] {
        let after = after.replace("NEW", &new);
        assert_eq!(merged(before.as_bytes()), Ok(after.into_bytes()));
    }
}

#[test]
fn an_escaped_key_is_the_key() {
    let file = r#"{"ch\u0061in_id":"c","app\u005Fstate":{"\u0063cvconsumer":"old"}}"#;
    let expected = file.replace(r#""old""#, &ccv().1.to_string());
    assert_eq!(merged(file.as_bytes()), Ok(expected.into_bytes()));
}

#[test]
fn a_failing_reader_or_writer_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("a bad disk"))
        }
    }
    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("a full disk"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let file = br#"{"chain_id":"c","app_state":{}}"#;
    assert_eq!(merged(file.chain(Broken)), Err("a bad disk".into()));
    let refused = merge(file.as_slice(), &ccv().0, Broken);
    assert!(refused.is_err_and(|error| error.to_string() == "a full disk"));
}

#[test]
fn a_file_of_any_size_streams_through() {
    /// A genesis with this many accounts, made while it is read.
    fn long(accounts: u64) -> impl Read {
        let account = br#"{"address":"consumer1x","coins":[{"denom":"stake","amount":"1"}]},"#;
        let start: &[u8] = br#"{"chain_id":"c","app_state":{"bank":["#;
        let end: &[u8] = br#"0],"ccvconsumer":{"old":1}}}"#;
        let size = accounts * account.len() as u64;
        start
            .chain(
                Repeat {
                    piece: account,
                    at: 0,
                }
                .take(size),
            )
            .chain(end)
    }
    struct Repeat {
        piece: &'static [u8],
        at: usize,
    }
    impl Read for Repeat {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = (&self.piece[self.at..]).read(buffer)?;
            self.at = (self.at + read) % self.piece.len();
            Ok(read)
        }
    }
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // What is written at once shows what is held at once.
            assert!(bytes.len() <= 64 << 10, "{}", bytes.len());
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (mut count, mut source) = (Count(0), 0_u64);
    let file = long(100_000);
    let counted = CountRead(file, &mut source);
    merge(counted, &ccv().0, &mut count).expect("merged");
    let change = ccv().1.to_string().len() as u64 - r#"{"old":1}"#.len() as u64;
    assert_eq!(count.0, source + change);
}

struct CountRead<'a, R>(R, &'a mut u64);

impl<R: Read> Read for CountRead<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        *self.1 += read as u64;
        Ok(read)
    }
}
