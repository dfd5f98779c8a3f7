//! JUnit XML, as pytest and many others write it. The writer is not trusted.

use std::collections::BTreeMap;
use std::fmt::Display;

use quick_xml::XmlVersion::Explicit1_0;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::{Failure, Results, TestId, TestOutcome, tail};
use crate::suite::modules::{Modules, dotted};

/// The largest file that is read.
pub const MAX_BYTES: usize = 64 << 20;
const MAX_TESTS: usize = 200_000;
const MAX_DEPTH: usize = 32;
/// What is kept of a failure's text: tracebacks end with what matters.
const MAX_TEXT: usize = 32 << 10;
/// What is kept of all failures together.
const MAX_TEXTS: usize = 16 << 20;

/// Why XML is not taken for results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JunitError {
    #[error("more than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    #[error("more than {MAX_TESTS} tests")]
    TooMany,
    #[error("elements nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("not UTF-8")]
    Encoding,
    #[error("a document type or an entity of its own")]
    Entities,
    #[error("the XML ends too early")]
    Truncated,
    #[error("wrong XML at byte {at}: {reason}")]
    Malformed { at: u64, reason: String },
    #[error("not the XML of test results but `<{0}>`")]
    NotResults(String),
    /// Such as pytest writes for the test that called `pytest.exit`.
    #[error("a test without a name")]
    Nameless,
}

type Result<T> = std::result::Result<T, JunitError>;

/// Reads the tests of one document, in however many and however nested suites.
pub(super) fn read(bytes: &[u8], modules: &Modules) -> Result<Results> {
    if bytes.len() > MAX_BYTES {
        return Err(JunitError::TooLarge);
    }
    let text = str::from_utf8(bytes).map_err(|_| JunitError::Encoding)?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut reading = Reading::new(modules);
    loop {
        let event = reader.read_event().map_err(|error| match error {
            quick_xml::Error::Syntax(_) => JunitError::Truncated,
            error => JunitError::Malformed { at: reader.error_position(), reason: error.to_string() },
        })?;
        if matches!(event, Event::Eof) {
            return reading.end();
        }
        reading.take(event).map_err(|stop| match stop {
            Stop::Error(error) => error,
            Stop::Xml(reason) => JunitError::Malformed { at: reader.buffer_position(), reason },
        })?;
    }
}

/// Why reading ends: with or without a place to name.
enum Stop {
    Error(JunitError),
    Xml(String),
}

impl From<JunitError> for Stop {
    fn from(error: JunitError) -> Self {
        Stop::Error(error)
    }
}

fn wrong(reason: impl Display) -> Stop {
    Stop::Xml(reason.to_string())
}

struct Reading<'m> {
    modules: &'m Modules,
    /// Names of the elements that are open.
    open: Vec<String>,
    has_root: bool,
    case: Option<Case>,
    n_tests: usize,
    /// Bytes of the texts that are kept.
    n_kept: usize,
    tests: BTreeMap<TestId, TestOutcome>,
    errors: BTreeMap<TestId, Failure>,
}

/// A test that is being read.
struct Case {
    id: TestId,
    kind: Kind,
    failure: Failure,
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Kind {
    Passed,
    Skipped,
    Failed,
    /// pytest's word for a file that cannot be imported.
    NotCollected,
}

impl<'m> Reading<'m> {
    fn new(modules: &'m Modules) -> Self {
        Self {
            modules,
            open: Vec::new(),
            has_root: false,
            case: None,
            n_tests: 0,
            n_kept: 0,
            tests: BTreeMap::new(),
            errors: BTreeMap::new(),
        }
    }

    fn take(&mut self, event: Event) -> std::result::Result<(), Stop> {
        match event {
            Event::Start(element) => {
                self.begin(&element)?;
                self.open.push(element.local_name().as_ref().to_owned());
                if self.open.len() > MAX_DEPTH {
                    return Err(JunitError::TooDeep.into());
                }
            }
            Event::Empty(element) => {
                self.begin(&element)?;
                self.finish(element.local_name().as_ref())?;
            }
            Event::End(element) => {
                self.open.pop();
                self.finish(element.local_name().as_ref())?;
            }
            Event::Text(text) => self.say(&text.xml10_content()),
            Event::CData(text) => self.say(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text = resolve(&reference)?;
                self.say(&text);
            }
            Event::DocType(_) => return Err(JunitError::Entities.into()),
            Event::Decl(declaration) => check_encoding(&declaration)?,
            Event::Comment(_) | Event::PI(_) | Event::Eof => {}
        }
        Ok(())
    }

    fn begin(&mut self, element: &BytesStart) -> std::result::Result<(), Stop> {
        let name = element.local_name();
        let name = name.as_ref();
        if self.open.is_empty() {
            if self.has_root || !matches!(name, "testsuites" | "testsuite") {
                return Err(JunitError::NotResults(name.to_owned()).into());
            }
            self.has_root = true;
        }
        let is_in_case = self.open.last().is_some_and(|open| open == "testcase");
        match (name, &mut self.case) {
            ("testcase", None) => self.case = Some(case(element, self.modules)?),
            ("testcase" | "testsuite", Some(_)) => return Err(wrong("a test holds another")),
            ("skipped", Some(case)) if is_in_case && case.kind == Kind::Passed => case.kind = Kind::Skipped,
            ("failure" | "error", Some(case)) if is_in_case => {
                let message = attribute(element, "message")?;
                let is_uncollected = case.id.class.is_empty() && message == "collection failure";
                case.kind = if is_uncollected { Kind::NotCollected } else { Kind::Failed };
                if case.failure.message.is_empty() {
                    tail(&message, MAX_TEXT).clone_into(&mut case.failure.message);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Text counts inside of a failure only; what tests print may be any size.
    fn say(&mut self, text: &str) {
        let is_failure = self.open.last().is_some_and(|open| open == "failure" || open == "error");
        if let (true, Some(case)) = (is_failure, &mut self.case) {
            case.failure.text.push_str(text);
            if case.failure.text.len() > 2 * MAX_TEXT {
                case.failure.text = tail(&case.failure.text, MAX_TEXT).to_owned();
            }
        }
    }

    fn finish(&mut self, name: &str) -> std::result::Result<(), Stop> {
        if name != "testcase" {
            return Ok(());
        }
        let Some(mut case) = self.case.take() else { return Ok(()) };
        self.n_kept += case.failure.message.len() + case.failure.text.len();
        if self.n_kept > MAX_TEXTS {
            case.failure = Failure::default();
        }
        self.n_tests += 1;
        if self.n_tests > MAX_TESTS {
            return Err(JunitError::TooMany.into());
        }
        let outcome = match case.kind {
            Kind::NotCollected => {
                self.errors.insert(case.id, case.failure);
                return Ok(());
            }
            Kind::Failed => TestOutcome::Failed(case.failure),
            Kind::Skipped => TestOutcome::Skipped,
            Kind::Passed => TestOutcome::Passed,
        };
        Results::add(&mut self.tests, case.id, outcome);
        Ok(())
    }

    fn end(self) -> Result<Results> {
        if !self.open.is_empty() || !self.has_root {
            return Err(JunitError::Truncated);
        }
        Ok(Results::Listed { tests: self.tests, errors: self.errors })
    }
}

/// A test by the file it names, which pytest does when it is asked for `junit_family=xunit1`, or else by its class.
fn case(element: &BytesStart, modules: &Modules) -> std::result::Result<Case, Stop> {
    let name = attribute(element, "name")?;
    let class = attribute(element, "classname")?;
    if name.is_empty() {
        return Err(JunitError::Nameless.into());
    }
    let file = attribute(element, "file")?.replace('\\', "/");
    let id = match dotted(&file) {
        Some(module) => {
            let inside = class.strip_prefix(&module).map(|class| class.trim_start_matches('.'));
            TestId { file, class: inside.unwrap_or(&class).to_owned(), name }
        }
        None if class.is_empty() && modules.locate(&name).is_some() => {
            let file = modules.locate(&name).map_or("", |(file, _)| file);
            TestId { file: file.to_owned(), class, name }
        }
        None => TestId::within(&class, &name, modules),
    };
    Ok(Case { id, kind: Kind::Passed, failure: Failure::default() })
}

fn attribute(element: &BytesStart, name: &str) -> std::result::Result<String, Stop> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(wrong)?;
        if attribute.key.local_name().as_ref() == name {
            return attribute.normalized_value(Explicit1_0).map(String::from).map_err(wrong);
        }
    }
    Ok(String::new())
}

/// The text of `&lt;` or `&#10;`. There are no others, since a document type is refused.
fn resolve(reference: &BytesRef) -> std::result::Result<String, Stop> {
    if let Some(c) = reference.resolve_char_ref().map_err(wrong)? {
        return Ok(c.to_string());
    }
    let known = quick_xml::escape::resolve_xml_entity(&reference.xml10_content()).map(str::to_owned);
    known.ok_or_else(|| JunitError::Entities.into())
}

fn check_encoding(declaration: &BytesDecl) -> std::result::Result<(), Stop> {
    let Some(encoding) = declaration.encoding() else { return Ok(()) };
    let encoding = encoding.map_err(wrong)?.to_ascii_lowercase();
    if matches!(encoding.as_str(), "utf-8" | "utf8" | "us-ascii" | "ascii") {
        return Ok(());
    }
    Err(JunitError::Encoding.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for each test: `+` passed, `-` failed, `s` skipped, `!` not collected.
    fn listed(xml: &str) -> Result<String> {
        let modules = Modules::new(["tests/test_a.py", "tests/sub/test_b.py"]);
        let Results::Listed { tests, errors } = read(xml.as_bytes(), &modules)? else {
            return Ok("unlisted".to_owned());
        };
        let tests = tests.iter().map(|(id, outcome)| match outcome {
            TestOutcome::Passed => format!("+{id}"),
            TestOutcome::Skipped => format!("s{id}"),
            TestOutcome::Failed(failure) => format!("-{id} {}|{}", failure.message, failure.text),
        });
        let errors = errors.iter().map(|(id, failure)| format!("!{id} {}", failure.text));
        Ok(tests.chain(errors).collect::<Vec<_>>().join("\n"))
    }

    #[track_caller]
    fn check(inside: &str, expected: &str) {
        let xml = format!(
            "<?xml version='1.0' encoding='utf-8'?>\n<testsuites><testsuite name='p'>{inside}</testsuite></testsuites>"
        );
        assert_eq!(listed(&xml).as_deref(), Ok(expected));
    }

    #[track_caller]
    fn check_refused(xml: &str, expected: &str) {
        assert_eq!(listed(xml).map_err(|error| error.to_string()), Err(expected.to_owned()));
    }

    #[test]
    fn tests_are_named_by_file_class_and_name() {
        check("<testcase classname='tests.test_a' name='t' file='tests/test_a.py'/>", "+tests/test_a.py::t");
        check("<testcase classname='tests.test_a.C.D' name='t'></testcase>", "+tests/test_a.py::C::D::t");
        check("<testcase classname='test_a.C' name='t'/>", "+tests/test_a.py::C::t");
        check("<testcase classname='Suite in Pester' name='adds'/>", "+Suite in Pester::adds");
        check("<testcase name='t' file='tests\\test_a.py'/>", "+tests/test_a.py::t");
    }

    #[test]
    fn odd_parameters_stay_as_they_are() {
        check(
            "<testcase classname='tests.test_a' name='t[a::b[c]-&lt;&amp;&#233;-日本]'/>",
            "+tests/test_a.py::t[a::b[c]-<&é-日本]",
        );
        check("<testcase classname='tests.test_a' name='t[\\x1b\\n]'/>", "+tests/test_a.py::t[\\x1b\\n]");
    }

    #[test]
    fn outcomes_are_told_apart() {
        let case = |inside: &str| format!("<testcase classname='tests.test_a' name='t'>{inside}</testcase>");
        check(
            &case("<failure message='m&#10;n'>a &lt;b<![CDATA[ &c]]></failure>"),
            "-tests/test_a.py::t m\nn|a <b &c",
        );
        check(&case("<error message='failed on setup'/>"), "-tests/test_a.py::t failed on setup|");
        check(&case("<skipped type='pytest.xfail' message=''/>"), "stests/test_a.py::t");
        check(&case("<system-out>&lt;failure/&gt;</system-out>"), "+tests/test_a.py::t");
        check(&case("<properties><failure/></properties>"), "+tests/test_a.py::t");
        check(&case("<flakyFailure message='x'/>"), "+tests/test_a.py::t");
        // Subtests.
        check(
            &case("<failure message='x'>1</failure><failure message='y'>2</failure>"),
            "-tests/test_a.py::t x|12",
        );
        // A test that passed and then could not be torn down is there twice.
        check(&(case("") + &case("<error message='x'/>")), "-tests/test_a.py::t x|");
        check(&(case("<error message='x'/>") + &case("")), "-tests/test_a.py::t x|");
    }

    #[test]
    fn what_cannot_be_imported_is_no_test() {
        check(
            "<testcase classname='' name='tests.sub.test_b' file='tests/sub/test_b.py'>\
             <error message='collection failure'>E SyntaxError</error></testcase>",
            "!tests/sub/test_b.py::tests.sub.test_b E SyntaxError",
        );
        check(
            "<testcase classname='' name='tests.sub.test_b'><error message='collection failure'>x</error></testcase>",
            "!tests/sub/test_b.py::tests.sub.test_b x",
        );
    }

    #[test]
    fn suites_may_be_nested_or_missing() {
        let case = "<testcase classname='c' name='t'/>";
        check(&format!("<testsuite><testsuite>{case}</testsuite></testsuite>"), "+c::t");
        assert_eq!(listed(&format!("<testsuite>{case}</testsuite>")).as_deref(), Ok("+c::t"));
        assert_eq!(listed("\u{feff}<testsuites/>").as_deref(), Ok(""));
        assert_eq!(listed(&format!("<j:testsuite xmlns:j='x'>{case}</j:testsuite>")).as_deref(), Ok("+c::t"));
    }

    #[test]
    fn what_is_cut_or_wrong_is_refused() {
        check_refused("", "the XML ends too early");
        check_refused("<testsuite><testcase classname='c' name='t'/>", "the XML ends too early");
        check_refused("<testsuite><testcase classname='c' na", "the XML ends too early");
        check_refused("<testsuite><![CDATA[", "the XML ends too early");
        check_refused("<html></html>", "not the XML of test results but `<html>`");
        check_refused("<testsuite/><testsuite/>", "not the XML of test results but `<testsuite>`");
        check_refused("<testsuite><testcase time='0'/></testsuite>", "a test without a name");
        check_refused(
            "<testsuite></testsuites>",
            "wrong XML at byte 11: ill-formed document: expected `</testsuite>`, but `</testsuites>` was found",
        );
        check_refused(
            "<testsuite><testcase name='t'><testcase name='u'/></testcase></testsuite>",
            "wrong XML at byte 50: a test holds another",
        );
        check_refused("<?xml version='1.0' encoding='utf-16'?><testsuite/>", "not UTF-8");
        assert_eq!(read(b"\xff\xfe<", &Modules::default()), Err(JunitError::Encoding));
    }

    #[test]
    fn bombs_do_not_go_off() {
        check_refused(
            "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]><testsuite/>",
            "a document type or an entity of its own",
        );
        check_refused(
            "<testsuite><testcase name='t'><failure>&bomb;</failure></testcase></testsuite>",
            "a document type or an entity of its own",
        );
        check_refused(&"<testsuite>".repeat(40), "elements nested more than 32 deep");
        assert_eq!(read(&vec![b' '; MAX_BYTES + 1], &Modules::default()), Err(JunitError::TooLarge));
    }

    #[test]
    fn long_texts_keep_their_end() {
        let text = "x".repeat(5 * MAX_TEXT) + "é end";
        let xml = format!("<testsuite><testcase name='t'><failure>{text}</failure></testcase></testsuite>");
        let Ok(Results::Listed { tests, .. }) = read(xml.as_bytes(), &Modules::default()) else {
            panic!("it is well formed");
        };
        let Some(TestOutcome::Failed(failure)) = tests.values().next() else { panic!("it failed") };
        assert!(failure.text.ends_with("é end") && failure.text.len() <= 2 * MAX_TEXT);
    }
}
