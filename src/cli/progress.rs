//! A bar on stderr for work that takes long while somebody looks on.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that is done by then shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Files or texts that are being worked on. There is one at a time; it vanishes when it is dropped.
pub(super) struct Progress {
    /// `None` where nobody looks on.
    bar: Option<ProgressBar>,
    /// Dropped when the work is done.
    working: Option<mpsc::Sender<()>>,
}

static CURRENT: Mutex<Option<ProgressBar>> = Mutex::new(None);
static IS_SHOWN: AtomicBool = AtomicBool::new(false);

fn current() -> MutexGuard<'static, Option<ProgressBar>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    /// Counts without knowing how many there are.
    pub(super) fn open(what: &'static str) -> Self {
        Self::new(ProgressBar::no_length(), style("{prefix}: {human_pos}"), what)
    }

    /// Counts up to `n_files`.
    pub(super) fn up_to(n_files: usize, what: &'static str) -> Self {
        let style = style("{prefix} [{bar:32}] {human_pos}/{human_len} files, {elapsed}");
        Self::new(ProgressBar::new(n_files as u64), style.progress_chars("=> "), what)
    }

    fn new(bar: ProgressBar, style: ProgressStyle, what: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self { bar: None, working: None };
        }
        bar.set_draw_target(ProgressDrawTarget::hidden());
        bar.set_style(style);
        bar.set_prefix(what);
        *current() = Some(bar.clone());
        let (working, is_working) = mpsc::channel::<()>();
        let shown = bar.clone();
        thread::spawn(move || {
            if is_working.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                IS_SHOWN.store(true, Ordering::Relaxed);
                shown.set_draw_target(ProgressDrawTarget::stderr());
                // One file can take seconds: the clock shows that it goes on.
                shown.enable_steady_tick(Duration::from_millis(200));
            }
        });
        Self { bar: Some(bar), working: Some(working) }
    }

    /// One more is done.
    pub(super) fn advance(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.working = None;
        if let Some(bar) = &self.bar {
            *current() = None;
            bar.finish_and_clear();
            IS_SHOWN.store(false, Ordering::Relaxed);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is ours")
}

/// Runs `print` with the bar out of the way.
pub(super) fn aside<T>(print: impl FnOnce() -> T) -> T {
    let bar = current().clone();
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Clears the line of the bar when the program ends in the middle of its work.
///
/// Waits for nobody: the bar itself may be held by a thread that waits for a reader.
pub(super) fn wipe() {
    if IS_SHOWN.load(Ordering::Relaxed) {
        // Nothing is left to do when that fails.
        let _ = io::stderr().write_all(b"\r\x1b[K");
    }
}
