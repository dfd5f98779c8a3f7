//! Jobs that mean harm: what each tries, and which level is the weakest that stops it.

use std::fs::{self, File};
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use lastmile::io::sandbox::{Exit, Level, Limits, Outcome, Sandbox, SandboxError};
use tempfile::TempDir;

use crate::sandbox_support::{LIMITS, job, sandbox};

/// One attack.
struct Row {
    tried: &'static str,
    script: &'static str,
    /// The weakest level that stops it; `None` when none does.
    stopped_by: Option<Level>,
    /// The same when root starts the job.
    stopped_by_for_root: Option<Level>,
    /// The first kernel on which landlock stops it.
    landlock_since: (u32, u32),
    /// Some systems deny it to all.
    may_be_denied: bool,
    limits: Limits,
    succeeded: fn(&Seen) -> bool,
}

const ANY: Option<Level> = Some(Level::Limits);
const LANDLOCK: Option<Level> = Some(Level::Landlock);
const NAMESPACES: Option<Level> = Some(Level::Namespaces);

impl Row {
    const fn new(
        tried: &'static str,
        script: &'static str,
        stopped_by: Option<Level>,
        succeeded: fn(&Seen) -> bool,
    ) -> Self {
        Self {
            tried,
            script,
            stopped_by,
            stopped_by_for_root: stopped_by,
            landlock_since: (0, 0),
            may_be_denied: false,
            limits: LIMITS,
            succeeded,
        }
    }

    const fn for_root(self, stopped_by: Option<Level>) -> Self {
        Self { stopped_by_for_root: stopped_by, ..self }
    }

    const fn landlock_since(self, kernel: (u32, u32)) -> Self {
        Self { landlock_since: kernel, ..self }
    }

    const fn or_the_system(self) -> Self {
        Self { may_be_denied: true, ..self }
    }

    const fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    fn is_stopped_by(&self, level: Level) -> bool {
        let weakest = if is_root() { self.stopped_by_for_root } else { self.stopped_by };
        let is_new = level != Level::Landlock || kernel() >= self.landlock_since;
        is_new && weakest.is_some_and(|weakest| level.is_at_least(weakest))
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("it is ours");
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    (numbers.next().expect("it is ours"), numbers.next().expect("it is ours"))
}

/// What an attack left behind. No outcome when the sandbox did not live to tell.
struct Seen {
    world: World,
    outcome: Option<Outcome>,
}

impl Seen {
    fn outside(&self, name: &str) -> bool {
        self.world.outside().join(name).exists()
    }

    fn tells(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.stdout.text().contains(SECRET))
    }

    /// Whether a process went on after the job's end.
    fn is_late(&self) -> bool {
        thread::sleep(Duration::from_millis(1500));
        self.world.tree().join("late").exists()
    }

    fn ended_well(&self) -> bool {
        self.exit() == Some(Exit::Code(0))
    }

    fn exit(&self) -> Option<Exit> {
        self.outcome.as_ref().map(|outcome| outcome.exit)
    }

    fn timed_out_within(&self, seconds: u64) -> bool {
        let limit = Duration::from_secs(seconds) + Duration::from_secs(2);
        let is_short = self.outcome.as_ref().is_some_and(|outcome| outcome.duration < limit);
        self.exit() == Some(Exit::TimedOut) && is_short
    }
}

/// A text that is nowhere but in the files and variables that a job must not see.
const SECRET: &str = "s3cret-of-the-host";

/// Ends by itself at 4,096 processes, should nothing else end it.
const FORK_BOMB: &str =
    "bomb() { if [ $1 -gt 0 ]; then bomb $(($1 - 1)) & bomb $(($1 - 1)) & fi; sleep 9; }; bomb 11";

/// Ends by itself after 3,000 processes.
const HOPPER: &str = r"cat > hop <<'END'
[ $1 -lt 3000 ] || exit
echo $1 > hops
setsid bash ./hop $(($1 + 1)) > /dev/null 2>&1 &
END
setsid bash ./hop 1 & sleep 0.3";

const MEMORY: Limits = Limits { memory: 1 << 27, ..LIMITS };
const SHORT: Limits = Limits { wall: Duration::from_secs(1), ..LIMITS };

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row::new("write into the host's temporary folder", "echo x > $OUTSIDE/new", LANDLOCK, |seen| seen.outside("new")),
    Row::new("write into the user's home", "echo x > $REAL_HOME/new", LANDLOCK, |seen| {
        seen.world.home.path().join("new").exists()
    }),
    Row::new("plant a hook in the repository", "echo x > $OUTSIDE/repository/.git/hooks/pre-commit", LANDLOCK, |seen| {
        seen.outside("repository/.git/hooks/pre-commit")
    }),
    Row::new("write through a link in the tree that points outside", "echo x > link", LANDLOCK, |seen| {
        seen.outside("linked")
    }),
    Row::new("cut a file outside short", "truncate -s 0 $OUTSIDE/secret", LANDLOCK, |seen| {
        fs::read(seen.world.outside().join("secret")).expect("it is ours").is_empty()
    }),
    Row::new("delete a file outside", "rm -f $OUTSIDE/secret", LANDLOCK, |seen| !seen.outside("secret")),
    Row::new("take a file outside into the tree by a hard link", "ln $OUTSIDE/secret own && cat own", LANDLOCK, Seen::tells),
    Row::new("change who may read a file outside", "chmod 666 $OUTSIDE/secret", NAMESPACES, Seen::ended_well),
    Row::new("read a file in the user's home", "cat $REAL_HOME/secret", LANDLOCK, Seen::tells),
    Row::new("list the user's home", "ls $REAL_HOME", LANDLOCK, Seen::ended_well),
    Row::new("learn the size of a file outside", "[ -s $OUTSIDE/secret ]", NAMESPACES, Seen::ended_well),
    Row::new("read shared memory of the host", "cat $SHARED", LANDLOCK, Seen::tells),
    Row::new(
        "change a setting of the kernel",
        "read x < /proc/sys/vm/swappiness; echo $x > /proc/sys/vm/swappiness",
        ANY,
        Seen::ended_well,
    ).for_root(LANDLOCK),
    Row::new("open a system file for writing", ": >> /usr/lib/os-release", ANY, Seen::ended_well).for_root(LANDLOCK),
    Row::new("find a variable of the parent in its own", "env", ANY, Seen::tells),
    Row::new("read /proc/PID/environ of the parent", "cat /proc/$PARENT/environ", LANDLOCK, Seen::tells).for_root(ANY),
    Row::new(
        "read /proc/PID/environ of all",
        "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep ^LASTMILE_TEST_SECRET=",
        LANDLOCK,
        Seen::tells,
    ).for_root(ANY),
    Row::new(
        "look into the memory of the parent",
        "head -c 1 /proc/$PARENT/maps | grep -q .",
        LANDLOCK,
        Seen::ended_well,
    ).for_root(ANY),
    Row::new("read the command line of the parent", "head -c 1 /proc/$PARENT/cmdline | grep -q .", NAMESPACES, Seen::ended_well),
    Row::new("read a file that the parent left open", "cat <&$OPEN; cat /dev/fd/$OPEN", ANY, Seen::tells),
    Row::new("speak to a TCP port of the host", "echo x > /dev/tcp/127.0.0.1/$TCP", LANDLOCK, |seen| {
        seen.world.tcp.accept().is_ok()
    }),
    Row::new("speak to a UDP port of the host", "echo x > /dev/udp/127.0.0.1/$UDP", LANDLOCK, |seen| {
        seen.world.udp.recv(&mut [0]).is_ok()
    }),
    Row::new(
        "speak to the socket of a daemon",
        "perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un($ENV{DAEMON}))'",
        LANDLOCK,
        |seen| seen.world.daemon.accept().is_ok(),
    ),
    Row::new("have capabilities", "grep -q '^CapEff:.*[1-9a-f]' /proc/self/status", ANY, Seen::ended_well),
    Row::new("gain them in a new user namespace", "unshare -U true", LANDLOCK, Seen::ended_well).or_the_system(),
    Row::new("kill a process of the user", "kill -KILL $VICTIM", LANDLOCK, |seen| !seen.world.victim_lives())
        .landlock_since((6, 12)),
    Row::new("kill the supervisor and go on", "kill -KILL $PPID; sleep 1; echo x > late", LANDLOCK, |seen| {
        seen.exit().is_none() && seen.is_late()
    }).landlock_since((6, 12)),
    Row::new("leave a daemon behind", "setsid bash -c '(sleep 1; echo x > late) & exit' & exit 0", ANY, Seen::is_late),
    Row::new("leave one behind that is never the same process for long", HOPPER, ANY, |seen| {
        seen.world.hops() != seen.world.hops()
    }),
    Row::new("start processes without end", FORK_BOMB, ANY, |seen| {
        seen.exit() != Some(Exit::TooManyProcesses) || seen.world.has_processes()
    }).within(Limits { n_processes: 40, ..LIMITS }),
    Row::new("print without end", "yes", ANY, |seen| {
        let kept = seen.outcome.as_ref().map_or(0, |outcome| outcome.stdout.first.len() + outcome.stdout.last.len());
        !seen.timed_out_within(1) || kept != LIMITS.output
    }).within(SHORT),
    Row::new("write a huge file", "head -c 64M /dev/zero > big", ANY, |seen| {
        fs::metadata(seen.world.tree().join("big")).expect("it is ours").len() > 1 << 20
    }).within(Limits { file_size: 1 << 20, ..LIMITS }),
    Row::new("write many files", "for i in 1 2 3; do head -c 1M /dev/zero > $i || exit; done", None, Seen::ended_well)
        .within(Limits { file_size: 1 << 20, ..LIMITS }),
    Row::new("take much memory", "perl -e '$x = q(x) x 4e8'", ANY, Seen::ended_well).within(MEMORY),
    Row::new("take much memory in many processes", "for i in 1 2 3 4 5; do perl -e '$x = q(x) x 5e7; sleep 8' & done; wait", ANY, |seen| {
        seen.exit() != Some(Exit::TooMuchMemory)
    }).within(MEMORY),
    Row::new(
        "take much memory in files without names",
        "perl -e 'for (1 .. 5) { $name = q(x); \
         open my $file, q(>&=), syscall($ENV{MEMFD_CREATE} + 0, $name, 0) or die; \
         syswrite $file, q(x) x 4e7 or die; push @all, $file }'",
        LANDLOCK,
        Seen::ended_well,
    ).within(MEMORY),
    Row::new("sleep for ever", "sleep 100", ANY, |seen| !seen.timed_out_within(1)).within(SHORT),
    Row::new("ignore SIGTERM", "trap '' TERM; while :; do sleep 1; done", ANY, |seen| !seen.timed_out_within(3)).within(SHORT),
    Row::new("stop itself", "kill -STOP $$", ANY, |seen| !seen.timed_out_within(3)).within(SHORT),
    Row::new("compute for ever", "while :; do :; done", ANY, |seen| seen.exit() != Some(Exit::Signal(24)))
        .within(Limits { cpu: Duration::from_secs(1), ..LIMITS }),
];

/// What surrounds a job that it must not touch.
struct World {
    folder: TempDir,
    home: TempDir,
    shared: tempfile::NamedTempFile,
    tcp: TcpListener,
    udp: UdpSocket,
    daemon: UnixListener,
    victim: std::cell::RefCell<Child>,
    open: File,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("it is ours");
        let outside = folder.path().join("outside");
        fs::create_dir(folder.path().join("tree")).expect("it is ours");
        fs::create_dir_all(outside.join("repository/.git/hooks")).expect("it is ours");
        symlink(outside.join("linked"), folder.path().join("tree/link")).expect("it is ours");
        let home = tempfile::tempdir_in(std::env::home_dir().expect("it is ours")).expect("it is ours");
        for place in [home.path(), &outside] {
            fs::write(place.join("secret"), SECRET).expect("it is ours");
        }
        let mut shared = tempfile::NamedTempFile::new_in("/dev/shm").expect("it is ours");
        shared.write_all(SECRET.as_bytes()).expect("it is ours");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("it is ours");
        tcp.set_nonblocking(true).expect("it is ours");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("it is ours");
        udp.set_nonblocking(true).expect("it is ours");
        let daemon = UnixListener::bind(outside.join("daemon")).expect("it is ours");
        daemon.set_nonblocking(true).expect("it is ours");
        let victim =
            Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().expect("it is ours").into();
        let open = File::open(home.path().join("secret")).expect("it is ours");
        rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).expect("it is ours");
        Self { folder, home, shared, tcp, udp, daemon, victim, open }
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    fn victim_lives(&self) -> bool {
        // A signal takes a moment.
        thread::sleep(Duration::from_millis(100));
        self.victim.borrow_mut().try_wait().expect("it is ours").is_none()
    }

    /// Whether a process runs in the tree.
    fn has_processes(&self) -> bool {
        let tree = self.tree().canonicalize().expect("it is ours");
        let entries = fs::read_dir("/proc").expect("it is ours").flatten();
        entries.filter_map(|entry| fs::read_link(entry.path().join("cwd")).ok()).any(|folder| folder == tree)
    }

    /// How often the process that hops has done so, after a while.
    fn hops(&self) -> String {
        thread::sleep(Duration::from_millis(200));
        fs::read_to_string(self.tree().join("hops")).unwrap_or_default()
    }

    fn run(&self, sandbox: &Sandbox, row: &Row) -> Result<Outcome, SandboxError> {
        let mut job = job(row.script, &self.tree());
        job.limits = row.limits;
        let port = |address: std::io::Result<std::net::SocketAddr>| {
            address.expect("it is ours").port().to_string().into()
        };
        job.env = vec![
            ("OUTSIDE".into(), self.outside().into()),
            ("REAL_HOME".into(), self.home.path().into()),
            ("SHARED".into(), self.shared.path().into()),
            ("DAEMON".into(), self.outside().join("daemon").into()),
            ("TCP".into(), port(self.tcp.local_addr())),
            ("UDP".into(), port(self.udp.local_addr())),
            ("VICTIM".into(), self.victim.borrow().id().to_string().into()),
            ("PARENT".into(), std::process::id().to_string().into()),
            ("MEMFD_CREATE".into(), nix::libc::SYS_memfd_create.to_string().into()),
            ("OPEN".into(), self.open.as_raw_fd().to_string().into()),
        ];
        sandbox.run(&job)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let victim = self.victim.get_mut();
        let _ = victim.kill();
        let _ = victim.wait();
    }
}

/// What came of a row at a level: whether it was stopped.
fn is_stopped(row: &Row, sandbox: &Sandbox) -> bool {
    let world = World::new();
    let outcome = world.run(sandbox, row).ok();
    !(row.succeeded)(&Seen { world, outcome })
}

/// Shows the table with `-- --nocapture hostile`.
#[test]
fn each_level_stops_what_it_says() {
    assert_eq!(std::env::var("LASTMILE_TEST_SECRET").as_deref(), Ok(SECRET), "cargo sets it");
    let sandboxes: Vec<_> = Level::ALL.into_iter().filter_map(sandbox).collect();
    let names: Vec<_> = sandboxes.iter().map(|sandbox| sandbox.level().name()).collect();
    println!("| tried | {} |\n| --- |{}", names.join(" | "), " --- |".repeat(names.len()));
    let mut wrong = Vec::new();
    for row in ROWS {
        let mut cells = Vec::new();
        for sandbox in &sandboxes {
            let stopped = is_stopped(row, sandbox);
            cells.push(if stopped { "stopped" } else { "**open**" });
            let is_as_said = stopped == row.is_stopped_by(sandbox.level()) || stopped && row.may_be_denied;
            if !is_as_said {
                wrong.push(format!("{} at {}: stopped is {stopped}", row.tried, sandbox.level()));
            }
        }
        println!("| {} | {} |", row.tried, cells.join(" | "));
    }
    assert_eq!(wrong, Vec::<String>::new());
}
