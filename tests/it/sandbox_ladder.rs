//! Which level is chosen.

use lastmile::io::sandbox::{Level, Sandbox, SandboxError};

use crate::sandbox_support::trampoline;

#[test]
fn a_lower_level_can_be_chosen() {
    for at_most in Level::ALL {
        let sandbox = Sandbox::choose(trampoline(), None, at_most).unwrap();
        assert!(at_most.is_at_least(sandbox.level()));
        assert!(sandbox.passed_over().iter().all(|level| level.level.is_at_least(sandbox.level())));
    }
}

#[test]
fn a_level_that_is_too_weak_is_refused() {
    let refused = Sandbox::choose(trampoline(), Some(Level::Landlock), Level::Limits).unwrap_err();
    assert_eq!(refused.to_string(), "no sandbox of the level `landlock` works here");
}

#[test]
fn a_program_that_is_no_trampoline_is_refused() {
    let Err(SandboxError::TooWeak { passed_over, .. }) =
        Sandbox::choose("/bin/true".as_ref(), None, Level::ALL[0])
    else {
        panic!("`/bin/true` makes no sandbox");
    };
    assert_eq!(passed_over.iter().map(|level| level.level).collect::<Vec<_>>(), Level::ALL);
    let limits = &passed_over[3].reason;
    assert_eq!(limits, "the sandbox `limits` ended before its job: exit status: 0");
}
