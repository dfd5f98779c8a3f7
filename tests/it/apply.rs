//! `lastmile apply`: saved suggestions reach the disk, or the reason why not is told.

use std::fs;

use crate::repo::{TestRepo, set_mode};

/// A text whose first line is at fault, with room for edits that do not meet it.
const BROKEN: &str = "f(\na = 1\nb = 2\nc = 3\n";
const REPAIRED: &str = "f()\na = 1\nb = 2\nc = 3\n";

/// A repository whose commit of `a.py` was refused, so that a suggestion is saved.
fn refused(text: impl AsRef<[u8]>) -> TestRepo {
    let repo = TestRepo::with_hook();
    repo.stage("a.py", text);
    assert_eq!(repo.try_git(["commit", "-qm", "x"]).code, Some(1));
    assert_eq!(repo.patches(".git/lastmile").len(), 1);
    repo
}

#[track_caller]
fn check(repo: &TestRepo, code: i32, stdout: &str, stderr: &str) {
    let before = repo.git_state();
    let said = repo.lastmile(["apply"]);
    let patch = repo.patches(".git/lastmile").first().cloned().unwrap_or_default();
    let stderr = stderr.replace("PATCH", &format!(".git/lastmile/{patch}"));
    assert_eq!(
        (said.stderr.as_str(), said.stdout.as_str(), said.code),
        (stderr.as_str(), stdout, Some(code))
    );
    assert_eq!(repo.git_state(), before, "the index, the stash and the references stay");
}

const STAGE_IT: &str = "hint: `a.py`: look at it, then stage it: `git add -- a.py`\n";

#[test]
fn writes_the_repair_once() {
    let repo = refused(BROKEN);
    check(&repo, 0, "repaired `a.py`\n", STAGE_IT);
    assert_eq!(repo.read("a.py"), REPAIRED);
    check(&repo, 0, "", "no suggestion is saved\n");
    repo.git(["add", "a.py"]);
    repo.git(["commit", "-qm", "x"]);
}

#[test]
fn says_what_is_left() {
    let repo = refused(BROKEN);
    repo.write("a.py", format!("{BROKEN}z = [1\n"));
    let left = "warning: 1 fault is left in `a.py` on disk, of what was edited since: `lastmile fix a.py`\n";
    check(&repo, 1, "repaired `a.py`\n", &format!("{STAGE_IT}{left}"));
}

#[test]
fn takes_only_what_is_named() {
    let repo = refused(BROKEN);
    repo.git(["rm", "--quiet", "--cached", "a.py"]);
    repo.stage("b.py", BROKEN);
    let said = repo.try_git(["commit", "-qm", "x"]);
    assert!(said.stderr.contains("run `lastmile apply b.py` to accept it"), "{said}");
    repo.lastmile(["apply", "b.py"]);
    assert_eq!((repo.read("a.py").as_str(), repo.read("b.py").as_str()), (BROKEN, REPAIRED));
}

#[test]
fn forgets_texts_that_are_gone() {
    let repo = refused(BROKEN);
    repo.stage("a.py", "other = 1\n");
    repo.stage("b.py", BROKEN);
    repo.git(["rm", "--quiet", "--cached", "a.py"]);
    assert_eq!(repo.try_git(["commit", "-qm", "x"]).code, Some(1));
    assert_eq!(repo.patches(".git/lastmile").len(), 1, "that of b.py");
}

#[test]
fn keeps_what_a_commit_of_other_files_does_not_hold() {
    let repo = refused(BROKEN);
    repo.write("a.py", "f(mine\n");
    repo.stage("b.py", "x = 1\n");
    repo.git(["commit", "--quiet", "-m", "x", "b.py"]);
    assert_eq!(repo.patches(".git/lastmile").len(), 1, "its text is staged still");
}

#[test]
fn keeps_what_was_edited_since() {
    let repo = refused(BROKEN);
    repo.write("a.py", "f(\na = 1\nb = 2\nc = 3\nmine = 4\n");
    check(&repo, 0, "repaired `a.py`\n", STAGE_IT);
    assert_eq!(repo.read("a.py"), "f()\na = 1\nb = 2\nc = 3\nmine = 4\n");
}

#[test]
fn refuses_where_the_same_lines_were_edited() {
    let repo = refused(BROKEN);
    repo.write("a.py", "f(mine\na = 1\nb = 2\nc = 3\n");
    check(
        &repo,
        1,
        "",
        "warning: `a.py` on disk is left as it is: lines of the repair were edited since they were staged\n\
         hint: to repair what is staged, and only that: `git apply --cached PATCH`\n",
    );
    assert_eq!(repo.read("a.py"), "f(mine\na = 1\nb = 2\nc = 3\n");
    let patch = format!(".git/lastmile/{}", repo.patches(".git/lastmile")[0]);
    repo.git(["apply", "--cached", &patch]);
    assert_eq!(repo.git(["show", ":a.py"]), REPAIRED);
    repo.git(["commit", "-qm", "x"]);
    assert_eq!(repo.read("a.py"), "f(mine\na = 1\nb = 2\nc = 3\n");
    assert_eq!(repo.patches(".git/lastmile"), [""; 0], "a commit without fault forgets the suggestion");
}

#[test]
fn a_file_that_was_repaired_by_hand_is_left_alone() {
    let repo = refused(BROKEN);
    repo.write("a.py", REPAIRED);
    check(&repo, 0, "", "hint: `a.py`: the file on disk is repaired already; stage it: `git add -- a.py`\n");
    let repo = refused(BROKEN);
    repo.write("a.py", "g()\n");
    check(&repo, 0, "", "hint: `a.py`: the file on disk has no fault; stage it: `git add -- a.py`\n");
    assert_eq!(repo.read("a.py"), "g()\n");
}

#[test]
fn a_new_fault_on_disk_is_not_hidden_by_the_repair() {
    let repo = refused("f(\na = 1\nb = 2\nc = 3\n");
    repo.write("a.py", "f(\na = 1\nb = 2\nc = ]\n");
    let said = repo.lastmile(["apply"]);
    // One fault less is a gain, and what was typed stays.
    assert_eq!(repo.read("a.py"), "f()\na = 1\nb = 2\nc = ]\n", "{said:?}");
}

#[test]
fn guarded_files_are_left_alone() {
    let guarded = "warning: `a.py` on disk is left as it is: it is a link, is read-only, is no text or lies outside of \
                   the repository\n\
                   hint: to repair what is staged, and only that: `git apply --cached PATCH`\n";
    let repo = refused(BROKEN);
    set_mode(&repo.root.join("a.py"), 0o444);
    check(&repo, 1, "", guarded);

    let repo = refused(BROKEN);
    fs::rename(repo.root.join("a.py"), repo.base().join("else.py")).expect("it is ours");
    std::os::unix::fs::symlink("../else.py", repo.root.join("a.py")).expect("it is ours");
    check(&repo, 1, "", guarded);
    assert_eq!(repo.read("../else.py"), BROKEN);

    let repo = refused(BROKEN);
    fs::remove_file(repo.root.join("a.py")).expect("it is ours");
    check(
        &repo,
        1,
        "",
        "warning: `a.py` on disk is left as it is: it is not there\n\
         hint: to repair what is staged, and only that: `git apply --cached PATCH`\n",
    );
}

#[test]
fn one_that_cannot_be_written_keeps_no_other() {
    let repo = TestRepo::with_hook();
    repo.stage("a.py", BROKEN);
    repo.stage("b.py", BROKEN);
    assert_eq!(repo.try_git(["commit", "-qm", "x"]).code, Some(1));
    fs::hard_link(repo.root.join("a.py"), repo.root.join("other")).expect("it is ours");
    let said = repo.lastmile(["apply"]);
    assert_eq!((said.stdout.as_str(), said.code), ("repaired `b.py`\n", Some(1)), "{said}");
    let why = "warning: `a.py` on disk is left as it is: it has other names (hard links), which would keep the text as it was\n";
    assert!(said.stderr.contains(why), "{said}");
    assert_eq!([repo.read("a.py"), repo.read("b.py")], [BROKEN, REPAIRED]);
}

#[test]
fn a_folder_that_became_a_link_leads_nowhere() {
    let repo = TestRepo::with_hook();
    repo.stage("in/a.py", BROKEN);
    assert_eq!(repo.try_git(["commit", "-qm", "x"]).code, Some(1));
    fs::rename(repo.root.join("in"), repo.base().join("out")).expect("it is ours");
    std::os::unix::fs::symlink("../out", repo.root.join("in")).expect("it is ours");
    assert_eq!(repo.lastmile(["apply"]).code, Some(1));
    assert_eq!(repo.read("../out/a.py"), BROKEN);
}

#[test]
fn named_files_only_and_from_any_folder() {
    let repo = TestRepo::with_hook();
    repo.stage("in/a.py", BROKEN);
    repo.stage("in/b.py", BROKEN);
    assert_eq!(repo.try_git(["commit", "-qm", "x"]).code, Some(1));
    let folder = repo.root.join("in");
    let said = repo.run(repo.command("lastmile").current_dir(&folder).args(["apply", "./../in/b.py"]));
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "repaired `in/b.py`\n"));
    assert_eq!(said.stderr, "hint: `in/b.py`: look at it, then stage it: `git -C [repo] add -- in/b.py`\n");
    assert_eq!((repo.read("in/a.py").as_str(), repo.read("in/b.py").as_str()), (BROKEN, REPAIRED));
    assert_eq!(repo.lastmile(["apply", "in/b.py"]).stderr, "no suggestion is saved for that\n");
}

#[test]
fn line_ends_and_bytes_around_the_repair_stay() {
    let repo = refused("\u{feff}f(\r\ns = 'é'\r\n\tx = 1 \n".replace('\t', ""));
    assert_eq!(repo.lastmile(["apply"]).code, Some(0));
    assert_eq!(repo.read("a.py"), "\u{feff}f()\r\ns = 'é'\r\nx = 1 \n");

    let repo = refused("x = 1\nf(");
    assert_eq!(repo.lastmile(["apply"]).code, Some(0));
    assert_eq!(repo.read("a.py"), "x = 1\nf()");
}

#[test]
fn utf16_is_repaired_by_its_bytes() {
    let utf16 = |text: &str| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let (broken, repaired) = (utf16("$a = (1\r\n\r\n$b = 'é'\r\n"), utf16("$a = (1)\r\n\r\n$b = 'é'\r\n"));
    let repo = TestRepo::new();
    repo.stage("a.ps1", &broken);
    repo.stage("b.py", BROKEN);
    assert_eq!(repo.lastmile(["hook", "pre-commit"]).code, Some(1));
    let said = repo.lastmile(["apply"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!(fs::read(repo.root.join("a.ps1")).expect("it is there"), repaired);

    repo.write("a.ps1", &broken);
    repo.write("b.py", BROKEN);
    let output = repo.command("lastmile").args(["fix", "--diff"]).output().expect("it runs");
    repo.write("all.patch", output.stdout);
    repo.git(["apply", "all.patch"]);
    assert_eq!(fs::read(repo.root.join("a.ps1")).expect("it is there"), repaired);
    assert_eq!(repo.read("b.py"), REPAIRED);
}

#[test]
fn a_checkout_with_crlf_stays_one() {
    let repo = TestRepo::with_hook();
    repo.git(["config", "core.autocrlf", "true"]);
    repo.stage("a.py", "f(\r\nx = 1\r\n");
    assert_eq!(repo.try_git(["commit", "-qm", "x"]).code, Some(1));
    assert_eq!(repo.git(["show", ":a.py"]), "f(\nx = 1\n");
    check(&repo, 0, "repaired `a.py`\n", STAGE_IT);
    assert_eq!(repo.read("a.py"), "f()\r\nx = 1\r\n");
}

#[test]
fn permissions_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let repo = TestRepo::with_hook();
    repo.write("a.py", BROKEN);
    set_mode(&repo.root.join("a.py"), 0o750);
    repo.git(["add", "a.py"]);
    assert_eq!(repo.try_git(["commit", "-qm", "x"]).code, Some(1));
    check(&repo, 0, "repaired `a.py`\n", STAGE_IT);
    assert_eq!(repo.root.join("a.py").metadata().expect("it is there").permissions().mode() & 0o777, 0o750);
}

#[test]
fn a_patch_that_was_tampered_with_is_refused() {
    let repo = refused(BROKEN);
    let patch = format!(".git/lastmile/{}", repo.patches(".git/lastmile")[0]);
    repo.write(&patch, repo.read(&patch).replace("-f(", "-g("));
    let said = repo.lastmile(["apply"]);
    let name = patch.trim_start_matches(".git/lastmile/");
    assert_eq!(
        (said.code, said.stderr.replace(name, "PATCH").as_str()),
        (
            Some(1),
            "error: `[repo]/.git/lastmile/PATCH` is of no use: the patch is not one that lastmile wrote\n"
        )
    );
    assert_eq!(repo.read("a.py"), BROKEN);
}
