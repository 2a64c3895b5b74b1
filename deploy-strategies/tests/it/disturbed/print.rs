//! A fingerprint of 128 bits stands for a world that was seen: among a thousand million worlds the chance that any two share one is
//! under one in 10^20.

use std::hash::{DefaultHasher, Hash, Hasher};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Print(u64, u64);

impl Print {
    pub(super) fn of<T: Hash>(value: &T) -> Self {
        let mut bytes = Bytes(Vec::with_capacity(1_024));
        value.hash(&mut bytes);
        let half = |seed: u64| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(seed);
            hasher.write(&bytes.0);
            hasher.finish()
        };
        Self(half(0x9E37_79B9_7F4A_7C15), half(0xC2B2_AE3D_27D4_EB4F))
    }
}

/// Collects what is hashed, so that it is walked once.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("only what was written is read")
    }
}
