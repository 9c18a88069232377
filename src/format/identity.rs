//! Which process a recording is of, so that a reader can tell whether it still runs: process id, start time and boot.

/// When a process started, in clock ticks since boot; `None` if there is no such process, or the system does not say.
pub(crate) fn start_of(pid: u32) -> Option<u64> {
    start_in(&text_of(&format!("/proc/{pid}/stat"))?)
}

/// The kernel's id of this boot; empty if the system has none.
pub(crate) fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id")
}

/// The host's name; empty if the system does not say.
pub(crate) fn host() -> String {
    read("/proc/sys/kernel/hostname")
}

fn read(path: &str) -> String {
    text_of(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// A file of the kernel's, which has no say under Miri.
fn text_of(path: &str) -> Option<String> {
    if cfg!(miri) { None } else { std::fs::read_to_string(path).ok() }
}

/// Field 22 of a process's `stat`, unless the process is a zombie. The name in field 2 may hold spaces and parentheses.
fn start_in(stat: &str) -> Option<u64> {
    const STATE: usize = 0;
    const START: usize = 19;
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let dead = matches!(*fields.get(STATE)?, "Z" | "X");
    if dead { None } else { fields.get(START)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(start_in(stat), Some(4242));
        assert_eq!(start_in("garbage"), None);
    }

    #[test]
    fn a_zombie_does_not_run() {
        assert_eq!(start_in("12 (a) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20"), None);
    }
}
