//! Child processes: the test binary runs itself again, for one test only, which then plays the child.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const PART: &str = "SPANRING_TEST_PART";
const DIRECTORY: &str = "SPANRING_TEST_DIRECTORY";

/// Begins what a child says to its parent, which tells it from what the test harness says.
const SAYS: &str = "child says: ";

/// What a child was started for.
pub struct Part {
    pub name: String,
    pub directory: PathBuf,
}

/// The part that this process has to play; `None` in the parent.
pub fn part() -> Option<Part> {
    let name = std::env::var(PART).ok()?;
    let directory = PathBuf::from(std::env::var_os(DIRECTORY)?);
    Some(Part { name, directory })
}

/// Tells the parent something.
pub fn say(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{SAYS}{what}").and_then(|()| out.flush()).expect("the parent listens");
}

/// A child process. Killed when dropped.
pub struct Player {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Player {
    /// Runs this test binary again with nothing but the test `test`, which looks at [`part`].
    pub fn start(test: &str, name: &str, directory: &Path) -> Player {
        Player::start_with(test, name, directory, &[])
    }

    /// The same with these variables in its environment.
    pub fn start_with(test: &str, name: &str, directory: &Path, variables: &[(&str, &str)]) -> Player {
        let mut child = Command::new(std::env::current_exe().expect("a test knows its program"))
            .args(["--exact", test, "--nocapture", "--test-threads", "1"])
            .env(PART, name)
            .env(DIRECTORY, directory)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a test can run its own program");
        let out = BufReader::new(child.stdout.take().expect("the child's output is a pipe"));
        Player { child, out }
    }

    /// Waits for the next thing that the child says.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.out.read_line(&mut line).expect("a pipe can be read");
            assert!(read > 0, "the child ended without a word");
            if let Some(what) = line.trim_end().strip_prefix(SAYS) {
                return what.to_owned();
            }
        }
    }

    /// Kills the child, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("one's own child can be killed");
        self.child.wait().expect("one's own child can be waited for");
    }

    /// Waits until the child has ended by itself.
    pub fn wait(mut self) -> std::process::ExitStatus {
        self.child.wait().expect("one's own child can be waited for")
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Usually it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
