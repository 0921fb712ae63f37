//! A reader of JSON that copies what it reads, or leaves it out.

use std::io::{Read, Write};

use sha2::{Digest as _, Sha256};

use super::GenesisError;
use crate::artifact::Digest;

/// Nesting beyond this is no genesis; it bounds the stack.
const MAX_DEPTH: u32 = 200;
/// Longer keys, chain ids, heights and times stand in no genesis; it bounds the memory.
pub(super) const MAX_TOKEN: usize = 64 << 10;
/// Bytes read and written at once.
const CHUNK: usize = 64 << 10;

/// A file on its way from a reader to a writer.
pub(super) struct Copier<R, W> {
    file: R,
    out: W,
    hash: Sha256,
    read: Vec<u8>,
    /// The next byte of `read` to look at.
    next: usize,
    /// The first byte of `read` that has neither been written nor left out.
    pending: usize,
    /// Bytes read in earlier chunks.
    before: u64,
    /// While false, what is read is left out.
    copying: bool,
    /// The bytes of the token being captured, and how many they may be.
    capture: Option<(Vec<u8>, usize)>,
}

impl<R: Read, W: Write> Copier<R, W> {
    pub(super) fn new(file: R, out: W) -> Self {
        Self {
            file,
            out,
            hash: Sha256::new(),
            read: Vec::with_capacity(CHUNK),
            next: 0,
            pending: 0,
            before: 0,
            copying: true,
            capture: None,
        }
    }

    pub(super) fn finish(mut self) -> Result<Digest, GenesisError> {
        if self.peek()?.is_some() {
            return Err(self.syntax("something follows the end"));
        }
        self.settle()?;
        self.out.flush()?;
        Ok(Digest::new(self.hash.finalize().into()))
    }

    pub(super) fn syntax(&self, what: &'static str) -> GenesisError {
        GenesisError::Syntax {
            at: self.before + self.next as u64,
            what,
        }
    }

    /// Writes or leaves out what was read so far.
    fn settle(&mut self) -> Result<(), GenesisError> {
        if self.copying {
            self.out.write_all(&self.read[self.pending..self.next])?;
        }
        self.pending = self.next;
        Ok(())
    }

    pub(super) fn set_copying(&mut self, copying: bool) -> Result<(), GenesisError> {
        self.settle()?;
        self.copying = copying;
        Ok(())
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), GenesisError> {
        self.settle()?;
        Ok(self.out.write_all(bytes)?)
    }

    fn peek(&mut self) -> Result<Option<u8>, GenesisError> {
        if self.next == self.read.len() {
            self.settle()?;
            self.before += self.read.len() as u64;
            (self.next, self.pending) = (0, 0);
            self.read.clear();
            let mut chunk = (&mut self.file).take(CHUNK as u64);
            chunk.read_to_end(&mut self.read)?;
            self.hash.update(&self.read);
        }
        Ok(self.read.get(self.next).copied())
    }

    /// Takes the byte that was peeked.
    pub(super) fn take(&mut self) -> Result<(), GenesisError> {
        self.take_many(1)
    }

    /// Takes this many bytes, which must have been read.
    fn take_many(&mut self, count: usize) -> Result<(), GenesisError> {
        let end = self.next + count;
        if let Some((capture, limit)) = &mut self.capture {
            if capture.len() + count > *limit {
                return Err(self.syntax("a key or value is longer than any genesis has"));
            }
            capture.extend_from_slice(&self.read[self.next..end]);
        }
        self.next = end;
        Ok(())
    }

    pub(super) fn need(&mut self) -> Result<u8, GenesisError> {
        self.peek()?.ok_or_else(|| self.syntax("it ends too early"))
    }

    fn expect(&mut self, wanted: u8, what: &'static str) -> Result<(), GenesisError> {
        let byte = self.need()?;
        if byte != wanted {
            return Err(self.syntax(what));
        }
        self.take()
    }

    pub(super) fn space(&mut self) -> Result<(), GenesisError> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek()? {
            self.take()?;
        }
        Ok(())
    }

    /// Reads a bracket and items up to the closing bracket, which is left to the caller.
    fn items(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), GenesisError>,
    ) -> Result<(), GenesisError> {
        self.take()?;
        self.space()?;
        if self.need()? == close {
            return Ok(());
        }
        loop {
            item(self)?;
            self.space()?;
            match self.need()? {
                b',' => self.take()?,
                byte if byte == close => return Ok(()),
                _ => return Err(self.syntax("a comma or a closing bracket is expected")),
            }
            self.space()?;
        }
    }

    /// Reads an object up to its closing bracket; `member` reads the value of each key.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), GenesisError>,
    ) -> Result<(), GenesisError> {
        if self.need()? != b'{' {
            return Err(self.syntax("an object is expected"));
        }
        self.items(b'}', |copier| {
            let key = copier.key()?;
            copier.colon()?;
            member(copier, &key)
        })
    }

    fn colon(&mut self) -> Result<(), GenesisError> {
        self.space()?;
        self.expect(b':', "a colon is expected")?;
        self.space()
    }

    pub(super) fn value(&mut self, depth: u32) -> Result<(), GenesisError> {
        if depth > MAX_DEPTH {
            return Err(self.syntax("it is nested too deeply"));
        }
        match self.need()? {
            b'{' => {
                self.items(b'}', |copier| {
                    copier.string()?;
                    copier.colon()?;
                    copier.value(depth + 1)
                })?;
                self.take()
            }
            b'[' => {
                self.items(b']', |copier| copier.value(depth + 1))?;
                self.take()
            }
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => Err(self.syntax("a value is expected")),
        }
    }

    pub(super) fn string(&mut self) -> Result<(), GenesisError> {
        self.expect(b'"', "a string is expected")?;
        loop {
            self.need()?;
            let rest = &self.read[self.next..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            self.take_many(plain.unwrap_or(rest.len()))?;
            match (plain, self.read.get(self.next)) {
                (None, _) | (_, None) => {}
                (_, Some(b'"')) => return self.take(),
                (_, Some(b'\\')) => {
                    self.take()?;
                    self.escape()?;
                }
                (_, Some(_)) => return Err(self.syntax("a control character stands in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), GenesisError> {
        let byte = self.need()?;
        self.take()?;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let digit = self.need()?;
                    if !digit.is_ascii_hexdigit() {
                        return Err(self.syntax("four hex digits are expected"));
                    }
                    self.take()?;
                }
                Ok(())
            }
            _ => Err(self.syntax("an unknown escape stands in a string")),
        }
    }

    fn digits(&mut self) -> Result<(), GenesisError> {
        let mut any = false;
        while let Some(b'0'..=b'9') = self.peek()? {
            self.take()?;
            any = true;
        }
        if any {
            Ok(())
        } else {
            Err(self.syntax("a digit is expected"))
        }
    }

    pub(super) fn number(&mut self) -> Result<(), GenesisError> {
        if self.need()? == b'-' {
            self.take()?;
        }
        if self.need()? == b'0' {
            self.take()?;
        } else {
            self.digits()?;
        }
        if self.peek()? == Some(b'.') {
            self.take()?;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek()? {
            self.take()?;
            if let Some(b'+' | b'-') = self.peek()? {
                self.take()?;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), GenesisError> {
        word.iter()
            .try_for_each(|byte| self.expect(*byte, "a value is expected"))
    }

    /// Reads and decodes a key; one that is too long to be of interest is an error too, since no
    /// genesis has any.
    pub(super) fn key(&mut self) -> Result<String, GenesisError> {
        let token = self.captured(MAX_TOKEN, Self::string)?;
        serde_json::from_slice(&token).map_err(|_| self.syntax("a text is not Unicode"))
    }

    pub(super) fn captured(
        &mut self,
        limit: usize,
        read: impl FnOnce(&mut Self) -> Result<(), GenesisError>,
    ) -> Result<Vec<u8>, GenesisError> {
        self.capture = Some((Vec::new(), limit));
        read(self)?;
        Ok(self.capture.take().unwrap_or_default().0)
    }
}
