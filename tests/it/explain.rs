//! `lastmile explain`.

use std::fs;

use insta::assert_snapshot;

use crate::support::Sandbox;

const BAD: (&str, &[u8]) = ("<bad>&.py", b"import os\nprint 'a < b'\nx = f(1\n");

#[test]
fn each_step_is_told() {
    assert_snapshot!(Sandbox::new(&[BAD]).run(&["explain", "<bad>&.py"]), @"
    --- stdout
    <bad>&.py:2:7: Simple statements must be separated by newlines or semicolons

    lines 1 to 3
    step 1  close line 2  rate +2.50, noise 1.0
      - print 'a < b'
      + print('a < b')
    step 2  close line 3  rate +2.50, noise 1.0
      - x = f(1
      + x = f(1)

    repair: safe (parses, 95 % sure)
    --- exit 1
    ");
}

#[test]
fn the_page_stands_alone_and_holds_no_foreign_markup() {
    let sandbox = Sandbox::new(&[BAD]);
    let answer = sandbox.run_with_engine_that("offers more", &["explain", "<bad>&.py", "--html", "why.html"]);
    assert_snapshot!(answer, @"
    --- stderr
    wrote `why.html`
    --- exit 1
    ");
    let page = fs::read_to_string(sandbox.root().join("why.html")).expect("it was written");
    for part in [
        "<h1>&lt;bad&gt;&amp;.py</h1>",
        "1. close line 2",
        "2. close line 3",
        "a &lt; b",
        "Other repairs that parse",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for part in ["<bad>", "<script", "http:", "https:", "url("] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn a_page_takes_the_place_of_pages_only() {
    let sandbox = Sandbox::new(&[("bad.py", b"f(\n"), ("other.html", b"<p>mine\n")]);
    for out in ["bad.py", "other.html"] {
        let before = sandbox.files();
        let answer = sandbox.run(&["explain", "bad.py", "--html", out]);
        assert_eq!(answer.code, Some(2), "{answer}");
        assert!(answer.stderr.contains("it is there already and holds something else"), "{answer}");
        assert_eq!(sandbox.files(), before);
    }
    for _ in 0..2 {
        assert_eq!(sandbox.run(&["explain", "bad.py", "--html", "why.html"]).code, Some(1));
    }
    let page = sandbox.run(&["explain", "bad.py", "--html", "-"]).stdout;
    assert_eq!(page.into_bytes(), sandbox.read("why.html"));
}

#[test]
fn what_cannot_be_explained_says_why() {
    let sandbox = Sandbox::new(&[("fine.py", b"x = 1\n"), ("notes.txt", b"f(\n")]);
    assert_snapshot!(sandbox.run(&["explain", "fine.py"]), @"
    --- stdout
    `fine.py` parses: there is nothing to explain
    --- exit 0
    ");
    assert_snapshot!(sandbox.run(&["explain", "notes.txt"]), @"
    --- stderr
    error: `notes.txt` is left alone: no language pack recognises it
    --- exit 2
    ");
    assert_snapshot!(sandbox.run(&["explain", "nowhere.py"]), @"
    --- stderr
    error: `nowhere.py` cannot be read: No such file or directory (os error 2)
    --- exit 2
    ");
}
