//! A session file, beside segments that are as they should be.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use spanring::reader::Recording;
use spanring_fuzz::input::{Damage, Directory, Session};
use spanring_fuzz::{check, damage, files};

#[derive(Arbitrary, Debug)]
struct Input {
    session: Session,
    damage: Vec<Damage>,
}

fuzz_target!(|input: Input| {
    let directory = Directory { session: Some(input.session), ..Directory::plain() };
    let mut all = files::files_of(&directory, check::base());
    // Only the files that this target is about are harmed.
    let (mut harmed, others): (Vec<_>, Vec<_>) = all.drain(..).partition(|(path, _)| files::is_called(path, "session"));
    damage::harm(&mut harmed, &input.damage);
    harmed.extend(others);
    let (bytes, session) = check::write(&harmed);
    check::check(bytes, || Recording::open(&session));
});
