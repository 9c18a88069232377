//! Ring files, beside a recording that is as it should be.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use spanring::reader::Recording;
use spanring_fuzz::input::{Damage, Directory, Ring};
use spanring_fuzz::{check, damage, files};

#[derive(Arbitrary, Debug)]
struct Input {
    rings: Vec<Ring>,
    damage: Vec<Damage>,
}

fuzz_target!(|input: Input| {
    let directory = Directory { rings: input.rings, ..Directory::plain() };
    let mut all = files::files_of(&directory, check::base());
    // Only the files that this target is about are harmed.
    let (mut harmed, others): (Vec<_>, Vec<_>) = all.drain(..).partition(|(path, _)| files::is_called(path, "ring"));
    damage::harm(&mut harmed, &input.damage);
    harmed.extend(others);
    let (bytes, session) = check::write(&harmed);
    check::check(bytes, || Recording::open(&session));
});
