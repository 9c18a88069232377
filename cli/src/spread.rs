//! Places in small tables of what was looked for last.

/// So many bits of a number that are others for most other numbers.
#[inline(always)]
pub(crate) fn spread(number: u64, bits: u32) -> usize {
    /// Odd, and without a pattern: a product with it has the bits of the other factor in its upper half.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    (number.wrapping_mul(FACTOR) >> (u64::BITS - bits)) as usize
}
