//! Killed at any moment, a run leaves each file old or repaired, and all that is git's as it was.
//!
//! What may stay behind is the file in hand: `.lastmile-` and six letters or digits, beside the file that it was to
//! replace, and among the saved patches (`src/io/files.rs`: a run that writes there a minute later removes it).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::repo::{TestRepo, set_mode};

/// The moments are drawn from it.
const SEED: u64 = 7;
const N_KILLS: usize = 50;

/// A file in each of git's places; `...` in a text is many lines.
struct Row {
    path: &'static str,
    mode: u32,
    committed: Option<&'static str>,
    staged: Option<&'static str>,
    on_disk: &'static str,
    repaired_by: By,
}

#[derive(Clone, Copy, PartialEq)]
enum By {
    Nobody,
    /// The hook judges only what is staged.
    Fix,
    FixAndHook,
}

const GOOD: &str = "f()\n...a = 1\n";
const BAD: &str = "f(\n...a = 1\n";
const BAD_CRLF: &str = "f(\r\n...a = 1\r\n";

const fn row(path: &'static str, places: [Option<&'static str>; 3], repaired_by: By) -> Row {
    let [committed, staged, on_disk] = places;
    let on_disk = on_disk.expect("a file on disk");
    Row { path, mode: 0o644, committed, staged, on_disk, repaired_by }
}

const ROWS: &[Row] = &[
    row("staged.py", [Some(GOOD), Some(BAD), Some(BAD)], By::FixAndHook),
    row("new.py", [None, Some(BAD), Some(BAD)], By::FixAndHook),
    row("src/new.py", [None, Some(BAD), Some(BAD)], By::FixAndHook),
    row("src/deep/new.py", [None, Some(BAD), Some(BAD)], By::FixAndHook),
    row("src/deep/two words.py", [None, Some(BAD), Some(BAD)], By::FixAndHook),
    row("crlf.py", [None, Some(BAD_CRLF), Some(BAD_CRLF)], By::FixAndHook),
    row("partly.py", [Some(GOOD), Some(BAD), Some("f(\n...a = 'mine'\n")], By::FixAndHook),
    row("src/partly.py", [None, Some(BAD), Some("f(\n...a = 'mine'\nb = 2\n")], By::FixAndHook),
    Row { mode: 0o755, ..row("tool.py", [Some(GOOD), Some(BAD), Some(BAD)], By::FixAndHook) },
    Row { mode: 0o700, ..row("src/tool", [None, Some(TOOL), Some(TOOL)], By::FixAndHook) },
    row("committed.py", [Some(BAD), None, Some(BAD)], By::Fix),
    row("unstaged.py", [Some(GOOD), None, Some(BAD)], By::Fix),
    row("mended.py", [Some(GOOD), Some(BAD), Some(GOOD)], By::Nobody),
    row("good.py", [Some(GOOD), None, Some("f()\n...a = 'mine'\n")], By::Nobody),
    row("untracked.py", [None, None, Some(BAD)], By::Fix),
    row("untracked.txt", [None, None, Some(BAD)], By::Nobody),
];
const TOOL: &str = "#!/usr/bin/env python3\nf(\n...a = 1\n";

fn text(short: &str) -> String {
    let line = if short.contains('\r') { "x = 1\r\n" } else { "x = 1\n" };
    short.replace("...", &line.repeat(40))
}

/// A repository with all of [`ROWS`] and something stashed.
fn repository() -> TestRepo {
    let repo = TestRepo::new();
    let put = |row: &Row, short: &str| {
        repo.write(row.path, text(short));
        set_mode(&repo.root.join(row.path), row.mode);
    };
    repo.stage("stashed.py", "x = 1\n");
    for row in ROWS {
        row.committed.inspect(|short| put(row, short));
    }
    repo.commit_all();
    repo.write("stashed.py", "x = 2\n");
    repo.git(["stash", "--quiet"]);
    for row in ROWS {
        if let Some(short) = row.staged {
            put(row, short);
            repo.git(["add", "--", row.path]);
        }
        put(row, row.on_disk);
    }
    repo
}

/// Modes and bytes of all files, git's own too.
type Files = BTreeMap<PathBuf, (u32, Vec<u8>)>;

fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is ours").flatten() {
            let (path, about) = (entry.path(), entry.metadata().expect("nothing else runs"));
            if about.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).expect("it is ours");
                found.insert(path, (about.permissions().mode(), bytes));
            }
        }
    }
    found
}

/// Brings the files back to what they were.
fn restore(root: &Path, before: &Files) {
    let now = files(root);
    for path in now.keys().filter(|path| !before.contains_key(*path)) {
        fs::remove_file(path).expect("it is ours");
    }
    for (path, (mode, bytes)) in before.iter().filter(|(path, file)| now.get(*path) != Some(*file)) {
        fs::write(path, bytes).expect("it is ours");
        set_mode(path, *mode);
    }
}

/// Whether it is a file that was in hand.
fn is_left_over(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let rest = name.strip_prefix(".lastmile-").unwrap_or_default();
    rest.len() == 6 && rest.bytes().all(|letter| letter.is_ascii_alphanumeric())
}

/// Numbers from 0 to 1, by splitmix64.
fn draws(mut state: u64) -> impl Iterator<Item = f64> {
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits")) / f64::from(u32::MAX)
    })
}

/// PATH with the engine's Python itself first: a shim in front of it would take most of each run.
fn path_to_python(repo: &TestRepo) -> OsString {
    let said = repo.run(repo.command("python3").args(["-c", "import sys; print(sys.executable)"]));
    let folder = Path::new(&said.stdout).parent().expect("a program in a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path))).expect("no colon in it")
}

/// One command, and the repository that it is run in.
struct Scene {
    repo: TestRepo,
    arguments: &'static [&'static str],
    path: OsString,
    before: Files,
    /// What a run to the end leaves, with the patches that it saves.
    after: Files,
}

impl Scene {
    fn new(arguments: &'static [&'static str], is_repaired: impl Fn(By) -> bool) -> Self {
        let repo = repository();
        let (path, before) = (path_to_python(&repo), files(&repo.root));
        let mut after = before.clone();
        for row in ROWS.iter().filter(|row| is_repaired(row.repaired_by)) {
            let repaired = text(row.on_disk).replacen("f(", "f()", 1).into_bytes();
            after.get_mut(&repo.root.join(row.path)).expect("it was written").1 = repaired;
        }
        Self { repo, arguments, path, before, after }
    }

    fn saved(&self) -> PathBuf {
        self.repo.root.join(".git/lastmile")
    }

    fn start(&self) -> Child {
        let mut command = self.repo.command(env!("CARGO_BIN_EXE_lastmile"));
        command.args(self.arguments).env("LASTMILE_TEST_ENGINE", "takes its time").env("PATH", &self.path);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    /// Runs to the end, and says how long it took.
    #[track_caller]
    fn run(&mut self) -> Duration {
        restore(&self.repo.root, &self.before);
        let began = Instant::now();
        self.start().wait().expect("it was started");
        let whole = began.elapsed();
        let saved = self.saved();
        let (patches, others): (Files, Files) =
            files(&self.repo.root).into_iter().partition(|(path, _)| path.starts_with(&saved));
        self.after.retain(|path, _| !path.starts_with(&saved));
        assert!(others == self.after, "it repairs what it can");
        self.after.extend(patches);
        whole
    }

    /// Kills a run after this time; says whether that was between the first and the last file, and what it left over.
    #[track_caller]
    fn kill(&self, after: Duration, when: &str) -> (bool, usize) {
        restore(&self.repo.root, &self.before);
        let mut child = self.start();
        std::thread::sleep(after);
        // It may have ended before.
        let _ = child.kill();
        child.wait().expect("it was started");
        let now = files(&self.repo.root);
        for path in self.before.keys() {
            assert!(now.contains_key(path), "{} is lost: {when}", path.display());
        }
        let is_in = |files: &Files, path: &PathBuf| files.get(path) == now.get(path);
        let mut n_left = 0;
        for path in now.keys().filter(|path| !is_in(&self.before, path) && !is_in(&self.after, path)) {
            assert!(is_left_over(path), "{} is neither old nor new: {when}", path.display());
            n_left += 1;
        }
        assert!(n_left <= 1, "one file is written at a time: {when}");
        let all_in = |files: &Files| files.keys().all(|path| is_in(files, path));
        (!all_in(&self.before) && !all_in(&self.after), n_left)
    }
}

/// Kills runs, and says how it went.
#[track_caller]
fn check(arguments: &'static [&'static str], is_repaired: impl Fn(By) -> bool) -> String {
    let mut scene = Scene::new(arguments, is_repaired);
    let state = scene.repo.git_state();
    assert!(state.contains("stash@{0}"), "{state}");
    // The first is slower than others.
    scene.run();
    let whole = scene.run();
    let (mut n_between, mut n_left) = (0, 0);
    for (idx, moment) in draws(SEED).take(N_KILLS).enumerate() {
        let moment = 1.3 * moment;
        let when = format!("kill {idx} of seed {SEED}, at {moment:.2} of {whole:?}");
        let (is_between, left) = scene.kill(whole.mul_f64(moment), &when);
        n_between += usize::from(is_between);
        n_left += left;
    }
    assert!(n_between > 0, "none ended in the middle, with seed {SEED} and {whole:?}");
    scene.start().wait().expect("it was started");
    let mut now = files(&scene.repo.root);
    now.retain(|path, _| scene.after.contains_key(path) || !is_left_over(path));
    assert!(now == scene.after, "a later run repairs what it can");
    assert_eq!(scene.repo.git_state(), state);
    format!("{whole:?} undisturbed; {n_between} of {N_KILLS} ended in the middle, {n_left} left a file")
}

#[test]
fn fix_leaves_every_file_whole() {
    println!("{}", check(&["fix", "--write", "."], |by| by != By::Nobody));
}

#[test]
fn the_hook_leaves_every_file_whole() {
    println!("{}", check(&["hook", "pre-commit", "--write"], |by| by == By::FixAndHook));
}
