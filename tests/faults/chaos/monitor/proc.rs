//! What the kernel says of a process and of sockets. `None` when the process is gone.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

/// Resident memory.
pub(crate) fn rss_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = field.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Open descriptors.
pub(crate) fn fd_count(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// Processor time of all threads of a process, in user and system mode.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; behind it the fields are numbers.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(ticks as f64 / per_second as f64)
}

/// Sockets with this peer that a process still holds, by their inodes: one that was closed has none,
/// though the kernel may keep it for a while. The table is read in pieces: of connections that end
/// and others that begin meanwhile, both may be seen.
pub(crate) fn held_sockets(peer: SocketAddr) -> BTreeSet<u64> {
    let SocketAddr::V4(peer) = peer else {
        return BTreeSet::new();
    };
    let address = u32::from_ne_bytes(peer.ip().octets());
    let wanted = format!("{address:08X}:{:04X}", peer.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let held = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let inode = fields.get(9)?.parse().ok()?;
        (fields.get(2) == Some(&wanted.as_str()) && inode > 0).then_some(inode)
    };
    table.lines().filter_map(held).collect()
}

/// Processor seconds of the whole machine, since it started: in use, and all there were.
pub(crate) fn machine_seconds() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        // What a guest uses is contained in the first two.
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    let total: f64 = ticks.iter().sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    ((total - idle) / per_second, total / per_second)
}
