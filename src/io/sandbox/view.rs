//! Which files a job can see, and which of them it can change.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::private::Private;
use super::{Job, SandboxError};

/// Paths of the host and where the job finds them, in the order in which they are put in place.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct View {
    pub(super) places: Vec<Place>,
    /// Links to places, by the names under which they were asked for.
    pub(super) links: Vec<Link>,
    /// An empty folder of the host where the job's root is put together.
    pub(super) root: OsString,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) from: OsString,
    pub(super) at: OsString,
    pub(super) access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Access {
    Read,
    Write,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) at: OsString,
    pub(super) to: OsString,
}

/// What programs need in order to start, and nothing of /etc that may hold a secret.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/opt/microsoft",
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/lsb-release",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/perl",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/python3",
    "/etc/services",
    "/etc/shells",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
    "/sys/devices/system/cpu",
    "/sys/kernel/mm/transparent_hugepage",
];

impl View {
    /// `tree` has no links in it.
    pub(super) fn new(job: &Job, tree: &Path, private: &Private) -> Result<Self, SandboxError> {
        let root = private.root().into();
        let mut view = Self { places: Vec::new(), links: Vec::new(), root };
        for path in SYSTEM {
            // Not every system has all of them.
            if let Ok(target) = Path::new(path).canonicalize() {
                view.show(Path::new(path), target);
            }
        }
        view.give(&private.slash_temp(), Path::new("/tmp"));
        view.give(&private.shared_memory(), Path::new("/dev/shm"));
        for path in &job.readable {
            let fail = |source| SandboxError::Path { path: path.clone(), source };
            let absolute = std::path::absolute(path).map_err(fail)?;
            view.show(&absolute, path.canonicalize().map_err(fail)?);
        }
        if job.stdin.is_some() {
            view.show(&private.stdin(), private.stdin());
        }
        for own in [private.home(), private.temp()] {
            view.give(&own, &own);
        }
        view.give(tree, tree);
        Ok(view)
    }

    /// Makes `target` readable, and a link of `path` when that is another name for it.
    fn show(&mut self, path: &Path, target: PathBuf) {
        if path != target && !self.shows(path) {
            self.links.push(Link { at: path.into(), to: target.clone().into() });
        }
        if !self.shows(&target) {
            self.places.push(Place { from: target.clone().into(), at: target.into(), access: Access::Read });
        }
    }

    fn shows(&self, path: &Path) -> bool {
        let shows = |place: &Place| place.from == place.at && path.starts_with(&place.at);
        self.places.iter().any(shows)
    }

    fn give(&mut self, from: &Path, at: &Path) {
        self.places.push(Place { from: from.into(), at: at.into(), access: Access::Write });
    }
}
