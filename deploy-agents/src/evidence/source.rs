//! What a reader is given.

use super::{Limits, Place, Pointer, Problem, ReadError};

/// What a reader is given: the bytes, what the file is called, and how much of it to take.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Source<'a> {
    /// What the file is called: only for pointers, it is never opened.
    pub file: &'a str,
    /// The bytes.
    pub bytes: &'a [u8],
    /// How much to take.
    pub limits: Limits,
}

impl<'a> Source<'a> {
    /// Bytes of a file, with the default limits.
    #[must_use]
    pub fn new(file: &'a str, bytes: &'a [u8]) -> Self {
        Self { file, bytes, limits: Limits::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A place in the file.
    #[must_use]
    pub fn at(&self, place: Place) -> Pointer {
        Pointer::new(self.file, place)
    }

    /// The bytes as text, without a byte order mark.
    ///
    /// # Errors
    ///
    /// [`Problem::Empty`], [`Problem::TooLarge`] or [`Problem::Encoding`], with the place. A NUL is no text.
    pub fn text(&self) -> Result<&'a str, ReadError> {
        let whole = |problem, reason: String| ReadError::new(problem, self.at(Place::Whole), reason);
        if self.bytes.len() > self.limits.bytes {
            let (is, limit) = (self.bytes.len(), self.limits.bytes);
            return Err(whole(Problem::TooLarge, format!("{is} bytes; at most {limit} are read")));
        }
        if matches!(self.bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
            return Err(whole(Problem::Encoding, "UTF-16; write UTF-8".to_owned()));
        }
        let bytes = self.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(self.bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(whole(Problem::Empty, "there is nothing in it".to_owned()));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|e| self.byte_error(Problem::Encoding, bytes, e.valid_up_to(), "this byte is not UTF-8"))?;
        match bytes.iter().position(|byte| *byte == 0) {
            Some(at) => Err(self.byte_error(Problem::Encoding, bytes, at, "a NUL is not text")),
            None => Ok(text),
        }
    }

    /// An error at a byte of the text.
    pub(super) fn byte_error(&self, problem: Problem, text: &[u8], at: usize, reason: &str) -> ReadError {
        let before = &text[..at.min(text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        let place = Place::Text { line: line as u64, column: column as u64 };
        ReadError::new(problem, self.at(place), reason)
    }
}
