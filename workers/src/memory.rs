//! How much memory the process holds.

/// The process's resident set in bytes; none where the system does not tell (only Linux does).
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    parse(&status)
}

/// The line `VmRSS:    12345 kB`.
fn parse(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Only one test at a time may measure what the whole process holds.
#[cfg(test)]
pub(crate) static MEASURING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_found_among_the_other_lines() {
        let status = "Name:\tparlor\nVmHWM:\t   20 kB\nVmRSS:\t   12 kB\nThreads:\t3\n";
        assert_eq!(parse(status), Some(12 * 1024));
        assert_eq!(parse("Name:\tparlor\n"), None);
        assert_eq!(parse("VmRSS:\t many kB\n"), None);
    }

    #[test]
    fn what_is_held_is_seen_and_so_is_that_it_was_given_back() {
        let _alone = MEASURING.blocking_lock();
        let Some(before) = resident_bytes() else {
            return;
        };
        // Large blocks come from the system and go back to it. Every page is written, so that it is there.
        let held = vec![1_u8; 128 << 20];
        let with = resident_bytes().unwrap();
        assert!(with >= before + (64 << 20), "{before} then {with}");
        assert_eq!(held.last(), Some(&1));
        drop(held);
        let after = resident_bytes().unwrap();
        assert!(after + (64 << 20) <= with, "{with} then {after}");
    }
}
