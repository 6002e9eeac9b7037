//! What the system says of this process, under the names that every exporter uses. Linux only;
//! what cannot be read is left out. Counting descriptors takes milliseconds with many thousand of
//! them, so this is not for a thread that has something else to do.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProcessFigures {
    /// Processor time, user and system.
    pub cpu_seconds: Option<f64>,
    /// Resident memory.
    pub resident_bytes: Option<f64>,
    /// Virtual memory.
    pub virtual_bytes: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<f64>,
    /// Most file descriptors that may be open.
    pub max_fds: Option<f64>,
    /// Start of the process, in seconds since the epoch.
    pub started_seconds: Option<f64>,
}

impl ProcessFigures {
    /// How things are now.
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
        let mut figures = Self::of(&stat, &boot);
        // The listing itself is one of them.
        let fds = fs::read_dir("/proc/self/fd").map(|fds| fds.count().saturating_sub(1));
        figures.open_fds = fds.ok().map(|fds| fds as f64);
        figures.max_fds = getrlimit(Resource::Nofile).current.map(|max| max as f64);
        figures
    }

    /// Reads `/proc/self/stat` and `/proc/stat`: see `proc_pid_stat(5)` for the numbers of the
    /// fields, of which the second may hold blanks.
    fn of(stat: &str, boot: &str) -> Self {
        let behind_name = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let fields: Vec<&str> = behind_name.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "));
        let boot = boot.and_then(|seconds| seconds.trim().parse::<f64>().ok());
        Self {
            cpu_seconds: field(14)
                .zip(field(15))
                .map(|(user, system)| (user + system) / ticks),
            started_seconds: field(22)
                .zip(boot)
                .map(|(since, boot)| boot + since / ticks),
            virtual_bytes: field(23),
            resident_bytes: field(24).map(|pages| pages * rustix::param::page_size() as f64),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4 0 0 0 0 200 100 0 0 20 0 3 0 5000 4096 2 1 1";
        let figures = ProcessFigures::of(stat, "cpu 1\nbtime 1000\n");
        assert_eq!(figures.virtual_bytes, Some(4096.0));
        let page = rustix::param::page_size() as f64;
        assert_eq!(figures.resident_bytes, Some(2.0 * page));
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(figures.cpu_seconds, Some(300.0 / ticks));
        assert_eq!(figures.started_seconds, Some(1000.0 + 5000.0 / ticks));
        assert_eq!(ProcessFigures::of("", "").cpu_seconds, None);
    }

    #[test]
    fn this_process_has_memory_descriptors_and_a_start() {
        let figures = ProcessFigures::now();
        assert!(figures.resident_bytes.unwrap() > 100_000.0);
        assert!(figures.open_fds.unwrap() >= 3.0);
        assert!(figures.started_seconds.unwrap() > 1.6e9);
    }
}
