//! Whatever tests print or a project holds, reading it ends, and does not panic.

use std::collections::BTreeMap;
use std::time::Duration;

use lastmile::imports::Imports;
use lastmile::ports::{Exit, Outcome};
use lastmile::results::{Format, read, suspects};
use lastmile::smell::{Repair, smells};
use lastmile::suite::discover::{Listing, discover};
use lastmile::suite::modules::Modules;

const SEEDS: [&str; 6] = [
    "<?xml version='1.0'?><testsuites><testsuite><testcase classname='a.b' name='t[é]' file='a/b.py'>\
     <failure message='x &#10; y'><![CDATA[a/b.py:3: E]]></failure></testcase></testsuite></testsuites>",
    "test_a (tests.b.C.test_a)\nDoc ... ok\ntest_é (b.C) ... skipped 'x'\n\n\
     ======================================================================\nFAIL: test_b (b.C.test_b) (i=1)\n\
     ----------------------------------------------------------------------\nTraceback\n  File \"a/b.py\", line 3, in é\n\n\
     ----------------------------------------------------------------------\nRan 3 tests in 0.1s\n\nFAILED (failures=1)\n",
    "TAP version 13\n1..2\nok 1 - é # SKIP x\nnot ok 2 - b\n",
    "from ..a.b import (c,\n    d as é)\nimport x.y, z; from . import w\nmock.patch('a.b.c')\nfrom .é import (\n",
    "def f(n):\n    'Doc é'\n    if n == 5:\n        return [1, 'é']\n    try:\n        return g(n)\n    except E as e:\n        pass\n",
    "[pytest]\npython_files = é*.py\n  [a.py\naddopts = -x\n[tool.pytest]\ntest: x\n",
];

struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }

    /// A text with a few characters gone, doubled or put elsewhere.
    fn mutated(&mut self, seed: &str) -> String {
        let mut chars: Vec<char> = seed.chars().collect();
        for _ in 0..=self.below(6) {
            let at = self.below(chars.len());
            let end = (at + 1 + self.below(12)).min(chars.len());
            let part: Vec<char> = chars[at..end].to_vec();
            match self.below(3) {
                0 => drop(chars.splice(at..end, [])),
                1 => drop(chars.splice(at..at, part)),
                _ => {
                    let to = self.below(chars.len());
                    chars.splice(to..to, part);
                }
            }
            if chars.is_empty() {
                chars.push('é');
            }
        }
        chars.into_iter().collect()
    }
}

/// Reads a text as everything that texts are read as.
fn check(text: &str, other: &str) {
    let modules = Modules::new(["a/b.py", "tests/b.py", "é.py"]);
    let duration = Duration::from_secs(1);
    let bytes = text.as_bytes().to_vec();
    let outcome = Outcome { exit: Exit::Code(1), stdout: bytes.clone(), stderr: bytes, duration };
    for format in [Format::Pytest, Format::Junit, Format::Unittest, Format::Tap] {
        // Most are faults; that they are told apart is for other tests.
        let _ = read(format, &outcome, Some(text.as_bytes()), &modules);
    }
    suspects(text, "/tmp/é", |_| true);
    let texts = ["a/b.py", "a/__init__.py", "é.py"].map(|path| (path.to_owned(), text.to_owned()));
    Imports::new(&BTreeMap::from(texts)).seeing("a/b.py", &["é.py".to_owned()]);
    smells(&Repair { path: "a.py", before: text, after: other, tests: &[other] });
    smells(&Repair { path: "a.py", before: other, after: text, tests: &[text] });
    let files = ["pytest.ini", "setup.cfg", "pyproject.toml", "Makefile", "test_a.py"].map(str::to_owned);
    let texts = files.iter().map(|file| (file.clone(), text.to_owned())).collect();
    discover(&Listing { files: files.to_vec(), texts, ..Listing::default() });
}

#[test]
fn nothing_that_is_read_panics() {
    let mut draw = Draw(0x2545_f491_4f6c_dd1d);
    for round in 0..3000 {
        let seed = SEEDS[round % SEEDS.len()];
        let text = draw.mutated(seed);
        check(&text, seed);
    }
}
