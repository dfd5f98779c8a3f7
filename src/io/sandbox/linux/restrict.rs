//! Takes rights away from this process for good: capabilities, files, system calls.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    Scope, path_beneath_rules,
};
use nix::libc;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::super::Level;
use super::super::spec::{Spec, failed};
use super::super::view::{Access, View};

/// All that the level of the job forbids to the job itself; mounts and namespaces are the work of others.
pub(super) fn restrict(spec: &Spec) -> Result<(), String> {
    set_no_new_privs(true).map_err(failed("new rights cannot be refused"))?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).map_err(failed("capabilities cannot be given up"))?;
    if spec.level == Level::Landlock {
        close_files(&spec.view).map_err(failed("landlock"))?;
    }
    if spec.level != Level::Limits {
        close_calls(spec.level).map_err(failed("seccomp"))?;
    }
    Ok(())
}

/// Devices that give and take nothing of value.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Landlock: files outside of the view cannot be opened; TCP and signals to others are refused where it can.
///
/// Before its third version a file outside could be cut short, which is not good enough.
fn close_files(view: &View) -> Result<(), landlock::RulesetError> {
    let (all, read) = (AccessFs::from_all(ABI::V10), AccessFs::from_read(ABI::V10));
    let places =
        |access| view.places.iter().filter(move |place| place.access == access).map(|place| &place.from);
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V3))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rules(path_beneath_rules(places(Access::Read), read))?
        .add_rules(path_beneath_rules(["/proc"], read))?
        .add_rules(path_beneath_rules(places(Access::Write), all))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?
        .restrict_self()?;
    Ok(())
}

/// Seccomp: no keys of the user, and no new namespaces. Where the job has none of its own no sockets either, since
/// Landlock knows neither UDP nor, before its ninth version, those of daemons; and no System V objects.
///
/// A job of another architecture than this program's is killed.
fn close_calls(level: Level) -> Result<(), seccompiler::Error> {
    let mut refused = BTreeMap::new();
    let mut calls = vec![libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key];
    calls.extend([libc::SYS_unshare, libc::SYS_setns]);
    if !level.is_at_least(Level::Namespaces) {
        // io_uring makes sockets by itself.
        calls.extend([libc::SYS_socket, libc::SYS_io_uring_setup]);
        calls.extend([libc::SYS_shmget, libc::SYS_semget, libc::SYS_msgget, libc::SYS_mq_open]);
    }
    for call in calls {
        refuse(&mut refused, call, Vec::new());
    }
    let user = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    let is_set = SeccompCmpOp::MaskedEq(user);
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, is_set, user)?;
    refuse(&mut refused, libc::SYS_clone, vec![SeccompRule::new(vec![condition])?]);
    apply(refused, libc::EPERM)?;
    // Callers go on as on an older kernel. The flags of the first lie in memory, out of a filter's sight; what is
    // written to files of the second is memory that no process can be seen to hold.
    let mut missing = BTreeMap::new();
    for call in [libc::SYS_clone3, libc::SYS_memfd_create] {
        refuse(&mut missing, call, Vec::new());
    }
    apply(missing, libc::ENOSYS)
}

/// Without rules the call is refused whatever its arguments are.
fn refuse(calls: &mut BTreeMap<i64, Vec<SeccompRule>>, call: i64, rules: Vec<SeccompRule>) {
    /// Some kernels know each call of x86-64 under a second number.
    const X32: i64 = 0x4000_0000;
    if cfg!(target_arch = "x86_64") {
        calls.insert(call | X32, rules.clone());
    }
    calls.insert(call, rules);
}

fn apply(calls: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Result<(), seccompiler::Error> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let refusal = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, refusal, architecture)?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program)
}
