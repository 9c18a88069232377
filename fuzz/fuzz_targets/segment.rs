//! The bytes of a segment.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use spanring::reader::Recording;
use spanring_fuzz::input::{Damage, Segment};
use spanring_fuzz::{check, damage, files};

#[derive(Arbitrary, Debug)]
struct Input {
    segment: Segment,
    damage: Vec<Damage>,
}

fuzz_target!(|input: Input| {
    let mut bytes =
        files::segment_bytes(&Segment { facts: Some(input.segment.facts.unwrap_or_default()), ..input.segment });
    for one in input.damage.iter().take(16) {
        damage::harm_file(&mut bytes, one);
        if one.sealed {
            damage::seal(&mut bytes);
        }
    }
    check::check(check::weight(&bytes), || Recording::from_segment(&bytes));
});
