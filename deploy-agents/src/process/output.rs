//! Captured output, bounded: its head and its tail are kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::secret::{Secret, redact};

/// What a program wrote to one stream: the beginning, the end, and how much between them was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    /// The first bytes.
    pub head: Vec<u8>,
    /// How many bytes between head and tail were not kept.
    pub cut: u64,
    /// The last bytes; empty if the head holds everything.
    pub tail: Vec<u8>,
}

impl Captured {
    /// The whole as bytes, with a line in the place of what was not kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut whole = self.head.clone();
        if self.cut > 0 {
            whole.extend_from_slice(format!("\n[… {} bytes were cut …]\n", self.cut).as_bytes());
        }
        whole.extend_from_slice(&self.tail);
        whole
    }

    /// The last line that is not empty, for one line of text.
    #[must_use]
    pub fn last_line(&self) -> String {
        let whole = self.to_bytes();
        let text = String::from_utf8_lossy(&whole);
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("").trim().chars().take(200).collect()
    }
}

/// Collects a stream while it is written.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    shared: Arc<Mutex<Buffer>>,
}

#[derive(Debug)]
struct Buffer {
    each: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    cut: u64,
}

impl Capture {
    /// Keeps `limit` bytes: one half from the beginning, the other from the end. `longest_secret` bytes more are kept at
    /// each side of the cut, and thrown away at the end, so that no secret is cut in two and shown by halves.
    pub(crate) fn new(limit: usize, longest_secret: usize) -> Self {
        let each = limit / 2 + longest_secret;
        Self { shared: Arc::new(Mutex::new(Buffer { each, head: Vec::new(), tail: VecDeque::new(), cut: 0 })) }
    }

    /// Reads `stream` to its end.
    pub(crate) async fn read(&self, mut stream: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; 8 * 1024];
        loop {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(n) => self.push(&chunk[..n]),
            }
        }
    }

    /// Takes the next bytes of the stream.
    pub(crate) fn push(&self, bytes: &[u8]) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }

    /// What was collected so far, without the secrets.
    pub(crate) fn collected(&self, secrets: &[Secret]) -> Captured {
        let longest = secrets.iter().map(|s| s.expose().len()).max().unwrap_or(0);
        let buffer = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let tail: Vec<u8> = buffer.tail.iter().copied().collect();
        if buffer.cut == 0 {
            let whole = [buffer.head.as_slice(), tail.as_slice()].concat();
            return Captured { head: redact(&whole, secrets), cut: 0, tail: Vec::new() };
        }
        // A secret may straddle the cut: redact with the margin in place, then drop a margin of the redacted text.
        let mut head = redact(&buffer.head, secrets);
        let tail = redact(&tail, secrets);
        let kept_head = head.len().saturating_sub(longest);
        let kept_tail = longest.min(tail.len());
        let cut = buffer.cut + (head.len() - kept_head) as u64 + kept_tail as u64;
        head.truncate(kept_head);
        Captured { head, cut, tail: tail[kept_tail..].to_vec() }
    }
}

impl Buffer {
    fn push(&mut self, bytes: &[u8]) {
        let room = self.each.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let surplus = self.tail.len().saturating_sub(self.each);
        self.tail.drain(..surplus);
        self.cut += surplus as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::{Capture, Captured};
    use crate::secret::Secret;

    async fn capture(text: &[u8], limit: usize, secrets: &[Secret]) -> Captured {
        let longest = secrets.iter().map(|s| s.expose().len()).max().unwrap_or(0);
        let capture = Capture::new(limit, longest);
        capture.read(text).await;
        capture.collected(secrets)
    }

    #[tokio::test]
    async fn head_and_tail_are_kept_and_the_cut_is_counted() {
        let kept = capture(b"0123456789abcdef", 8, &[]).await;
        assert_eq!(kept, Captured { head: b"0123".to_vec(), cut: 8, tail: b"cdef".to_vec() });
        assert!(String::from_utf8_lossy(&kept.to_bytes()).contains("8 bytes were cut"));
        assert_eq!(capture(b"short", 8, &[]).await.cut, 0);
    }

    proptest::proptest! {
        #[test]
        fn no_part_of_a_secret_is_shown_wherever_the_cut_falls(before in 0_usize..60, between in 0_usize..60, limit in 8_usize..40) {
            let secret = [Secret::new("XYZW")];
            let text = format!("{}XYZW{}XYZW", "a".repeat(before), "b".repeat(between));
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let kept = runtime.block_on(capture(text.as_bytes(), limit, &secret));
            for side in [&kept.head, &kept.tail] {
                let shown = String::from_utf8_lossy(side).replace("[secret]", "");
                proptest::prop_assert!(!shown.contains(['X', 'Y', 'Z', 'W']), "{shown}");
            }
            if kept.cut == 0 {
                proptest::prop_assert!(kept.tail.is_empty());
            }
        }
    }
}
