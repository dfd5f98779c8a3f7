//! Workbooks, end to end.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use insta::assert_snapshot;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::repo::TestRepo;
use crate::support::Sandbox;

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// A workbook of one sheet; each formula is in a row of its own.
fn workbook(formulas: &[&str]) -> Vec<u8> {
    let rows: Vec<String> = formulas
        .iter()
        .zip(1..)
        .map(|(formula, row)| format!("<row r=\"{row}\"><c r=\"B{row}\"><f>{formula}</f><v>7</v></c></row>"))
        .collect();
    let parts = [
        (
            "[Content_Types].xml",
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>".to_owned(),
        ),
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{RELS}\"><Relationship Id=\"r1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"My Sheet\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{RELS}\"><Relationship Id=\"r1\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{}</sheetData></worksheet>", rows.concat()),
        ),
        ("xl/vbaProject.bin", "no text at all \0\u{1}".to_owned()),
    ];
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(name, SimpleFileOptions::default()).expect("a new entry");
        zip.write_all(text.as_bytes()).expect("into memory");
    }
    zip.finish().expect("complete").into_inner()
}

fn entries(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).expect("a workbook");
    let mut entries = BTreeMap::new();
    for number in 0..zip.len() {
        let mut entry = zip.by_index(number).expect("counted");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("whole");
        let name = entry.name().expect("text").into_owned();
        entries.insert(name, content);
    }
    entries
}

#[test]
fn broken_formulas_are_told_by_cell() {
    let book = workbook(&["SUM(A1:A9)", "SUM(A1:A9", "ROUND(A1)"]);
    let sandbox = Sandbox::new(&[("book.xlsm", &book), ("fine.xlsx", &workbook(&["1+1"]))]);
    assert_snapshot!(sandbox.run(&["check"]), @"
    --- stdout
    error: `book.xlsm:My Sheet!B2` does not parse
     --> book.xlsm:My Sheet!B2:1:11
      |
    1 | =SUM(A1:A9
      |           ^ a closing bracket is missing

    error: `book.xlsm:My Sheet!B3` does not parse
     --> book.xlsm:My Sheet!B3:1:10
      |
    1 | =ROUND(A1)
      |          ^ ROUND needs 2 arguments

    --- stderr
    checked 2 files: 1 does not parse (2 faults)
    --- exit 1
    ");
    assert_snapshot!(sandbox.run(&["check", "--format", "github"]), @"
    --- stdout
    ::error file=book.xlsm,title=lastmile::My Sheet!B2 does not parse: a closing bracket is missing
    ::error file=book.xlsm,title=lastmile::My Sheet!B3 does not parse: ROUND needs 2 arguments
    --- exit 1
    ");
    assert_snapshot!(sandbox.run(&["fix", "--format", "json"]), @r#"
    --- stdout
    {"before":"=SUM(A1:A9","cell":"My Sheet!B2","faults":[{"column":11,"end_column":11,"end_line":1,"line":1,"message":"a closing bracket is missing"}],"kind":"broken","lang":"excel","path":"book.xlsm","suggestion":{"after":"=SUM(A1:A9)","applicability":"needs-review","confidence":null,"diff":"-=SUM(A1:A9\n+=SUM(A1:A9)\n","edits":[{"line":1,"n_lines":1,"text":"=SUM(A1:A9)"}],"evidence":"parses","score":2.5,"written":false}}
    {"before":"=ROUND(A1)","cell":"My Sheet!B3","faults":[{"column":10,"end_column":11,"end_line":1,"line":1,"message":"ROUND needs 2 arguments"}],"kind":"broken","lang":"excel","path":"book.xlsm","reason":"the engine found nothing that parses"}
    --- exit 1
    "#);
    assert_eq!(sandbox.read("book.xlsm"), book);
}

#[test]
fn a_repair_changes_one_formula_and_nothing_else() {
    let book = workbook(&["SUM(A1:A9)", "SUM(A1:A9", "(A1&amp;&quot;x&quot;"]);
    let sandbox = Sandbox::new(&[("book.xlsx", &book)]);
    assert_snapshot!(sandbox.run(&["fix", "--write", "--unsafe"]), @r#"
    --- stdout
    error: `book.xlsx:My Sheet!B2` does not parse
     --> book.xlsx:My Sheet!B2:1:11
      |
    1 | =SUM(A1:A9
      |           ^ a closing bracket is missing
    repaired: needs review (parses)
    -=SUM(A1:A9
    +=SUM(A1:A9)

    error: `book.xlsx:My Sheet!B3` does not parse
     --> book.xlsx:My Sheet!B3:1:9
      |
    1 | =(A1&"x"
      |         ^ a closing bracket is missing
    repaired: needs review (parses)
    -=(A1&"x"
    +=(A1&"x")

    --- stderr
    checked 1 file: 1 does not parse (2 faults), 2 repaired
    --- exit 0
    "#);
    let (before, mut after) = (entries(&book), entries(&sandbox.read("book.xlsx")));
    let sheet = "xl/worksheets/sheet1.xml";
    let expected = String::from_utf8(before[sheet].clone())
        .expect("written as text")
        .replace("<f>SUM(A1:A9</f><v>7</v>", "<f>SUM(A1:A9)</f>")
        .replace("<f>(A1&amp;&quot;x&quot;</f><v>7</v>", "<f>(A1&amp;\"x\")</f>");
    assert_eq!(String::from_utf8_lossy(&after[sheet]), expected);
    for changed in [sheet, "xl/workbook.xml"] {
        after.insert(changed.to_owned(), before[changed].clone());
    }
    assert_eq!(after, before);
}

#[test]
fn what_is_no_workbook_is_left_alone() {
    let cut = &workbook(&["1"])[..200];
    let large = "2".repeat(3000);
    let settings = b"[files]\nmax_workbook_kib = 2\n";
    let files: [(&str, &[u8]); 5] = [
        ("lastmile.toml", settings),
        ("large.xlsx", large.as_bytes()),
        ("cut.xlsx", cut),
        ("old.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("text.xlsm", b"=1"),
    ];
    let sandbox = Sandbox::new(&files);
    assert_snapshot!(sandbox.run(&["fix", "--write", "--unsafe"]), @"
    --- stderr
    warning: `cut.xlsx` was left alone: damaged workbook: archive: invalid Zip archive: Could not find EOCD
    warning: `large.xlsx` was left alone: it is 3 KiB; the limit is 2 KiB (`files.max_workbook_kib`)
    warning: `old.xlsx` was left alone: workbook in the old .xls format: save it as .xlsx
    warning: `text.xlsm` was left alone: not an Excel workbook (.xlsx or .xlsm)
    checked 0 files: nothing could be judged, 4 skipped
    --- exit 0
    ");
    for (name, bytes) in files {
        assert_eq!(sandbox.read(name), bytes);
    }
}

#[test]
fn the_hook_shows_the_repair_of_a_staged_workbook_and_writes_nothing() {
    let repo = TestRepo::with_writing_hook();
    let book = workbook(&["SUM(A1:A9", "1+1", "(A1"]);
    repo.stage("book.xlsx", &book);
    let before = repo.git_state();
    let said = repo.run(repo.command("git").args(["commit", "--quiet", "-m", "change"]));
    assert_eq!(said.code, Some(1), "{said:?}");
    for words in
        ["`book.xlsx:My Sheet!B1` does not parse", "lastmile fix --write book.xlsx", "checked 1 file: 1 does"]
    {
        assert!(format!("{}{}", said.stdout, said.stderr).contains(words), "{said:?}");
    }
    assert_eq!(std::fs::read(repo.root.join("book.xlsx")).expect("it is there"), book);
    assert_eq!(repo.git_state(), before);
    repo.stage("book.xlsx", workbook(&["SUM(A1:A9)"]));
    repo.git(["commit", "--quiet", "-m", "change"]);
    repo.stage("t.csv", b"a,=SUM(A1:A9\n");
    let said = repo.run(repo.command("git").args(["commit", "--quiet", "-m", "change"]));
    assert!(format!("{}{}", said.stdout, said.stderr).contains("fix --write --unsafe t.csv"), "{said:?}");
}

#[test]
fn a_copy_is_repaired_when_asked() {
    let book = workbook(&["SUM(A1:A9", "MAX(A1:A9"]);
    let sandbox = Sandbox::new(&[("book.xlsx", &book)]);
    let first = sandbox.run(&["fix", "--write", "--aside", "--unsafe"]);
    assert_eq!(first.code, Some(1), "{first}");
    assert!(first.stderr.contains("hint: the repaired copy is `book.repaired.xlsx`"), "{first}");
    assert_eq!(sandbox.read("book.xlsx"), book);
    let sheet = &entries(&sandbox.read("book.repaired.xlsx"))["xl/worksheets/sheet1.xml"];
    let sheet = String::from_utf8_lossy(sheet);
    assert!(sheet.contains("<f>SUM(A1:A9)</f>") && sheet.contains("<f>MAX(A1:A9)</f>"), "{sheet}");
    // A copy that is there may hold somebody's work.
    let second = sandbox.run(&["fix", "--write", "--aside", "--unsafe", "book.xlsx"]);
    assert_eq!(second.code, Some(2), "{second}");
    assert!(second.stderr.contains("book.repaired.xlsx"), "{second}");
}

#[test]
fn tables_are_repaired_by_cell() {
    let table =
        b"\xef\xbb\xbfname,total\r\n\"\xc3\xa9t\xc3\xa9, x\",\"=IF(A1=\"\"\"\",1,2\"\r\n=== end ===,=SUM(B1:B2)";
    let sandbox =
        Sandbox::new(&[("t.csv", table), ("u.tsv", b"=MAX(A1:A9\t\xe9\n"), ("v.csv", b"a;=SUM(A1;A2\n")]);
    assert_snapshot!(sandbox.run(&["check", "--format", "github"]), @"
    --- stdout
    ::error file=t.csv,line=2,title=lastmile::B2 does not parse: a closing bracket is missing
    ::error file=u.tsv,line=1,title=lastmile::A1 does not parse: a closing bracket is missing
    --- exit 1
    ");
    assert_snapshot!(sandbox.run(&["check", "--format", "json", "t.csv"]), @r#"
    --- stdout
    {"before":"=IF(A1=\"\",1,2","cell":"B2","cell_line":2,"faults":[{"column":14,"end_column":14,"end_line":1,"line":1,"message":"a closing bracket is missing"}],"kind":"broken","lang":"excel","path":"t.csv"}
    --- exit 1
    "#);
    assert_snapshot!(sandbox.run(&["fix", "--write", "--unsafe"]), @r#"
    --- stdout
    error: `t.csv:B2` does not parse
     --> t.csv:B2:1:14
      |
    1 | =IF(A1="",1,2
      |              ^ a closing bracket is missing
    repaired: needs review (parses)
    -=IF(A1="",1,2
    +=IF(A1="",1,2)

    error: `u.tsv:A1` does not parse
     --> u.tsv:A1:1:11
      |
    1 | =MAX(A1:A9
      |           ^ a closing bracket is missing
    repaired: needs review (parses)
    -=MAX(A1:A9
    +=MAX(A1:A9)

    --- stderr
    checked 3 files: 2 do not parse (2 faults), 2 repaired
    --- exit 0
    "#);
    let expected = String::from_utf8(table.to_vec()).expect("UTF-8").replace(",2\"\r", ",2)\"\r");
    assert_eq!(String::from_utf8_lossy(&sandbox.read("t.csv")), expected);
    assert_eq!(sandbox.read("u.tsv"), b"=MAX(A1:A9)\t\xe9\n");
}

#[test]
fn what_works_on_one_text_says_that_a_workbook_holds_many() {
    let sandbox = Sandbox::new(&[("book.xlsx", &workbook(&["SUM(A1"]))]);
    assert_snapshot!(sandbox.run(&["explain", "book.xlsx"]), @"
    --- stderr
    error: `book.xlsx` is left alone: it holds formulas in cells, which `lastmile check FILE` and `lastmile fix FILE` look at one by one
    --- exit 2
    ");
    assert_snapshot!(sandbox.run(&["fix", "--diff"]), @"
    --- stderr
    warning: `book.xlsx` is repaired by cell, so that the repair of My Sheet!B1 has no diff
    checked 1 file: 1 does not parse (1 fault), 1 with a suggestion
    --- exit 1
    ");
}

#[test]
fn a_file_of_formulas_is_repaired_line_by_line() {
    let before = b"=SUM(A1:A9)\n=ROUND(SUM(A1:A9),2\n\n=A1+(B1\n";
    let sandbox = Sandbox::new(&[("a.formulas", before)]);
    assert_snapshot!(sandbox.run(&["fix", "--write", "--unsafe"]), @"
    --- stdout
    error: `a.formulas` does not parse
     --> a.formulas:2:20
      |
    2 | =ROUND(SUM(A1:A9),2
      |                    ^ a closing bracket is missing
    3 |
    4 | =A1+(B1
      |        ^ a closing bracket is missing
    repaired: needs review (parses)
    --- a/a.formulas
    +++ b/a.formulas
    @@ -1,4 +1,4 @@
     =SUM(A1:A9)
    -=ROUND(SUM(A1:A9),2
    +=ROUND(SUM(A1:A9),2)
     
    -=A1+(B1
    +=A1+(B1)

    --- stderr
    checked 1 file: 1 does not parse (2 faults), 1 repaired
    --- exit 0
    ");
    assert_eq!(sandbox.read("a.formulas"), b"=SUM(A1:A9)\n=ROUND(SUM(A1:A9),2)\n\n=A1+(B1)\n");
}
