//! The process's memory.

/// Resident memory of this process, bytes; `None` where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    // Not `statm`: that counts pages, whose size only a foreign function tells.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
