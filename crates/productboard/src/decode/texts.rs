//! The inside of one JSON text, byte by byte: copied up to a length, with what no decoder takes replaced by U+FFFD.

use std::io::Write as _;

/// The inside of a text, between its quotes.
#[derive(Debug)]
pub(super) struct Text {
    /// Bytes that may still be kept.
    room: usize,
    is_cut: bool,
    state: State,
    /// The first half of a surrogate pair, which waits for the second.
    high: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Plain,
    /// Behind a backslash.
    Escape,
    /// Behind `\u`, with so many digits read.
    Unit(u16, u8),
    /// In a character of more than one byte: what is there of it, and how long it is.
    Character([u8; 4], usize, usize),
}

const REPLACEMENT: &str = "\u{FFFD}";

/// A text of at most so many bytes.
pub(super) fn begin(longest: usize) -> Text {
    Text { room: longest, is_cut: false, state: State::Plain, high: None }
}

impl Text {
    /// Copies some bytes; says how many it took, and whether the text is over: the closing quote is not copied.
    pub(super) fn take(&mut self, rest: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let byte = rest[0];
        match self.state {
            State::Plain => return self.plain(rest, out),
            State::Escape if byte == b'u' => self.state = State::Unit(0, 0),
            State::Escape => {
                self.state = State::Plain;
                let escaped = if byte.is_ascii_graphic() { byte } else { b'?' };
                self.keep(&[b'\\', escaped], out);
            }
            State::Unit(unit, digits) => match char::from(byte).to_digit(16) {
                Some(digit) => {
                    // A digit is less than 16.
                    let unit = unit << 4 | u16::try_from(digit).unwrap_or_default();
                    self.state = State::Unit(unit, digits + 1);
                    if digits == 3 {
                        self.state = State::Plain;
                        self.unit(unit, out);
                    }
                }
                None => {
                    self.state = State::Plain;
                    self.keep(REPLACEMENT.as_bytes(), out);
                    return (0, false);
                }
            },
            State::Character(mut bytes, have, length) => {
                if byte & 0xC0 != 0x80 {
                    self.state = State::Plain;
                    self.keep(REPLACEMENT.as_bytes(), out);
                    return (0, false);
                }
                bytes[have] = byte;
                self.state = State::Character(bytes, have + 1, length);
                if have + 1 == length {
                    self.state = State::Plain;
                    let character = std::str::from_utf8(&bytes[..length]).unwrap_or(REPLACEMENT);
                    self.keep(character.as_bytes(), out);
                }
            }
        }
        (1, false)
    }

    /// The same for a text of which nothing is kept.
    pub(super) fn skip(&mut self, rest: &[u8]) -> (usize, bool) {
        if matches!(self.state, State::Escape) {
            self.state = State::Plain;
            return (1, false);
        }
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(0) if rest[0] == b'"' => (1, true),
            Some(0) => {
                self.state = State::Escape;
                (1, false)
            }
            Some(at) => (at, false),
            None => (rest.len(), false),
        }
    }

    fn plain(&mut self, rest: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x80..);
        let run = rest.iter().position(is_special).unwrap_or(rest.len());
        if run > 0 {
            self.run(&rest[..run], out);
            return (run, false);
        }
        match rest[0] {
            b'"' => {
                self.flush(out);
                return (1, true);
            }
            b'\\' => self.state = State::Escape,
            0..0x20 => self.keep(b" ", out),
            lead @ 0xC2..=0xDF => self.state = State::Character([lead, 0, 0, 0], 1, 2),
            lead @ 0xE0..=0xEF => self.state = State::Character([lead, 0, 0, 0], 1, 3),
            lead @ 0xF0..=0xF4 => self.state = State::Character([lead, 0, 0, 0], 1, 4),
            _ => self.keep(REPLACEMENT.as_bytes(), out),
        }
        (1, false)
    }

    /// One unit of UTF-16.
    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        match (unit, self.high.take()) {
            (0xDC00..=0xDFFF, Some(high)) => {
                self.keep(format!("\\u{high:04x}\\u{unit:04x}").as_bytes(), out);
            }
            (0xD800..=0xDBFF, high) => {
                self.high = high;
                self.flush(out);
                self.high = Some(unit);
            }
            (0xDC00..=0xDFFF, None) => self.keep(REPLACEMENT.as_bytes(), out),
            (unit, high) => {
                self.high = high;
                self.keep(format!("\\u{unit:04x}").as_bytes(), out);
            }
        }
    }

    /// A first half without its second.
    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.high.take().is_some() {
            self.keep(REPLACEMENT.as_bytes(), out);
        }
    }

    /// Keeps what must not be split.
    fn keep(&mut self, whole: &[u8], out: &mut Vec<u8>) {
        self.flush(out);
        if whole.len() > self.room { self.cut(out) } else { self.write(whole, out) }
    }

    /// Keeps as much of a run of ASCII as there is room for.
    fn run(&mut self, run: &[u8], out: &mut Vec<u8>) {
        self.flush(out);
        let fits = run.len().min(self.room);
        self.write(&run[..fits], out);
        if fits < run.len() {
            self.cut(out);
        }
    }

    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.room -= bytes.len();
        // Writing to memory does not fail.
        let _ = out.write_all(bytes);
    }

    fn cut(&mut self, out: &mut Vec<u8>) {
        self.room = 0;
        if !std::mem::replace(&mut self.is_cut, true) {
            let _ = out.write_all("…".as_bytes());
        }
    }
}
