//! The directory of a session.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanring::reader::Recording;
use spanring_fuzz::input::Directory;
use spanring_fuzz::{check, damage, files, worst};

fn read(input: &Directory) {
    let mut all = files::files_of(input, check::base());
    damage::harm(&mut all, &input.damage);
    let (bytes, session) = check::write(&all);
    check::check(bytes, || Recording::open(&session));
}

fuzz_target!(init: worst::all().iter().for_each(read), |input: Directory| read(&input));
