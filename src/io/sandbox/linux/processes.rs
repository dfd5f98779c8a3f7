//! Finds the processes of a job in /proc, and what they use.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{self, Pid};

use super::super::Limits;
use super::super::supervise::Usage;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    parent: i32,
    user: u32,
    n_threads: u64,
    /// Bytes, where pages that several processes share count for each.
    memory: u64,
}

impl Process {
    /// `None` when it is gone.
    fn read(pid: Pid) -> Option<Self> {
        let status = fs::read(format!("/proc/{pid}/status")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&status))
    }

    fn parse(pid: Pid, status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        Some(Self {
            pid,
            parent: i32::try_from(field("PPid")?).ok()?,
            user: u32::try_from(field("Uid")?).ok()?,
            n_threads: field("Threads")?,
            // One that has just died holds none.
            memory: field("VmRSS").unwrap_or(0) * 1024,
        })
    }
}

/// All that can be seen.
fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    pids.filter_map(Process::read).collect()
}

/// The children of a process, their children, and so on; more than `limit` only by chance.
pub(super) fn below(root: Pid, limit: usize) -> Vec<Process> {
    let Some(mut found) = children(root) else {
        return descend(all(), root.as_raw_pid());
    };
    let mut n_seen = 0;
    while n_seen < found.len() && found.len() <= limit {
        let more = children(found[n_seen].pid).unwrap_or_default();
        found.extend(more);
        n_seen += 1;
    }
    found
}

/// `None` when the process is gone or the kernel does not tell.
fn children(parent: Pid) -> Option<Vec<Process>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{parent}/task")).ok()?.flatten() {
        let list = fs::read_to_string(thread.path().join("children")).ok()?;
        let pids = list.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        found.extend(pids.filter_map(Process::read));
    }
    Some(found)
}

fn descend(processes: Vec<Process>, root: i32) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&root).unwrap_or_default();
    let mut n_seen = 0;
    while let Some(process) = found.get(n_seen) {
        n_seen += 1;
        found.extend(children.remove(&process.pid.as_raw_pid()).unwrap_or_default());
    }
    found
}

/// What the processes below this one use. Memory is counted exactly when it seems to be too much.
pub(super) fn usage(limits: &Limits) -> Usage {
    let enough = usize::try_from(limits.n_processes).unwrap_or(usize::MAX);
    let processes = below(process::getpid(), enough);
    let n_tasks = processes.iter().map(|process| process.n_threads).sum();
    let mut memory = processes.iter().map(|process| process.memory).sum();
    if memory > limits.memory && n_tasks <= limits.n_processes {
        memory = processes.iter().map(exact_memory).sum();
    }
    Usage { n_tasks, memory }
}

/// Bytes, where a page that n processes share counts 1/n. Slow.
fn exact_memory(process: &Process) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let exact = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    exact.map_or(process.memory, |kib| kib * 1024)
}

/// Processes and threads of this user. The kernel does not limit root's.
pub(super) fn n_tasks_of_user() -> u64 {
    let user = process::getuid();
    if user.is_root() {
        return 0;
    }
    all().iter().filter(|process| process.user == user.as_raw()).map(|process| process.n_threads).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\tx\\nPPid:\t7\nPid:\t12\nPPid:\t3\nUid:\t1000\t1000\t1000\t1000\nVmRSS:\t 8 kB\nThreads:\t2\n";

    fn process(pid: i32, parent: i32) -> Process {
        let pid = Pid::from_raw(pid).expect("positive");
        Process { pid, parent, user: 0, n_threads: 1, memory: 0 }
    }

    #[test]
    fn reads_a_status() {
        let pid = Pid::from_raw(12).expect("positive");
        let expected = Process { pid, parent: 3, user: 1000, n_threads: 2, memory: 8192 };
        assert_eq!(Process::parse(pid, STATUS), Some(expected));
        assert_eq!(Process::parse(pid, ""), None);
    }

    #[test]
    fn descends_to_grandchildren_alone() {
        let processes = vec![process(1, 0), process(9, 5), process(5, 2), process(2, 1), process(3, 1)];
        let found: Vec<_> = descend(processes, 2).iter().map(|found| found.pid.as_raw_pid()).collect();
        assert_eq!(found, [5, 9]);
    }
}
