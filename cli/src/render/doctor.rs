//! `spanring doctor` as text.

use super::wrapped;
use crate::doctor::{Examination, Verdict};
use crate::text::{Tone, clean};
use std::fmt::Write;

/// Columns before what was found.
const INDENT: usize = 28;

/// A line for each check, its advice below it.
///
/// ```
/// use spanring_cli::doctor::{Check, Examination, Verdict};
/// use spanring_cli::render;
///
/// let check = Check { what: "disk", verdict: Verdict::Good, found: "12 GiB free".to_owned(), advice: "" };
/// let text = render::doctor(&Examination { checks: vec![check], healthy: true }, None);
/// assert!(text.contains("12 GiB free") && text.ends_with("This machine can record here.\n"));
/// ```
pub fn doctor(examination: &Examination, width: Option<usize>) -> String {
    let mut text = String::new();
    let room = width.map(|width| width.saturating_sub(INDENT).max(20));
    for check in &examination.checks {
        let (word, tone) = match check.verdict {
            Verdict::Good => ("good", Tone::Plain),
            Verdict::Note => ("note", Tone::Faint),
            Verdict::Bad => ("BAD", Tone::Bad),
        };
        let advice = (!check.advice.is_empty()).then(|| wrapped(check.advice, room));
        let lines = wrapped(&clean(&check.found), room);
        let lines = lines.lines().chain(advice.iter().flat_map(|advice| advice.lines()));
        for (index, line) in lines.enumerate() {
            let (word, what) = if index == 0 { (word, check.what) } else { ("", "") };
            let line = format!("{word:<6}{what:<22}{line}");
            writeln!(text, "{}", tone.paint(line.trim_end())).expect("a string grows");
        }
    }
    let verdict = match examination.healthy {
        true => "\nThis machine can record here.",
        false => "\nThis machine cannot record here as it should.",
    };
    text + verdict + "\n"
}
