//! The two hash functions that flag systems bucket by.

/// MurmurHash3 for x86, 32 bits (Austin Appleby, `MurmurHash3.cpp`, public domain; constants from there).
///
/// ```
/// assert_eq!(deploy_strategies::flags::hash::murmur3_32(b"", 0), 0);
/// assert_eq!(deploy_strategies::flags::hash::murmur3_32(b"test", 0), 0xba6b_d213);
/// ```
#[must_use]
pub fn murmur3_32(bytes: &[u8], seed: u32) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let scramble = |block: u32| block.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = seed;
    for block in blocks {
        hash = (hash ^ scramble(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
        hash ^= scramble(rest);
    }
    // The length enters modulo 2^32, as in the original.
    #[expect(clippy::cast_possible_truncation, reason = "the original takes the length as 32 bits")]
    let mut hash = hash ^ (bytes.len() as u32);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// FNV-1a, 32 bits (Fowler, Noll, Vo; `draft-eastlake-fnv`, section 5).
///
/// ```
/// assert_eq!(deploy_strategies::flags::hash::fnv1a_32(b""), 0x811c_9dc5);
/// assert_eq!(deploy_strategies::flags::hash::fnv1a_32(b"a"), 0xe40c_292c);
/// ```
#[must_use]
pub fn fnv1a_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
