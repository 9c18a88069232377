//! Runs of slots, and the records in them.

use super::kind::Kind;
use super::slot::{Head, Slot};

/// The slots of the record that begins a run.
///
/// # Errors
/// If none begins there that is whole; then the first slot is to be passed over.
pub fn first_record(run: &[Slot]) -> Result<&[Slot], &'static str> {
    let head = run.first().ok_or("no slot")?.head();
    if head.kind_number() == 0 {
        return Err("a slot that was never written, among records");
    }
    if head.kind() == Some(Kind::Continuation) {
        return Err("text without its record");
    }
    let record = run.get(..head.slots()).filter(|record| !record.is_empty()).ok_or("a record without its end")?;
    let continues = |(slot, index): (&Slot, usize)| {
        slot.head() == Head::continuation(index, record.len()).with_record_number(u64::from(head.record_number_low()))
    };
    if record.iter().zip(0..).skip(1).all(continues) { Ok(record) } else { Err("a record with another one's text") }
}

/// The whole records in a run; what is no part of one is passed over.
pub fn records(run: &[Slot]) -> impl Iterator<Item = &[Slot]> {
    let mut rest = run;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            match first_record(rest) {
                Ok(record) => {
                    rest = &rest[record.len()..];
                    return Some(record);
                }
                Err(_) => rest = &rest[1..],
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64, slots: usize) -> Vec<Slot> {
        let mut words = vec![Slot::EMPTY; slots];
        words[0].0[0] = Head::record(Kind::BeginAsync, None, 0).with_slots(slots).with_record_number(number).0;
        for (index, slot) in words.iter_mut().enumerate().skip(1) {
            slot.0[0] = Head::continuation(index, slots).with_record_number(number).0;
        }
        words
    }

    #[test]
    fn records_of_any_length_follow_each_other() {
        let run: Vec<Slot> = [record(1, 1), record(2, 3), record(3, 2)].concat();
        assert_eq!(records(&run).map(<[Slot]>::len).collect::<Vec<_>>(), [1, 3, 2]);
    }

    #[test]
    fn what_is_no_whole_record_is_passed_over() {
        let mut run: Vec<Slot> = [record(1, 3), record(2, 2), record(3, 1), vec![Slot::EMPTY], record(4, 4)].concat();
        run.remove(0);
        run.pop();
        assert_eq!(records(&run).map(<[Slot]>::len).collect::<Vec<_>>(), [2, 1]);
        let mixed = [&record(1, 2)[..1], &record(2, 2)[1..]].concat();
        assert_eq!(first_record(&mixed), Err("a record with another one's text"));
        assert_eq!(first_record(&[]), Err("no slot"));
    }
}
