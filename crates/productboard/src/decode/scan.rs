//! A body read byte by byte, in pieces of any size: for one that does not decode as it stands, and for one too large to
//! hold. What comes out is its rows, each on its own, and the rest around them.
//!
//! On the way it is mended, so that nothing in one row can spoil another or the page: unpaired surrogates and bytes
//! that are no UTF-8 become U+FFFD, values nested too deep become null, texts are cut. No recursion, and no more memory
//! than [`LARGEST_PAGE`], whatever comes.

use std::io::Write as _;

use super::texts::{self, Text};

/// What is nested deeper becomes null; `serde_json` gives up at 128.
const DEEPEST: usize = 100;
/// Texts beyond are cut.
const LONGEST_TEXT: usize = 1 << 20;
/// The same in a row or a page that is large already.
const LONGEST_TEXT_OF_MANY: usize = 4 << 10;
const LARGE_ROW: usize = 4 << 20;
const LARGEST_ROW: usize = 8 << 20;
const LARGE_PAGE: usize = 32 << 20;
/// Rows beyond are refused. With its texts cut, a page is not that large by accident.
const LARGEST_PAGE: usize = 128 << 20;
/// What is kept of a row that is too large.
const KEPT: usize = 8 << 10;

/// Where rows end, and what of the body is no row.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// Everything but the rows: `{"data":[],"links":…}`.
    envelope: Vec<u8>,
    rows: Vec<u8>,
    ends: Vec<End>,
    depth: usize,
    /// Inside a text.
    text: Option<Text>,
    /// The last byte kept was white space.
    is_spaced: bool,
    in_rows: bool,
    /// The row at hand is too large: what follows of it is dropped.
    is_muted: bool,
    is_too_large: bool,
    key: Key,
}

#[derive(Debug)]
struct End {
    at: usize,
    is_too_large: bool,
}

/// Which member of the outermost object is at hand.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Key {
    #[default]
    None,
    /// The next text is a key.
    Awaited,
    /// It begins here in the envelope.
    Begun(usize),
    Data,
    Other,
}

/// A row by itself.
pub(crate) struct Row<'a> {
    pub(crate) json: &'a [u8],
    /// Only its beginning was kept.
    pub(crate) is_too_large: bool,
}

/// A body after the scan.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// Everything but the rows.
    pub(crate) envelope: Vec<u8>,
    rows: Vec<u8>,
    ends: Vec<End>,
}

impl Scanned {
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let json = &self.rows[start..end.at];
            start = end.at;
            Row { json, is_too_large: end.is_too_large }
        })
    }
}

/// More than anybody could mean.
#[derive(Debug)]
pub(crate) struct TooLarge;

impl Scanner {
    pub(crate) fn whole(body: &[u8]) -> Result<Scanned, TooLarge> {
        let mut scanner = Self::default();
        scanner.feed(body)?;
        Ok(scanner.finish())
    }

    /// The next piece of the body.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<(), TooLarge> {
        let mut at = 0;
        while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
            at += self.step(rest);
            if self.is_too_large {
                return Err(TooLarge);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Scanned {
        self.rows.truncate(self.row_start());
        Scanned { envelope: self.envelope, rows: self.rows, ends: self.ends }
    }

    /// Takes some bytes and says how many.
    fn step(&mut self, rest: &[u8]) -> usize {
        let Some(mut text) = self.text.take() else {
            self.between(rest[0]);
            return 1;
        };
        let out = self.out();
        let (taken, is_over) = match out {
            Some(out) => text.take(rest, out),
            None => text.skip(rest),
        };
        if is_over {
            self.end_text();
        } else {
            self.text = Some(text);
        }
        self.check_size();
        taken
    }

    /// A byte that belongs to no text.
    fn between(&mut self, byte: u8) {
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        if is_space && self.is_spaced {
            return;
        }
        self.is_spaced = is_space;
        match byte {
            b'"' => self.begin_text(),
            b'{' | b'[' => self.open(byte),
            b'}' | b']' => self.close(byte),
            b',' if self.in_rows && self.depth == 2 => self.end_row(),
            b',' => {
                if self.depth == 1 && self.key != Key::None {
                    self.key = Key::Awaited;
                }
                self.put(b",");
            }
            // A byte order mark.
            0xEF | 0xBB | 0xBF if self.depth == 0 && self.envelope.is_empty() => {}
            // No JSON outside of a text: the decoder says so.
            0x80.. => self.put(b"?"),
            _ if is_space => self.put(b" "),
            _ => self.put(&[byte]),
        }
    }

    fn begin_text(&mut self) {
        if self.depth == 1 && self.key == Key::Awaited {
            self.key = Key::Begun(self.envelope.len() + 1);
        }
        let row = self.rows.len().saturating_sub(self.row_start());
        let is_large = row > LARGE_ROW || self.rows.len() > LARGE_PAGE || self.envelope.len() > LARGE_ROW;
        self.put(b"\"");
        self.text = Some(texts::begin(if is_large { LONGEST_TEXT_OF_MANY } else { LONGEST_TEXT }));
    }

    fn end_text(&mut self) {
        if let Key::Begun(start) = self.key {
            self.key = if self.envelope.get(start..) == Some(b"data") { Key::Data } else { Key::Other };
        }
        self.put(b"\"");
    }

    fn open(&mut self, byte: u8) {
        if self.depth == 0 && byte == b'{' && self.envelope.iter().all(|byte| *byte == b' ') {
            self.key = Key::Awaited;
        }
        if self.depth == DEEPEST {
            self.put(b"null");
        }
        self.depth += 1;
        self.put(&[byte]);
        if self.depth == 2 && byte == b'[' && self.key == Key::Data && !self.in_rows {
            self.in_rows = true;
        }
    }

    fn close(&mut self, byte: u8) {
        if self.in_rows && self.depth == 2 {
            let start = self.row_start();
            if self.rows[start..].iter().any(|byte| *byte != b' ') {
                self.end_row();
            }
            (self.in_rows, self.is_muted) = (false, false);
        }
        self.put(&[byte]);
        self.depth = self.depth.saturating_sub(1);
    }

    fn end_row(&mut self) {
        self.ends.push(End { at: self.rows.len(), is_too_large: self.is_muted });
        self.is_muted = false;
    }

    fn row_start(&self) -> usize {
        self.ends.last().map_or(0, |end| end.at)
    }

    /// Where what is kept goes; nowhere for what is not kept.
    fn out(&mut self) -> Option<&mut Vec<u8>> {
        if self.depth > DEEPEST || self.is_muted {
            return None;
        }
        Some(if self.in_rows { &mut self.rows } else { &mut self.envelope })
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(out) = self.out() {
            // Writing to memory does not fail.
            let _ = out.write_all(bytes);
        }
        self.check_size();
    }

    fn check_size(&mut self) {
        let start = self.row_start();
        if self.rows.len() - start > LARGEST_ROW {
            self.rows.truncate(start + KEPT);
            self.is_muted = true;
        }
        self.is_too_large = self.rows.len() > LARGEST_PAGE || self.envelope.len() > LARGEST_ROW;
    }
}
