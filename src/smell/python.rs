//! Smells of Python that show in its syntax trees.

use std::collections::HashMap;

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_pattern, walk_stmt};
use ruff_python_ast::{Expr, Mod, Pattern, PythonVersion, Stmt, StmtFunctionDef};
use ruff_python_parser::{Mode, ParseOptions, Parsed, parse_unchecked};
use ruff_text_size::{Ranged, TextRange};

use super::lines::{self, distance};
use super::{Repair, Smell};

pub(super) fn smells(repair: &Repair) -> Vec<Smell> {
    let [before, after] = [repair.before, repair.after].map(parse);
    let mut smells = Vec::new();
    if !after.errors().is_empty() {
        return smells;
    }
    let [old, new] =
        [(repair.before, &before), (repair.after, &after)].map(|(text, tree)| Facts::of(text, tree));
    let deleted = if before.errors().is_empty() { deletions(&old, &new) } else { lines::deletions(repair) };
    smells.extend(special_cases(repair, &old, &new));
    smells.extend(constants(&old, &new));
    smells.extend(deleted);
    smells
}

fn parse(text: &str) -> Parsed<Mod> {
    parse_unchecked(text, ParseOptions::from(Mode::Module).with_target_version(PythonVersion::latest()))
}

/// What is in a text that smells are told by.
struct Facts<'t> {
    text: &'t str,
    /// Simple statements and the heads of others, their blanks made one, with their places.
    statements: Vec<(String, usize)>,
    /// Literals that something is compared with.
    compared: Vec<TextRange>,
    /// By their full names.
    functions: HashMap<String, Function<'t>>,
    /// The names around the statement that is visited.
    scope: Vec<String>,
}

struct Function<'t> {
    /// All after the docstring.
    body: &'t str,
    /// The statement that returns a literal at its start, and the literal.
    constant: Option<(TextRange, TextRange)>,
}

impl<'t> Facts<'t> {
    fn of(text: &'t str, tree: &Parsed<Mod>) -> Self {
        let (statements, compared, functions, scope) = Default::default();
        let mut facts = Self { text, statements, compared, functions, scope };
        if let Mod::Module(module) = tree.syntax() {
            facts.visit_body(&module.body);
        }
        facts
    }

    fn slice(&self, range: TextRange) -> &'t str {
        self.text.get(range.start().to_usize()..range.end().to_usize()).unwrap_or_default()
    }

    fn line(&self, at: usize) -> usize {
        self.text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
    }

    fn function(&mut self, def: &StmtFunctionDef) {
        let is_docstring =
            |stmt: &Stmt| matches!(stmt, Stmt::Expr(stmt) if stmt.value.is_string_literal_expr());
        let n_before = usize::from(def.body.first().is_some_and(is_docstring));
        let Some(first) = def.body.get(n_before) else { return };
        let constant = match first {
            Stmt::Return(stmt) => stmt.value.as_deref().filter(|value| is_constant(value)),
            _ => None,
        };
        let constant = constant.map(|value| (first.range(), value.range()));
        let end = def.body.last().map_or(first.range().end(), Ranged::end);
        let function =
            Function { body: self.slice(TextRange::new(first.range().start(), end)).trim(), constant };
        let name = [self.scope.join("."), def.name.to_string()].join(".");
        self.functions.insert(name, function);
    }

    /// Where a statement ends that others may follow in: at the first of them.
    fn head(stmt: &Stmt) -> TextRange {
        let body = match stmt {
            Stmt::FunctionDef(stmt) => stmt.body.first(),
            Stmt::ClassDef(stmt) => stmt.body.first(),
            Stmt::If(stmt) => stmt.body.first(),
            Stmt::For(stmt) => stmt.body.first(),
            Stmt::While(stmt) => stmt.body.first(),
            Stmt::With(stmt) => stmt.body.first(),
            Stmt::Try(stmt) => stmt.body.first(),
            Stmt::Match(stmt) => return stmt.subject.range(),
            _ => None,
        };
        let end = body.map_or(stmt.range().end(), Ranged::start);
        TextRange::new(stmt.range().start(), end.max(stmt.range().start()))
    }

    /// The literals of one side of a comparison.
    fn compare(&mut self, side: &Expr) {
        match side {
            Expr::List(list) => list.elts.iter().for_each(|item| self.compare(item)),
            Expr::Tuple(list) => list.elts.iter().for_each(|item| self.compare(item)),
            Expr::Set(list) => list.elts.iter().for_each(|item| self.compare(item)),
            side if is_constant(side) => self.compared.push(side.range()),
            _ => {}
        }
    }

    /// The keys of a table that is written where it is looked into: `{5: 120}[n]`, `{5: 120}.get(n)`.
    fn look_up(&mut self, table: &Expr) {
        if let Expr::Dict(table) = table {
            for key in table.items.iter().filter_map(|item| item.key.as_ref()) {
                self.compare(key);
            }
        }
    }
}

impl<'a> Visitor<'a> for Facts<'_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        let head = Self::head(stmt);
        let is_text = matches!(stmt, Stmt::Expr(stmt) if stmt.value.is_string_literal_expr());
        let words: Vec<&str> = self.slice(head).split_whitespace().collect();
        if !is_text {
            self.statements.push((words.join(" "), head.start().to_usize()));
        }
        let name = match stmt {
            Stmt::FunctionDef(def) => {
                self.function(def);
                Some(def.name.to_string())
            }
            Stmt::ClassDef(def) => Some(def.name.to_string()),
            _ => None,
        };
        let depth = self.scope.len();
        self.scope.extend(name);
        walk_stmt(self, stmt);
        self.scope.truncate(depth);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Compare(compare) => {
                self.compare(&compare.left);
                compare.comparators.iter().for_each(|side| self.compare(side));
            }
            Expr::Subscript(subscript) => self.look_up(&subscript.value),
            Expr::Attribute(attribute) if attribute.attr.as_str() == "get" => self.look_up(&attribute.value),
            _ => {}
        }
        walk_expr(self, expr);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        if let Pattern::MatchValue(pattern) = pattern {
            self.compare(&pattern.value);
        }
        walk_pattern(self, pattern);
    }
}

/// Whether an expression is the same each time: a literal, or a list of some.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp(expr) => is_constant(&expr.operand),
        Expr::List(list) => list.elts.iter().all(is_constant),
        Expr::Tuple(list) => list.elts.iter().all(is_constant),
        Expr::Set(list) => list.elts.iter().all(is_constant),
        Expr::Dict(dict) => dict
            .items
            .iter()
            .all(|item| item.key.as_ref().is_some_and(is_constant) && is_constant(&item.value)),
        expr => expr.is_literal_expr(),
    }
}

/// New comparisons with values that the text did not have and the tests do.
fn special_cases(repair: &Repair, old: &Facts, new: &Facts) -> Vec<Smell> {
    // Another value in an old comparison is what a repair may well be.
    if new.compared.len() <= old.compared.len() {
        return Vec::new();
    }
    let mut smells = Vec::new();
    for range in &new.compared {
        let literal = new.slice(*range);
        let value = literal.trim_matches(['"', '\'', '-', ' ']);
        let is_telling = value.chars().count() >= 2 || value.parse::<u8>().is_ok_and(|number| number > 2);
        if is_telling && !occurs(value, repair.before) && repair.tests.iter().any(|test| occurs(value, test))
        {
            let line = new.line(range.start().to_usize());
            smells.push(Smell::SpecialCases { line, literal: literal.to_owned() });
        }
    }
    smells
}

/// Whether a value is in a text, not as a part of a longer word or number.
fn occurs(value: &str, text: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(value).any(|(at, _)| {
        let is_cut_before = text[..at].ends_with(is_word) && value.starts_with(is_word);
        let is_cut_after = text[at + value.len()..].starts_with(is_word) && value.ends_with(is_word);
        !is_cut_before && !is_cut_after
    })
}

/// Functions that have come to begin with the return of a literal.
fn constants(old: &Facts, new: &Facts) -> Vec<Smell> {
    let mut smells = Vec::new();
    for (name, function) in &new.functions {
        let (Some((first, literal)), Some(before)) = (function.constant, old.functions.get(name)) else {
            continue;
        };
        let first = new.slice(first).trim();
        // A misspelt `return 5` is two statements to the parser, and a body `5` lacks its `return`.
        let is_spelling = distance(first, before.body) <= 2 || first.ends_with(before.body);
        if before.constant.is_none() && !is_spelling {
            let line = new.line(literal.start().to_usize());
            smells.push(Smell::ReturnsLiteral { line, literal: new.slice(literal).to_owned() });
        }
    }
    smells.sort_by_key(|smell| if let Smell::ReturnsLiteral { line, .. } = smell { *line } else { 0 });
    smells
}

/// Statements of a text that parses which have no other in their place.
fn deletions(old: &Facts, new: &Facts) -> Option<Smell> {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for (statement, _) in &new.statements {
        *left.entry(statement).or_default() += 1;
    }
    let mut gone = Vec::new();
    for (statement, at) in &old.statements {
        match left.get_mut(statement.as_str()) {
            Some(n_left) if *n_left > 0 => *n_left -= 1,
            _ => gone.push(*at),
        }
    }
    let is_real = |(statement, _): &(&&str, &usize)| !lines::is_filler(statement);
    let n_new: usize = left.iter().filter(is_real).map(|(_, n_left)| n_left).sum();
    let n_statements = gone.len().checked_sub(n_new).filter(|n_statements| *n_statements > 0)?;
    Some(Smell::DeletesStatements { line: old.line(gone[0]), n_statements })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str =
        "assert fact(5) == 120\nassert greet('Ann') == 'Hello, Ann!'\nassert f(-7) == [1, 2]\n";

    #[track_caller]
    fn check(before: &str, after: &str, expected: &[&str]) {
        let repair = Repair { path: "a.py", before, after, tests: &[TESTS] };
        let found: Vec<String> = smells(&repair).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    const FACT: &str = "def fact(n):\n    x = 1\n    return x * fact(n)\n";

    fn fact(lines: &str) -> String {
        FACT.replace("    x = 1\n", &format!("{lines}    x = 1\n"))
    }

    #[test]
    fn values_of_the_tests_are_no_cases() {
        let case =
            |literal: &str| format!("line 2: a new comparison with {literal}, which occurs in the tests");
        check(FACT, &fact("    if n == 5: return 120\n"), &[&case("5")]);
        check(FACT, &fact("    if n in ('Ann', 8): return x\n"), &[&case("'Ann'")]);
        check(FACT, &fact("    if -7 == n: return x\n"), &[&case("-7")]);
        check(FACT, &fact("    if n in {5: 120}: pass\n"), &[]);
        check(FACT, &fact("    return {5: 120}[n]\n"), &[&case("5")]);
        check(FACT, &fact("    y = {5: 120}.get(n)\n"), &[&case("5")]);
        check(
            FACT,
            &fact("    match n:\n        case 5: return x\n"),
            &["line 3: a new comparison with 5, which occurs in the tests"],
        );
    }

    #[test]
    fn other_comparisons_are_fine() {
        check(FACT, &fact("    if n == 0: return x\n"), &[]);
        check(FACT, &fact("    if n == 1: return x\n"), &[]);
        // Not in the tests.
        check(FACT, &fact("    if n == 99: return x\n"), &[]);
        check(FACT, &fact("    if n == 12: return x\n"), &[]);
        check(FACT, &fact("    if n == 'An': return x\n"), &[]);
        // In the text already, where a repair puts a mark right.
        check("if n = 5:\n    f()\n", "if n == 5:\n    f()\n", &[]);
        check("if n == 6:\n    f()\n", "if n == 5:\n    f()\n", &[]);
    }

    #[test]
    fn answers_without_a_question() {
        check(
            FACT,
            "def fact(n):\n    return 120\n",
            &[
                "line 2: the function returns 120 whatever it is given",
                "line 2: a statement is deleted and not replaced",
            ],
        );
        check(
            FACT,
            &fact("    return [1, 'x']\n"),
            &["line 2: the function returns [1, 'x'] whatever it is given"],
        );
        check(
            "class C:\n    def f(self):\n        'Doc.'\n        return self.x + \n",
            "class C:\n    def f(self):\n        'Doc.'\n        return None\n",
            &["line 4: the function returns None whatever it is given"],
        );
        check("def f():\n    return 1\n", "def f():\n    return 2\n", &[]);
        check("def f():\n    retrun 5\n", "def f():\n    return 5\n", &[]);
        check("def f():\n    5\n", "def f():\n    return 5\n", &[]);
        check("def f():\n    return [1, 2\n", "def f():\n    return [1, 2]\n", &[]);
        check("def f():\n    return 'a\n", "def f():\n    return 'a'\n", &[]);
        check(FACT, &fact("    return n\n"), &[]);
    }

    #[test]
    fn statements_that_are_gone() {
        let gone = |line: usize| format!("line {line}: a statement is deleted and not replaced");
        check("a = 1\nb = f(a)\n", "a = 1\n", &[&gone(2)]);
        check("if a > 1:\n    b = 1\n", "b = 1\n", &[&gone(1)]);
        check("for x in xs:\n    f(x)\n    g(x)\n", "for x in xs:\n    f(x)\n", &[&gone(3)]);
        check("if a:\n    f()\n", "if a:\n    pass\n", &[&gone(2)]);
        check("f()\ng()\n", "try:\n    f()\nexcept E:\n    pass\n", &[&gone(2)]);
        check("a = 1\nassert a\nb = 2\n", "b = 2\n", &["line 1: 2 statements are deleted and not replaced"]);
        // The text did not parse.
        check("a = 1\nb = f(a\nc = 1\n", "a = 1\nc = 1\n", &[&gone(2)]);
        // Changed, moved, more.
        check("a = 1\nb = f(a)\n", "a = 1\nb = g( a )\n", &[]);
        check("a = 1\nb = f(a)\n", "a = 1\nb = f( a)\nc = 1\n", &[]);
        check("if a:\n    f()\n", "f()\nif a:\n    f()\n", &[]);
        check("f(a,\n  b)\n", "f(a, b)\n", &[]);
        check("'Says what.'\na = 1\n", "a = 1\n", &[]);
    }

    #[test]
    fn plain_repairs_do_not_smell() {
        check("def f(x:\n    return x\n", "def f(x):\n    return x\n", &[]);
        check("print 'x'\n", "print('x')\n", &[]);
        check("x = [1, 2\ny = 3\n", "x = [1, 2]\ny = 3\n", &[]);
        check("if x = 3\n  y()\n", "if x == 3:\n  y()\n", &[]);
        check("x = foo(\n", "x = foo(:\n", &[]);
    }
}
