//! The level `namespaces`: the same walls as `bwrap`, made by this program.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};
use rustix::process::{getegid, geteuid, pivot_root};
use rustix::thread::{CapabilitySet, capabilities, configure_capability_in_ambient_set, set_capabilities};

use super::super::init::{COMMAND, WATCH};
use super::super::spec::failed;
use super::super::view::{Access, View};
use super::OWN_PROGRAM;

/// Makes the namespaces and starts the supervisor in them, as the first process.
pub(super) fn enter() -> Result<ExitCode, String> {
    super::close_inherited()?;
    let (user, group) = (geteuid(), getegid());
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    unshare(all).map_err(failed("`unshare`"))?;
    fs::write("/proc/self/setgroups", "deny").map_err(failed("`setgroups`"))?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1")).map_err(failed("`uid_map`"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1")).map_err(failed("`gid_map`"))?;
    keep_capabilities().map_err(failed("capabilities"))?;
    let status = Command::new(OWN_PROGRAM).arg(COMMAND).arg(WATCH).status();
    let status = status.map_err(failed("the supervisor cannot be started"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A user who is not root would lose them as the supervisor starts.
fn keep_capabilities() -> rustix::io::Result<()> {
    let mut sets = capabilities(None)?;
    let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN;
    sets.inheritable = needed;
    set_capabilities(None, sets)?;
    needed.iter().try_for_each(|capability| configure_capability_in_ambient_set(capability, true))
}

/// Puts the job's root together and moves into it; brings the loopback up.
pub(super) fn build(view: &View) -> Result<(), String> {
    start_loopback().map_err(failed("the loopback device"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(failed("mounts cannot be kept private"))?;
    let root = Path::new(&view.root);
    mount_new("tmpfs", root, MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755,size=16m")?;
    build_proc(root)?;
    build_devices(root)?;
    for place in &view.places {
        bind(Path::new(&place.from), &inside(root, &place.at))?;
    }
    for link in &view.links {
        let at = inside(root, &link.at);
        make_parent(&at).and_then(|()| symlink(&link.to, &at)).map_err(failed("a link cannot be made"))?;
    }
    close_writing(view)?;
    enter_root(root).map_err(failed("the root cannot be changed"))
}

/// A path of the job, before the job's root is the root.
fn inside(root: &Path, path: &OsStr) -> PathBuf {
    root.join(Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)))
}

fn make_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn mount_new(kind: &str, at: &Path, flags: MountFlags, options: &std::ffi::CStr) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("`{kind}` cannot be mounted: {error}");
    fs::create_dir_all(at).map_err(fail)?;
    mount(kind, at, kind, flags, options).map_err(|error| fail(error.into()))
}

/// Shows a file or folder of the host with all that is mounted below it.
fn bind(from: &Path, at: &Path) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("`{}` cannot be shown: {error}", from.display());
    if from.is_dir() {
        fs::create_dir_all(at).map_err(fail)?;
    } else if !at.exists() {
        make_parent(at).and_then(|()| File::create(at)).map_err(fail)?;
    }
    mount_bind_recursive(from, at).map_err(|error| fail(error.into()))
}

/// Read-only: root's job could change settings of the kernel through it.
fn build_proc(root: &Path) -> Result<(), String> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    mount_new("proc", &root.join("proc"), flags, c"")
}

fn build_devices(root: &Path) -> Result<(), String> {
    let devices = root.join("dev");
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        bind(&Path::new("/dev").join(name), &devices.join(name))?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_new("devpts", &devices.join("pts"), flags, c"newinstance,ptmxmode=0666,mode=620")?;
    let links = [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ];
    for (to, name) in links {
        symlink(to, devices.join(name)).map_err(failed("a link in /dev cannot be made"))?;
    }
    Ok(())
}

/// Makes every mount of the job read-only but those below its own places.
fn close_writing(view: &View) -> Result<(), String> {
    let root = Path::new(&view.root);
    let own = view.places.iter().filter(|place| place.access == Access::Write);
    let own: Vec<_> = own.map(|place| inside(root, &place.at)).chain([root.join("dev/pts")]).collect();
    let shown = view.places.iter().filter(|place| place.access == Access::Read);
    let shown: Vec<_> = shown.map(|place| inside(root, &place.at)).collect();
    let table = fs::read(root.join("proc/self/mountinfo")).map_err(failed("mounts cannot be listed"))?;
    for (point, flags) in table.split(|byte| *byte == b'\n').filter_map(parse_mount) {
        // The innermost place decides.
        let depth = |places: &[PathBuf]| {
            let around = places.iter().filter(|place| point.starts_with(place));
            around.map(|place| place.components().count()).max()
        };
        if !point.starts_with(root) || depth(&own) > depth(&shown) {
            continue;
        }
        mount_remount(&point, MountFlags::BIND | MountFlags::RDONLY | flags, c"")
            .map_err(|error| format!("`{}` cannot be made read-only: {error}", point.display()))?;
    }
    Ok(())
}

/// The place and the flags of a mount, from a line of `mountinfo`. They have to be kept as they are.
fn parse_mount(line: &[u8]) -> Option<(PathBuf, MountFlags)> {
    let mut fields = line.split(|byte| *byte == b' ').skip(4);
    let (point, options) = (fields.next()?, fields.next()?);
    let flags = options.split(|byte| *byte == b',').map(|option| match option {
        b"ro" => MountFlags::RDONLY,
        b"nosuid" => MountFlags::NOSUID,
        b"nodev" => MountFlags::NODEV,
        b"noexec" => MountFlags::NOEXEC,
        b"noatime" => MountFlags::NOATIME,
        b"nodiratime" => MountFlags::NODIRATIME,
        b"relatime" => MountFlags::RELATIME,
        b"nosymfollow" => MountFlags::NOSYMFOLLOW,
        _ => MountFlags::empty(),
    });
    Some((unescape(point), flags.fold(MountFlags::empty(), |all, flag| all | flag)))
}

/// Blanks and backslashes are written as three octal digits.
fn unescape(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// The old root is put under the new one and then let go.
fn enter_root(root: &Path) -> std::io::Result<()> {
    std::env::set_current_dir(root)?;
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    std::env::set_current_dir("/")
}

/// Sends `RTM_NEWLINK` for the first device: `struct nlmsghdr`, then `struct ifinfomsg`.
fn start_loopback() -> rustix::io::Result<()> {
    const LENGTH: u32 = 32;
    const NEW_LINK: u16 = 16;
    const REQUEST: u16 = 1;
    const LOOPBACK: u32 = 1;
    const UP: u32 = 1;
    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend(NEW_LINK.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    for field in [1, 0, 0, LOOPBACK, UP, UP] {
        message.extend(u32::to_ne_bytes(field));
    }
    let family = AddressFamily::NETLINK;
    // No protocol is `NETLINK_ROUTE`.
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(socket, &message, SendFlags::empty())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn reads_lines_of_mountinfo() {
        let line = b"36 35 98:0 / /a\\040b\\134c ro,nosuid,relatime shared:1 - ext4 /dev/root rw";
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::RELATIME;
        assert_eq!(parse_mount(line), Some((PathBuf::from(OsStr::from_bytes(b"/a b\\c")), flags)));
        assert_eq!(parse_mount(b""), None);
    }
}
