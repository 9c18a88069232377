//! Makes recordings with the real recorder, one for each case that an export has to get right, and writes down the truth about
//! each as the reader has it, without any code of the exporters.
//!
//! ```text
//! cases record DIRECTORY          DIRECTORY/CASE/recording and DIRECTORY/CASE/truth.jsonl for every case
//! cases truth RECORDING FILE      the truth about any recording
//! ```

mod cases;
mod detailed;
mod details;
mod gone;
mod traces;
mod truth;
mod zero_length;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use truth::Truth;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["record", directory] => record_all(Path::new(directory)),
        ["truth", recording, file] => write_truth(Path::new(recording), Path::new(file)).map(drop),
        ["die", case, recording] => die(case, Path::new(recording)),
        _ => Err("usage: cases record DIRECTORY | cases truth RECORDING FILE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cases: {error}");
            ExitCode::FAILURE
        }
    }
}

fn record_all(directory: &Path) -> Result<(), Box<dyn Error>> {
    // What panics on purpose says nothing, so that it does not look like a failure.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<&str>() != Some(&cases::ON_PURPOSE) {
            report(panic);
        }
    }));
    for case in cases::ALL {
        let place = directory.join(case.name);
        let recording = place.join("recording");
        let run = || -> Result<(), Box<dyn Error>> {
            std::fs::create_dir_all(&place)?;
            if case.dies {
                record_and_die(case.name, &recording)?;
            } else {
                (case.record)(&recording)?;
            }
            if case.name == zero_length::CASE {
                zero_length::rewrite(&recording)?;
            }
            let truth = write_truth(&recording, &place.join("truth.jsonl"))?;
            (case.is_one)(&truth).then_some(()).ok_or_else(|| format!("it is none: {}", truth.summary()).into())
        };
        run().map_err(|error| format!("case {}: {error}", case.name))?;
    }
    Ok(())
}

/// Has a process of its own record a case, and kills it when it says that it is ready.
fn record_and_die(case: &str, recording: &Path) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["die", case]).arg(recording).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut said = String::new();
    let heard = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut said));
    child.kill()?;
    child.wait()?;
    heard.transpose()?;
    if said == "ready\n" { Ok(()) } else { Err("its process came to an end of its own".into()) }
}

/// The process of a case that is killed.
fn die(case: &str, recording: &Path) -> Result<(), Box<dyn Error>> {
    let case = cases::ALL.iter().find(|known| known.name == case).ok_or("no such case")?;
    (case.record)(recording)
}

fn write_truth(recording: &Path, file: &Path) -> Result<Truth, Box<dyn Error>> {
    let truth = Truth::of(recording)?;
    truth.write(&mut std::io::BufWriter::new(std::fs::File::create(file)?))?;
    Ok(truth)
}
