//! The kernel's limits for each process of a job.

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

use super::super::spec::{Spec, failed};

/// Threads and processes of the supervisor, which may count as the user's.
const N_OWN_TASKS: u64 = 16;
/// By how much a job is nicer than its supervisor.
const YIELDS: i32 = 10;

/// Sets them for this process and all that it starts. They are never raised.
pub(super) fn impose(spec: &Spec) -> Result<(), String> {
    let limits = &spec.limits;
    let cpu = limits.cpu.as_secs().max(1);
    // The supervisor counts exactly; this one stops a flood between two counts. The kernel exempts root.
    let n_tasks = spec.n_other_tasks + limits.n_processes + N_OWN_TASKS;
    let wanted = [
        (Resource::Cpu, cpu, cpu + 1),
        // Not the address space, of which some programs reserve a thousand times of what they use.
        (Resource::Data, limits.memory, limits.memory),
        (Resource::Fsize, limits.file_size, limits.file_size),
        (Resource::Nproc, n_tasks, n_tasks),
        (Resource::Nofile, limits.n_files, limits.n_files),
        (Resource::Core, 0, 0),
    ];
    for (resource, soft, hard) in wanted {
        let highest = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit { current: Some(soft.min(highest)), maximum: Some(hard.min(highest)) };
        setrlimit(resource, limit).map_err(failed("a limit cannot be set"))?;
    }
    // However many processes the job starts, the supervisor comes to run before them.
    nice(YIELDS).map_err(failed("the priority cannot be lowered"))?;
    Ok(())
}
