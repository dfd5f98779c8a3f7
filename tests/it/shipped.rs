//! The real engine with the weights that lie in `models/`: the one place where the tests load libtorch.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// The first candidate for each text.
fn repair(lang: &str, texts: &[&str]) -> Vec<Option<String>> {
    let rows = texts.iter().enumerate();
    let rows = rows.map(|(id, text)| json!({ "id": id.to_string(), "lang": lang, "text": text }));
    let answers = answers(&rows.collect::<Vec<_>>());
    let first = |answer: &Value| answer["candidates"][0]["text"].as_str().map(str::to_owned);
    answers.iter().map(first).collect()
}

fn answers(rows: &[Value]) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lastmile"))
        .args(["repair", "--jsonl", "--budget-ms", "20000", "--threads", "1"])
        .env("LASTMILE_ENGINE", env!("CARGO_BIN_EXE_lastmile-engine"))
        .env("LASTMILE_MODELS", concat!(env!("CARGO_MANIFEST_DIR"), "/models"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    for row in rows {
        writeln!(stdin, "{row}").expect("the program reads");
    }
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn everyday_slips_are_mended() {
    let check = |lang, rows: &[(&str, &str)]| {
        let broken: Vec<&str> = rows.iter().map(|(broken, _)| *broken).collect();
        for ((broken, fixed), found) in rows.iter().zip(repair(lang, &broken)) {
            assert_eq!(found.as_deref(), Some(*fixed), "{broken}");
        }
    };
    let rows = [
        ("total = sum(prices\nprint(total)\n", "total = sum(prices)\nprint(total)\n"),
        ("for row in rows\n    print(row)\n", "for row in rows:\n    print(row)\n"),
        ("print 'done'\n", "print('done')\n"),
        ("name = 'Ada\n", "name = 'Ada'\n"),
        ("if x = 3:\n    y = 4\n", "if x == 3:\n    y = 4\n"),
        ("values = [1, 2, 3\n", "values = [1, 2, 3]\n"),
    ];
    check("python", &rows);
    let rows = [
        ("=IF(B2>100,\"high\",\"low\"", "=IF(B2>100,\"high\",\"low\")"),
        ("=VLOOKUP(A2,Prices!A:C,3,FALSE))", "=VLOOKUP(A2,Prices!A:C,3,FALSE)"),
        ("=SUM(C2:20)", "=SUM(C2:C20)"),
        ("=IF(A2=>5;1;0)", "=IF(A2>=5,1,0)"),
        ("=ROUND(D4*1.2 2)", "=ROUND(D4*1.2, 2)"),
    ];
    check("excel", &rows);
    let rows = [
        ("if ($count -gt 3 {\n    exit 1\n}\n", "if ($count -gt 3) {\n    exit 1\n}\n"),
        ("foreach ($n in $names) {\n    Write-Host $n\n", "foreach ($n in $names) {\n    Write-Host $n\n}\n"),
        ("$list = @(1, 2, 3\n", "$list = @(1, 2, 3)\n"),
        ("Write-Host \"done\n", "Write-Host \"done\"\n"),
        ("\"C:\\Program Files\\tool.exe\" --quick\n", "& \"C:\\Program Files\\tool.exe\" --quick\n"),
    ];
    check("powershell", &rows);
}

#[test]
fn good_code_gets_no_answer_and_the_same_text_the_same_answer() {
    let texts = ["x = 1\n", "def f(x:\n    return x\n", "def f(x:\n    return x\n"];
    let found = repair("python", &texts);
    assert_eq!(found[0], None);
    assert!(found[1].is_some());
    assert_eq!(found[1], found[2]);
}

/// Texts that parse and are wrong: the rows of `make bench-examples`.
#[test]
fn examples_find_the_slip() {
    let rows = include_str!("../bench/examples.jsonl").lines();
    let rows: Vec<Value> = rows.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for name in ["clamp", "unique", "leap"] {
        let row = rows.iter().find(|row| row["id"] == name).expect("it is there");
        let mut asked = row.clone();
        asked["text"] = row["broken"].clone();
        let best = &answers(&[asked])[0]["candidates"][0];
        assert_eq!((best["tests"].as_str(), &best["text"]), (Some("improved"), &row["fixed"]), "{name}");
    }
}
