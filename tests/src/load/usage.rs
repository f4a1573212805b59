//! CPU time and memory of a process and all its children, from `/proc`.

use std::fs;

/// What a process tree has used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time, microseconds.
    pub cpu_us: u64,
    /// Resident memory, KiB.
    pub rss_kib: u64,
    /// Proportional memory (shared pages split), KiB.
    pub pss_kib: u64,
}

/// Clock ticks per second of `/proc/PID/stat`.
pub fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// What the tree below a process has used so far, the process included.
pub fn tree(root: u32) -> Usage {
    let mut sum = Usage::default();
    let parents = parents();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        let one = one(id);
        sum.cpu_us += one.cpu_us;
        sum.rss_kib += one.rss_kib;
        sum.pss_kib += one.pss_kib;
        open.extend(parents.iter().filter(|(_, parent)| *parent == id).map(|(child, _)| *child));
    }
    sum
}

fn fields(id: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name in parentheses may hold anything: the fields begin after the last parenthesis.
    let rest = stat.rsplit_once(')')?.1;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    ids.filter_map(|id| Some((id, fields(id)?.get(1)?.parse().ok()?))).collect()
}

fn one(id: u32) -> Usage {
    let Some(fields) = fields(id) else { return Usage::default() };
    let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let kib = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Usage {
        cpu_us: (number(11) + number(12)) * 1_000_000 / ticks_per_second(),
        rss_kib: kib("Rss:").unwrap_or(0),
        pss_kib: kib("Pss:").unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn our_own_process_uses_something() {
        assert!(super::tree(std::process::id()).rss_kib > 500);
    }
}
