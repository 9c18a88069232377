//! Facts about a process and its threads, as `key=value` lines of text.
//!
//! In a value, `\` and a newline are written `\\` and `\n`. A reader takes the keys it knows and keeps no others.
//!
//! | of a process | |
//! |---|---|
//! | `session` | name of the session's directory |
//! | `pid`, `process_start`, `boot_id` | which process: its start in the kernel's clock ticks since boot, 0 if unknown |
//! | `executable`, `host`, `os`, `arch`, `version` | what it runs, where, and the version of spanring in it |
//! | `started_unix_ns` | when recording started, nanoseconds since 1970 |
//! | `start_ticks`, `start_monotonic_ns`, `start_unix_ns` | the first clock anchor |
//! | `tick_source`, `ticks_per_second` | `tsc`, `cntvct` or `monotonic`; its rate as measured at the start |
//! | `ring_bytes`, `discipline`, `ring_directory` | bytes of slots in a ring; `drain` or `flight`; empty: beside the session file |
//! | `filter`, `sampling` | which spans were recorded at the start, and what share of the roots, as text; empty: all |
//! | `snapshots` | where the recorder keeps snapshots; empty: it keeps none |
//! | `snapshot_of`, `snapshot_reason` | of a snapshot: the session whose rings it shows, and why it was taken |
//!
//! | of a thread | |
//! |---|---|
//! | `id` | unique in the session, from 1 |
//! | `os_id` | the system's id, 0 if unknown |
//! | `name` | empty if it had none |

use super::block::Anchor;

/// What a recording's ticks count.
///
/// ```
/// use spanring::format::TickSource;
///
/// /// As of a recording, of which `Recording::facts` says it.
/// fn needs_calibration(source: TickSource) -> bool {
///     source != TickSource::Monotonic
/// }
/// assert!(needs_calibration(TickSource::Tsc));
/// assert_eq!(TickSource::Tsc.to_string(), "tsc");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TickSource {
    /// The invariant time stamp counter of an x86-64 processor.
    Tsc,
    /// The virtual counter of an aarch64 processor.
    Cntvct,
    /// Nanoseconds of the system's monotonic clock.
    Monotonic,
}

impl TickSource {
    const NAMES: [(TickSource, &'static str); 3] =
        [(TickSource::Tsc, "tsc"), (TickSource::Cntvct, "cntvct"), (TickSource::Monotonic, "monotonic")];
}

impl std::fmt::Display for TickSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(name_of(&Self::NAMES, *self))
    }
}

/// What happens to a record for which its thread's ring has no room.
///
/// ```
/// use spanring::{Discipline, Recorder};
///
/// let in_production = Recorder::builder().directory("recording").discipline(Discipline::Flight);
/// assert_eq!(Discipline::Flight.to_string(), "flight");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discipline {
    /// It is dropped and counted. Rings are drained to the sink all the time: everything is kept, as long as the sink keeps up.
    Drain,
    /// It overwrites the oldest. Rings keep the recent past, and go to the sink only when asked.
    Flight,
}

impl std::fmt::Display for Discipline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(name_of(&DISCIPLINES, *self))
    }
}

const DISCIPLINES: [(Discipline, &str); 2] = [(Discipline::Drain, "drain"), (Discipline::Flight, "flight")];

fn name_of<T: PartialEq + Copy>(names: &[(T, &'static str)], value: T) -> &'static str {
    names.iter().find(|(known, _)| *known == value).map_or("?", |(_, name)| name)
}

fn named<T: PartialEq + Copy>(names: &[(T, &'static str)], name: &str) -> Option<T> {
    names.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}

/// Who recorded, and how.
///
/// ```
/// use spanring::format::ProcessFacts;
///
/// let facts = ProcessFacts::decode("pid=4711\nexecutable=/usr/bin/service\ndiscipline=flight\n");
/// assert_eq!((facts.pid, facts.executable.as_str()), (4711, "/usr/bin/service"));
/// assert_eq!(facts.host, "", "nothing says it");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Name of the session's directory.
    pub session: String,
    /// Process id.
    pub pid: u32,
    /// When the process started, in the kernel's clock ticks since boot (0: unknown). With pid and boot id it tells one process
    /// from a later one of the same number.
    pub process_start: u64,
    /// The kernel's id of this boot; empty: unknown.
    pub boot_id: String,
    /// Path of the program.
    pub executable: String,
    /// Host name.
    pub host: String,
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// Version of spanring.
    pub version: String,
    /// When recording started, nanoseconds since 1970.
    pub started_unix_ns: u64,
    /// Clocks at the start.
    pub start: Anchor,
    /// What the ticks count.
    pub tick_source: TickSource,
    /// Ticks per second as measured at the start.
    pub ticks_per_second: u64,
    /// Bytes of slots in each ring.
    pub ring_bytes: u64,
    /// What a full ring does.
    pub discipline: Discipline,
    /// Where the ring files are; empty: beside the session file.
    pub ring_directory: String,
    /// Which spans were recorded at the start, as the recorder's filter has it; empty: all.
    pub filter: String,
    /// What share of the root spans was recorded at the start, from 0 to 1; empty: all.
    pub sampling: String,
    /// Where the recorder keeps snapshots; empty: it keeps none.
    pub snapshots: String,
    /// Of a snapshot: the session whose rings it shows; empty: this is none.
    pub snapshot_of: String,
    /// Of a snapshot: why it was taken.
    pub snapshot_reason: String,
}

impl ProcessFacts {
    /// The facts as text.
    ///
    /// ```
    /// use spanring::format::ProcessFacts;
    ///
    /// let facts = ProcessFacts { host: "a\nb".to_owned(), ..ProcessFacts::decode("") };
    /// let text = facts.encode();
    /// assert!(text.lines().any(|line| line == "host=a\\nb"));
    /// assert_eq!(ProcessFacts::decode(&text), facts);
    /// ```
    pub fn encode(&self) -> String {
        lines(&[
            ("session", &self.session),
            ("pid", &self.pid),
            ("process_start", &self.process_start),
            ("boot_id", &self.boot_id),
            ("executable", &self.executable),
            ("host", &self.host),
            ("os", &self.os),
            ("arch", &self.arch),
            ("version", &self.version),
            ("started_unix_ns", &self.started_unix_ns),
            ("start_ticks", &self.start.ticks),
            ("start_monotonic_ns", &self.start.monotonic_ns),
            ("start_unix_ns", &self.start.unix_ns),
            ("tick_source", &self.tick_source),
            ("ticks_per_second", &self.ticks_per_second),
            ("ring_bytes", &self.ring_bytes),
            ("discipline", &self.discipline),
            ("ring_directory", &self.ring_directory),
        ]) + &lines(&self.if_any())
    }

    /// What is said only where there is something to say.
    fn if_any(&self) -> Vec<(&str, &dyn std::fmt::Display)> {
        let facts: [(&str, &String); 5] = [
            ("filter", &self.filter),
            ("sampling", &self.sampling),
            ("snapshots", &self.snapshots),
            ("snapshot_of", &self.snapshot_of),
            ("snapshot_reason", &self.snapshot_reason),
        ];
        facts.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key, value as _)).collect()
    }

    /// The facts in `text`. A line that is missing or makes no sense leaves its field empty or zero.
    ///
    /// ```
    /// use spanring::format::{Discipline, ProcessFacts};
    ///
    /// let facts = ProcessFacts::decode("discipline=flight\nunheard_of=1\n");
    /// assert_eq!((facts.discipline, facts.pid), (Discipline::Flight, 0));
    /// ```
    pub fn decode(text: &str) -> ProcessFacts {
        let facts = Lines(text);
        ProcessFacts {
            session: facts.text("session"),
            pid: facts.number("pid") as u32,
            process_start: facts.number("process_start"),
            boot_id: facts.text("boot_id"),
            executable: facts.text("executable"),
            host: facts.text("host"),
            os: facts.text("os"),
            arch: facts.text("arch"),
            version: facts.text("version"),
            started_unix_ns: facts.number("started_unix_ns"),
            start: Anchor {
                ticks: facts.number("start_ticks"),
                monotonic_ns: facts.number("start_monotonic_ns"),
                unix_ns: facts.number("start_unix_ns"),
            },
            tick_source: named(&TickSource::NAMES, &facts.text("tick_source")).unwrap_or(TickSource::Monotonic),
            ticks_per_second: facts.number("ticks_per_second"),
            ring_bytes: facts.number("ring_bytes"),
            discipline: named(&DISCIPLINES, &facts.text("discipline")).unwrap_or(Discipline::Drain),
            ring_directory: facts.text("ring_directory"),
            filter: facts.text("filter"),
            sampling: facts.text("sampling"),
            snapshots: facts.text("snapshots"),
            snapshot_of: facts.text("snapshot_of"),
            snapshot_reason: facts.text("snapshot_reason"),
        }
    }
}

/// One thread that recorded.
///
/// ```
/// use spanring::format::ThreadFacts;
///
/// let worker = ThreadFacts { id: 1, os_id: 4712, name: "worker".to_owned() };
/// assert_eq!(worker.encode(), "id=1\nos_id=4712\nname=worker\n");
/// assert_eq!(ThreadFacts::decode(&worker.encode()), worker);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ThreadFacts {
    /// Unique in the session, from 1.
    pub id: u32,
    /// The system's id of the thread; 0: unknown.
    pub os_id: u64,
    /// The thread's name; empty if it had none.
    pub name: String,
}

impl ThreadFacts {
    /// The facts as text.
    ///
    /// ```
    /// use spanring::format::ThreadFacts;
    ///
    /// assert_eq!(ThreadFacts::default().encode(), "id=0\nos_id=0\nname=\n");
    /// ```
    pub fn encode(&self) -> String {
        lines(&[("id", &self.id), ("os_id", &self.os_id), ("name", &self.name)])
    }

    /// The facts in `text`, as [`ProcessFacts::decode`] takes them.
    ///
    /// ```
    /// use spanring::format::ThreadFacts;
    ///
    /// assert_eq!(ThreadFacts::decode("id=2\n"), ThreadFacts { id: 2, ..ThreadFacts::default() });
    /// ```
    pub fn decode(text: &str) -> ThreadFacts {
        let facts = Lines(text);
        ThreadFacts { id: facts.number("id") as u32, os_id: facts.number("os_id"), name: facts.text("name") }
    }
}

fn lines(facts: &[(&str, &dyn std::fmt::Display)]) -> String {
    let line = |(key, value): &(&str, &dyn std::fmt::Display)| {
        let value = value.to_string().replace('\\', "\\\\").replace('\n', "\\n");
        format!("{key}={value}\n")
    };
    facts.iter().map(line).collect()
}

/// A text of `key=value` lines. A map of them could take many times the memory that the text does.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    /// The last value of that key.
    fn text(&self, key: &str) -> String {
        let mut lines = self.0.lines().filter_map(|line| line.split_once('='));
        lines.rfind(|(found, _)| *found == key).map(|(_, value)| unescape(value)).unwrap_or_default()
    }

    fn number(&self, key: &str) -> u64 {
        self.text(key).parse().unwrap_or(0)
    }
}

fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            _ => c,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_with_any_text_in_them() {
        let facts = ProcessFacts {
            session: "20261123T140501.250Z-1-0".to_owned(),
            pid: 1,
            process_start: 2,
            boot_id: "b".to_owned(),
            executable: "/a=b\\n\nc".to_owned(),
            host: "hôst".to_owned(),
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            version: "0.1.0".to_owned(),
            started_unix_ns: 3,
            start: Anchor { ticks: 4, monotonic_ns: 5, unix_ns: 6 },
            tick_source: TickSource::Tsc,
            ticks_per_second: 7,
            ring_bytes: 8,
            discipline: Discipline::Flight,
            ring_directory: "/dev/shm".to_owned(),
            filter: "med".to_owned(),
            sampling: "0.1".to_owned(),
            snapshots: "/snapshots".to_owned(),
            snapshot_of: "20261123T140501.250Z-1-0".to_owned(),
            snapshot_reason: "slow: a\nb".to_owned(),
        };
        assert_eq!(ProcessFacts::decode(&facts.encode()), facts);
        let thread = ThreadFacts { id: 1, os_id: 2, name: "a\nid=9\\".to_owned() };
        assert_eq!(ThreadFacts::decode(&thread.encode()), thread);
    }

    #[test]
    fn nonsense_is_empty_rather_than_an_error() {
        assert_eq!(ThreadFacts::decode("id=x\nname\n\\"), ThreadFacts::default());
    }
}
