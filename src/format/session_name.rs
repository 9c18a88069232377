//! What a session's directory is called: `<UTC start>-<pid>-<number>`, with `.removed` behind it while it is being removed.

/// Ends the name of a session that is being removed: it has this name from one instant to the next, so no reader meets half of a
/// session.
pub(crate) const REMOVED: &str = ".removed";

/// The process that a session's directory is named after; `None`: this is no session's name.
pub(crate) fn process_of(name: &str) -> Option<u32> {
    const START: &[u8] = b"00000000T000000.000Z";
    let (rest, number) = name.rsplit_once('-')?;
    let (start, pid) = rest.rsplit_once('-')?;
    let alike = |(byte, sample): (u8, &u8)| if *sample == b'0' { byte.is_ascii_digit() } else { byte == *sample };
    let is_start = start.len() == START.len() && start.bytes().zip(START).all(alike);
    number.parse::<u64>().ok().filter(|_| is_start).and_then(|_| pid.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_s_name_tells_a_process() {
        assert_eq!(process_of("20261123T140501.250Z-4711-0"), Some(4711));
        for name in ["", "a-1-2", "20261123T140501.250Z-4711", "20261123T140501.250Z-x-0", "2026112xT140501.250Z-1-0"] {
            assert_eq!(process_of(name), None, "{name}");
        }
    }
}
