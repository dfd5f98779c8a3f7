//! The level `bubblewrap`: the arguments of `bwrap`.

use std::path::Path;
use std::process::Command;

use super::super::view::{Access, View};

/// Not looked for in PATH, whose folders may have come with the files under repair.
const PLACES: [&str; 4] =
    ["/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap", "/run/current-system/sw/bin/bwrap"];

const WALLS: &[&str] = &[
    "--unshare-user",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--unshare-uts",
    "--die-with-parent",
    // The supervisor is the first process, so that all others die with it.
    "--as-pid-1",
    // Only root would have any.
    "--cap-drop",
    "ALL",
    "--clearenv",
];

/// Starts `trampoline`, whose arguments are still to come.
pub(super) fn command(trampoline: &Path, view: &View) -> Result<Command, String> {
    let program = PLACES.into_iter().find(|place| Path::new(place).is_file());
    let program = program.ok_or("`bwrap` is not installed")?;
    let mut command = Command::new(program);
    command.args(WALLS).args(["--proc", "/proc", "--dev", "/dev"]);
    for place in &view.places {
        let flag = if place.access == Access::Write { "--bind" } else { "--ro-bind" };
        command.arg(flag).arg(&place.from).arg(&place.at);
    }
    for link in &view.links {
        command.arg("--symlink").arg(&link.to).arg(&link.at);
    }
    command.arg("--ro-bind").arg(trampoline).arg(trampoline);
    // Root's job could change settings of the kernel through /proc, which `bwrap` leaves open for it.
    for path in ["/proc", "/dev", "/"] {
        command.args(["--remount-ro", path]);
    }
    command.arg("--").arg(trampoline);
    Ok(command)
}
