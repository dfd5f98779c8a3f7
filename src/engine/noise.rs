//! The forward process: damages good code the way people do.
//!
//! Damage is done to lexemes and joined back to text, because a person breaks text. Most of the time
//! one to three things go wrong; the tail reaches an eighth of the lexemes, which is what lets the
//! reverse process mend several faults and generate code (`DiffusER`, arXiv 2210.16886).

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::habits::Habit;
use crate::lexeme::{Bracket, Hint, Kind, Zone};
use crate::state::{Event, State};

/// What goes wrong in one language and how often: `models/<language>/noise.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// How often each kind of damage is tried, relative to the others.
    pub weights: BTreeMap<Damage, f64>,
    /// Words that carry the structure: dropped, misspelt, capitalised.
    pub keywords: Vec<String>,
    /// Lexeme to what people write instead of it.
    #[serde(default)]
    pub confusions: BTreeMap<String, Vec<String>>,
    /// Marks that get lost, doubled or strewn in.
    pub marks: Vec<String>,
    /// Text that is pasted before a line.
    #[serde(default)]
    pub prompts: Vec<String>,
    /// Lexemes that turn up where nobody wants them.
    pub strays: Vec<String>,
    /// Calls whose brackets people leave out.
    #[serde(default)]
    pub bare_calls: Vec<String>,
    /// What a typed quote turns into in a word processor.
    #[serde(default)]
    pub smart_quotes: Vec<(String, String)>,
    /// What is put before names or inside them.
    #[serde(default)]
    pub sigils: Vec<String>,
    /// Types that are written before a parameter, as in other languages.
    #[serde(default)]
    pub types: Vec<String>,
    /// The word that opens a function, with its parameters in brackets after the name.
    #[serde(default)]
    pub function: String,
    /// Learned from real pairs.
    #[serde(skip)]
    pub habits: Vec<Habit>,
}

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    DropBracket,
    ExtraBracket,
    SwapBracket,
    MoveBracket,
    DropPair,
    DropQuote,
    SwapQuote,
    ExtraQuote,
    Unquote,
    NestQuote,
    SmartQuote,
    DropMark,
    DropMarks,
    ConfuseMark,
    ExtraMark,
    DropKeyword,
    ConfuseWord,
    Typo,
    Recase,
    SplitWord,
    JoinWords,
    IndentLine,
    IndentBlock,
    IndentHead,
    FlattenBlock,
    MixTabs,
    /// Blanks as web pages have them.
    OddBlanks,
    JoinLines,
    SplitLine,
    DropLine,
    Prompt,
    BareCall,
    DropSpan,
    Uncomment,
    Braces,
    NameIsKeyword,
    Sigil,
    Parameter,
    Increment,
    Unraw,
    Truncate,
    Stray,
    /// Half of `$A$1`.
    Reference,
    MoveQuote,
    /// Quotes around what is no text.
    Enquote,
    DropArgument,
    SwapArguments,
    /// Brackets around anything.
    Wrap,
    OtherName,
    OffByOne,
    DropOperand,
    /// A call without its function.
    Unwrap,
    /// `[…]` of a list or an index.
    Brackets,
    CommandCall,
    UnquoteList,
    /// What makes a program of a path, or keeps its arguments as they are.
    Uncall,
    /// A command line that another shell was to run.
    Unshell,
    TableAsJson,
    WrapCommand,
    DropSubexpression,
    Delete,
    Insert,
    Substitute,
    Swap,
    Double,
    DoubleLine,
    /// What a person did in a real pair.
    Habit,
}

/// Things damage borrows from: a state, its hints and the random numbers.
pub(super) struct Site<'s> {
    pub(super) state: &'s State,
    hints: Vec<Hint>,
    profile: &'s Profile,
    pub(super) rng: &'s mut ChaCha8Rng,
}

impl Profile {
    /// Draws how many things go wrong in a text of `n` lexemes.
    pub fn draw_count(n: usize, rng: &mut ChaCha8Rng) -> usize {
        let tail = (n / 8).clamp(1, 24);
        match rng.random_range(0..100) {
            0..58 => 1,
            58..80 => 2,
            80..90 => 3,
            90..96 => rng.random_range(2..=6).min(tail.max(3)),
            _ => rng.random_range(1..=tail),
        }
    }

    /// Makes a string of good code a raw one that holds a path, which breaks when it is not raw: too
    /// rare in real code to learn from.
    pub fn plant_path(&self, state: &State, rng: &mut ChaCha8Rng) -> Option<String> {
        let mut site = Site { state, hints: state.hints(), profile: self, rng };
        let at = site.pick(|s, i| {
            s.is_quote(i)
                && s.raw(i).len() == 1
                && i > 0
                && matches!(s.raw(i - 1), "(" | "=" | "," | "[" | ":")
        })?;
        let end = site.closing_quote(at)?;
        let mut path = site.choose(&["C:", "C:", "D:", "E:", "", "HKLM:", "..", "\\"]);
        path += "\\";
        path += &site.choose(&[
            "Users", "Users", "Users", "New", "Names", "unit", "users", "x64", "x86", "Uploads", "N",
        ]);
        for _ in 0..site.rng.random_range(0..4) {
            let word = site.pick(|s, i| s.kind(i) == Kind::Word)?;
            path = format!("{path}\\{}", state.raw(word));
        }
        path += &site.choose(&["", ".txt", ".csv", ".py", ".exe"]);
        let quote = state.raw(at);
        let (open, close) = (&state.lexemes[at].span, &state.lexemes[end].span);
        Some(format!("{}r{quote}{path}{quote}{}", &state.text[..open.start], &state.text[close.end..]))
    }

    /// Draws a kind of damage.
    pub fn draw_damage(&self, rng: &mut ChaCha8Rng) -> Option<Damage> {
        let total: f64 = self.weights.values().sum();
        let mut left = rng.random_range(0.0..total);
        let damage = self.weights.iter().find(|(_, weight)| {
            left -= **weight;
            left < 0.0
        })?;
        Some(*damage.0)
    }

    /// Damages `state` once. `None` when this kind of damage finds no place.
    pub fn damage(&self, damage: Damage, state: &State, rng: &mut ChaCha8Rng) -> Option<String> {
        let mut site = Site { state, hints: state.hints(), profile: self, rng };
        let events = site.events(damage)?;
        let text = state.apply(&events);
        (text != state.text).then_some(text)
    }
}

impl Site<'_> {
    #[expect(clippy::too_many_lines, reason = "a flat table")]
    fn events(&mut self, damage: Damage) -> Option<Vec<Event>> {
        match damage {
            Damage::DropBracket => {
                let closes = self.rng.random_bool(0.65);
                let at = self.pick(|s, i| {
                    s.is_code(i) && if closes { is_close(s.raw(i)) } else { is_open(s.raw(i)) }
                })?;
                // A bracket on a line of its own often goes with its line.
                let goes = self.is_line(at) && self.rng.random_bool(0.5);
                Some((at - usize::from(goes)..=at).map(|at| Event::Delete { at }).collect())
            }
            Damage::ExtraBracket => {
                let at = self.pick(|s, i| {
                    s.is_code(i) && (is_close(s.raw(i)) || is_open(s.raw(i)) || s.ends_line(i))
                })?;
                let text = if is_bracket(self.state.raw(at)) && self.rng.random_bool(0.7) {
                    self.state.raw(at).to_owned()
                } else {
                    self.choose(&[")", ")", ")", "]", "}", "(", "[", "{"])
                };
                if self.is_line(at) && self.rng.random_bool(0.5) {
                    let line = self.state.lexeme(at - 1).into_owned();
                    let at = if self.rng.random_bool(0.5) { at - 1 } else { at + 1 };
                    return Some([line, text].map(|text| Event::Insert { at, text }).into());
                }
                Some(vec![Event::Insert { at: at + usize::from(self.rng.random_bool(0.5)), text }])
            }
            Damage::SwapBracket => {
                let at = self.pick(|s, i| s.is_code(i) && is_bracket(s.raw(i)))?;
                let others: &[&str] =
                    if is_open(self.state.raw(at)) { &["(", "[", "{"] } else { &[")", "]", "}"] };
                let text = self.choose(others);
                let mut events = vec![Event::Substitute { at, text }];
                if self.rng.random_bool(0.15)
                    && let Some(partner) = self.partner(at)
                {
                    let other = if is_open(self.state.raw(partner)) { "(" } else { ")" };
                    events.push(Event::Substitute { at: partner, text: other.to_owned() });
                }
                Some(events)
            }
            Damage::MoveBracket => {
                let at = self.pick(|s, i| s.is_code(i) && is_close(s.raw(i)))?;
                let line = self.line_of(at);
                let to = self.rng.random_range(line.start + 1..=line.end);
                Some(vec![
                    Event::Delete { at },
                    Event::Insert { at: to, text: self.state.raw(at).to_owned() },
                ])
            }
            Damage::DropPair => {
                let at = self.pick(|s, i| s.is_code(i) && is_open(s.raw(i)))?;
                let partner = self.partner(at)?;
                let mut events = vec![Event::Delete { at }, Event::Delete { at: partner }];
                if partner == at + 1 && self.rng.random_bool(0.2) {
                    events.truncate(1);
                }
                Some(events)
            }
            Damage::DropQuote => {
                let at = self.pick(Self::is_quote)?;
                Some(vec![Event::Delete { at }])
            }
            Damage::SwapQuote => {
                let at = self.pick(Self::is_quote)?;
                let text = match self.state.raw(at) {
                    "'" => self.choose(&["\"", "\"", "`", "'''"]),
                    "\"" => self.choose(&["'", "'", "`", "\"\"\""]),
                    "\"\"\"" => self.choose(&["'''", "\"", "\""]),
                    _ => self.choose(&["\"\"\"", "'", "'"]),
                };
                Some(vec![Event::Substitute { at, text }])
            }
            Damage::ExtraQuote => {
                let near = self.pick(|s, i| s.is_quote(i) || s.ends_line(i))?;
                let text = if self.is_quote(near) {
                    self.state.raw(near).to_owned()
                } else {
                    self.choose(&["'", "\""])
                };
                Some(vec![Event::Insert { at: near + usize::from(self.rng.random_bool(0.6)), text }])
            }
            Damage::Unquote => {
                let long = self.rng.random_bool(0.25);
                let at = self.pick(|s, i| s.is_quote(i) && (!long || s.raw(i).len() == 3))?;
                let end = self.closing_quote(at)?;
                Some(vec![Event::Delete { at }, Event::Delete { at: end }])
            }
            Damage::NestQuote => self.nest_quote(),
            Damage::SmartQuote => {
                let at = self.pick(|s, i| s.is_quote(i) && s.raw(i).len() == 1)?;
                let end = self.closing_quote(at)?;
                let (open, close) = self.profile.smart_quotes.choose(self.rng)?.clone();
                let mut events =
                    vec![Event::Substitute { at, text: open }, Event::Substitute { at: end, text: close }];
                if self.rng.random_bool(0.15) {
                    events.remove(usize::from(self.rng.random_bool(0.5)));
                }
                Some(events)
            }
            Damage::DropMark => {
                let at = self.pick_evenly(|s, i| s.is_code(i) && s.is_profile_mark(i))?;
                Some(vec![Event::Delete { at }])
            }
            Damage::DropMarks => self.drop_marks(),
            Damage::ConfuseMark => {
                let at = self.pick_evenly(|s, i| {
                    s.is_code(i) && s.kind(i) == Kind::Mark && s.profile.confusions.contains_key(s.raw(i))
                })?;
                self.confuse(at)
            }
            Damage::ExtraMark => {
                if self.rng.random_bool(0.1) {
                    // A list that lost its last element.
                    let at = self.pick(|s, i| s.is_code(i) && matches!(s.raw(i), ")" | "]"))?;
                    let at = if self.kind(at - 1) == Kind::Newline { at - 1 } else { at };
                    return Some(vec![Event::Insert { at, text: ",".to_owned() }]);
                }
                let text = self.profile.marks.choose(self.rng)?.clone();
                let at = if self.rng.random_bool(0.4) {
                    let end = self.pick(Self::ends_line)?;
                    end + usize::from(self.rng.random_bool(0.75))
                } else if self.rng.random_ratio(2, 5) {
                    let same = self.pick(|s, i| s.is_code(i) && s.is_profile_mark(i))?;
                    return Some(vec![Event::Insert { at: same, text: self.state.raw(same).to_owned() }]);
                } else {
                    self.pick(Self::is_code)?
                };
                Some(vec![Event::Insert { at, text }])
            }
            Damage::DropKeyword => {
                let at = self.pick(|s, i| s.is_code(i) && s.is_keyword(i))?;
                Some(vec![Event::Delete { at }])
            }
            Damage::ConfuseWord => {
                let at = self.pick_evenly(|s, i| {
                    s.is_code(i) && s.kind(i) == Kind::Word && s.profile.confusions.contains_key(s.raw(i))
                })?;
                self.confuse(at)
            }
            Damage::Typo => {
                let keyword = self.rng.random_bool(0.85);
                let at = self
                    .pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word && (s.is_keyword(i) || !keyword))?;
                let text = typo(self.state.raw(at), self.rng)?;
                Some(vec![Event::Substitute { at, text }])
            }
            Damage::Recase => {
                let at = self.pick(|s, i| s.is_code(i) && s.is_keyword(i))?;
                let raw = self.state.raw(at);
                let mut chars = raw.chars();
                let first = chars.next()?;
                let text = if self.rng.random_bool(0.15) {
                    raw.to_uppercase()
                } else if first.is_uppercase() {
                    raw.to_lowercase()
                } else {
                    first.to_uppercase().chain(chars).collect()
                };
                Some(vec![Event::Substitute { at, text }])
            }
            Damage::SplitWord => self.split_word(),
            Damage::JoinWords => {
                let at = self.pick(|s, i| {
                    i > 1 && s.is_code(i) && s.kind(i) == Kind::Word && s.kind(i - 1) == Kind::Word
                })?;
                let text = format!("{}{}", self.state.raw(at - 1), self.state.raw(at));
                Some(vec![Event::Substitute { at: at - 1, text }, Event::Delete { at }])
            }
            Damage::IndentLine | Damage::IndentBlock => self.indent(damage == Damage::IndentBlock),
            Damage::IndentHead => self.indent_head(),
            Damage::FlattenBlock => self.flatten_block(),
            Damage::MixTabs => self.mix_tabs(),
            Damage::OddBlanks => self.odd_blanks(),
            Damage::Parameter => self.parameter(),
            Damage::Increment => {
                let at = self.pick(|s, i| {
                    s.is_code(i)
                        && matches!(s.raw(i), "+=" | "-=")
                        && s.state
                            .lexemes
                            .get(i + 1)
                            .is_some_and(|_| s.raw(i + 1) == "1" && s.ends_line(i + 1))
                })?;
                let text = if self.raw(at) == "+=" { "++" } else { "--" };
                if self.rng.random_bool(0.2) {
                    let name = at - 1;
                    return Some(vec![
                        Event::Insert { at: name, text: text.to_owned() },
                        Event::Delete { at },
                        Event::Delete { at: at + 1 },
                    ]);
                }
                Some(vec![Event::Substitute { at, text: text.to_owned() }, Event::Delete { at: at + 1 }])
            }
            Damage::Unraw => {
                let at = self.pick(|s, i| {
                    s.is_code(i)
                        && s.raw(i).eq_ignore_ascii_case("r")
                        && s.state.lexemes.get(i + 1).is_some_and(|next| next.kind == Kind::Quote)
                })?;
                Some(vec![Event::Delete { at }])
            }
            Damage::JoinLines => {
                let at =
                    self.pick(|s, i| i > 0 && s.kind(i) == Kind::Newline && s.hints[i].zone == Zone::Code)?;
                Some(vec![Event::Delete { at }])
            }
            Damage::SplitLine => {
                let at = self
                    .pick(|s, i| i > 1 && s.hints[i].zone != Zone::Comment && s.kind(i) != Kind::Newline)?;
                let indent = self.indent_of(at);
                let deeper = if self.rng.random_bool(0.4) { "    " } else { "" };
                let text =
                    if self.rng.random_bool(0.3) { "\n".to_owned() } else { format!("{indent}{deeper}") };
                Some(vec![Event::Insert { at, text }])
            }
            Damage::DropLine => {
                let at = self.pick(|s, i| s.kind(i) == Kind::Newline)?;
                let line = self.line_of((at + 1).min(self.state.len() - 1));
                if line.end - line.start > 14 {
                    return None;
                }
                Some((line.start.max(1)..line.end).map(|at| Event::Delete { at }).collect())
            }
            Damage::Prompt => self.prompt(),
            Damage::BareCall => self.bare_call(),
            Damage::DropSpan => {
                let at = self.pick(|s, i| i > 0 && s.is_code(i))?;
                let end = (at + self.rng.random_range(2..=4)).min(self.line_of(at).end);
                Some((at..end).map(|at| Event::Delete { at }).collect())
            }
            Damage::Uncomment => {
                let at = self.pick(Self::opens_comment)?;
                let everywhere = self.rng.random_bool(0.2);
                let text = self.choose(&["", "", "", "", "", "", "//", "//", "//", "--", "-->", "/*"]);
                let places =
                    (0..self.state.len()).filter(|i| *i == at || everywhere && self.opens_comment(*i));
                Some(places.map(|at| replace(at, &text)).take(8).collect())
            }
            Damage::Braces => self.braces(),
            Damage::NameIsKeyword => {
                let at = self.pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word && !s.is_keyword(i))?;
                let text = self.profile.keywords.choose(self.rng)?.clone();
                let name = self.state.raw(at).to_owned();
                let everywhere = self.rng.random_bool(0.5);
                let places =
                    (1..self.state.len()).filter(|i| *i == at || (everywhere && self.state.raw(*i) == name));
                Some(places.map(|at| Event::Substitute { at, text: text.clone() }).take(6).collect())
            }
            Damage::Sigil => {
                let at = self.pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word && !s.is_keyword(i))?;
                let sigils = self.state.style().sigils;
                let bare = self.raw(at).trim_start_matches(|c| sigils.contains(c)).to_owned();
                if bare.len() < self.raw(at).len() && self.rng.random_bool(0.6) {
                    return Some(vec![Event::Substitute { at, text: bare }]);
                }
                let sigil = self.profile.sigils.choose(self.rng)?.clone();
                if self.rng.random_bool(0.5) {
                    return Some(vec![Event::Insert { at, text: sigil }]);
                }
                let raw = self.state.raw(at);
                let text = match raw.find('_').filter(|cut| *cut > 0) {
                    Some(cut) => {
                        format!("{}{}{}", &raw[..cut], self.choose(&["-", " ", ".", "-"]), &raw[cut + 1..])
                    }
                    None if self.rng.random_bool(0.5) => format!("{}{raw}", self.rng.random_range(1..9)),
                    None => format!("{raw}{sigil}"),
                };
                Some(vec![Event::Substitute { at, text }])
            }
            Damage::Truncate => {
                let n = self.state.len();
                let cut = n - self.rng.random_range(1..=(n / 3).clamp(1, 6));
                Some((cut.max(1)..n).map(|at| Event::Delete { at }).collect())
            }
            Damage::Stray => {
                let text = self.profile.strays.choose(self.rng)?.clone();
                let at = self.pick(|s, i| i > 0 && s.is_code(i))?;
                Some(vec![Event::Insert { at, text }])
            }
            Damage::Reference => self.reference(),
            Damage::MoveQuote => {
                let at = self.pick(Self::is_quote)?;
                let to = if self.rng.random_bool(0.5) { at + 2 } else { at.checked_sub(1)? };
                let text = self.raw(at).to_owned();
                (1..=self.state.len())
                    .contains(&to)
                    .then(|| vec![Event::Delete { at }, Event::Insert { at: to, text }])
            }
            Damage::Enquote => {
                let at = self.pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word)?;
                let end = (at + self.rng.random_range(1..=5)).min(self.line_of(at).end);
                let quote = || "\"".to_owned();
                Some(vec![Event::Insert { at, text: quote() }, Event::Insert { at: end, text: quote() }])
            }
            Damage::DropArgument => {
                let open = self.pick(|s, i| s.is_code(i) && is_open(s.raw(i)))?;
                let arguments = self.arguments(open)?;
                let nth = self.rng.random_range(0..arguments.len());
                let mut span = arguments[nth].clone();
                // The comma goes with it.
                if nth > 0 {
                    span.start -= 1;
                } else if arguments.len() > 1 {
                    span.end += 1;
                }
                (span.len() <= 8 && !span.is_empty()).then(|| span.map(|at| Event::Delete { at }).collect())
            }
            Damage::SwapArguments => {
                let open = self.pick(|s, i| s.is_code(i) && is_open(s.raw(i)))?;
                let arguments = self.arguments(open)?;
                let nth = self.rng.random_range(0..arguments.len() - 1);
                let (left, right) = (arguments[nth].clone(), arguments[nth + 1].clone());
                if left.len() + right.len() > 10 {
                    return None;
                }
                let moved = right.clone().chain([left.end]);
                let words = moved.clone().map(|at| self.state.lexeme(at).into_owned());
                let mut events: Vec<Event> =
                    words.map(|text| Event::Insert { at: left.start, text }).collect();
                events.extend(moved.map(|at| Event::Delete { at }));
                Some(events)
            }
            Damage::Wrap => {
                let at = self.pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word)?;
                let end = self.rng.random_range(at + 1..=self.line_of(at).end);
                Some(vec![
                    Event::Insert { at, text: "(".to_owned() },
                    Event::Insert { at: end, text: ")".to_owned() },
                ])
            }
            Damage::OtherName => self.other_name(),
            Damage::OffByOne => self.off_by_one(),
            Damage::DropOperand => self.drop_operand(),
            Damage::Unwrap => self.unwrap(),
            Damage::Brackets => self.brackets(),
            Damage::CommandCall => self.command_call(),
            Damage::UnquoteList => self.unquote_list(),
            Damage::Uncall => self.uncall(),
            Damage::Unshell => self.unshell(),
            Damage::TableAsJson => self.table_as_json(),
            Damage::WrapCommand => self.wrap_command(),
            Damage::DropSubexpression => self.drop_subexpression(),
            Damage::Delete => Some(vec![Event::Delete { at: self.anywhere()? }]),
            Damage::Insert => {
                let text = self.some_lexeme()?;
                Some(vec![Event::Insert { at: self.anywhere()?, text }])
            }
            Damage::Substitute => {
                let text = self.some_lexeme()?;
                Some(vec![Event::Substitute { at: self.anywhere()?, text }])
            }
            Damage::Habit => (0..HABIT_TRIES).find_map(|_| {
                let habit = self.profile.habits.choose(self.rng)?;
                habit.apply(self.state, &self.hints, &self.profile.keywords, self.rng)
            }),
            Damage::Swap => {
                let at = self.anywhere().filter(|at| at + 1 < self.state.len())?;
                let (here, next) =
                    (self.state.lexeme(at).into_owned(), self.state.lexeme(at + 1).into_owned());
                Some(vec![Event::Substitute { at, text: next }, Event::Substitute { at: at + 1, text: here }])
            }
            Damage::DoubleLine => {
                let at = self.pick(|s, i| s.kind(i) == Kind::Newline && i + 1 < s.state.len())?;
                let line = self.line_of(at + 1);
                let copy = line.clone().map(|i| self.state.lexeme(i).into_owned());
                let copy = if line.start == 0 {
                    vec!["\n".to_owned()].into_iter().chain(copy.skip(1)).collect::<Vec<_>>()
                } else {
                    copy.collect()
                };
                (3..=14)
                    .contains(&line.len())
                    .then(|| copy.into_iter().map(|text| Event::Insert { at: line.end, text }).collect())
            }
            Damage::Double => {
                let at = self.anywhere()?;
                let end = (at + if self.rng.random_bool(0.75) { 1 } else { self.rng.random_range(2..=4) })
                    .min(self.state.len());
                Some(
                    (at..end)
                        .map(|i| Event::Insert { at: end, text: self.state.lexeme(i).into_owned() })
                        .collect(),
                )
            }
        }
    }

    pub(super) fn raw(&self, idx: usize) -> &str {
        self.state.raw(idx)
    }

    pub(super) fn kind(&self, idx: usize) -> Kind {
        self.state.lexemes[idx].kind
    }

    pub(super) fn is_code(&self, idx: usize) -> bool {
        idx > 0 && self.hints[idx].zone == Zone::Code && self.kind(idx) != Kind::Newline
    }

    pub(super) fn is_quote(&self, idx: usize) -> bool {
        self.kind(idx) == Kind::Quote && self.hints[idx].zone != Zone::Comment
    }

    pub(super) fn is_keyword(&self, idx: usize) -> bool {
        self.kind(idx) == Kind::Word && self.profile.keywords.iter().any(|keyword| keyword == self.raw(idx))
    }

    fn opens_comment(&self, idx: usize) -> bool {
        let opens_block = self.state.style().block_comment.is_some_and(|(open, _)| self.raw(idx) == open);
        self.hints[idx].zone == Zone::Comment && (self.raw(idx).starts_with('#') || opens_block)
    }

    /// The blanks before the line that the line end `idx` opens.
    fn indent_text(&self, idx: usize) -> String {
        self.state.lexeme(idx).trim_start_matches('\n').to_owned()
    }

    fn is_profile_mark(&self, idx: usize) -> bool {
        self.profile.marks.iter().any(|mark| mark == self.raw(idx))
    }

    /// The last lexeme with text on its line.
    fn ends_line(&self, idx: usize) -> bool {
        idx > 0
            && self.kind(idx) != Kind::Newline
            && self.hints[idx].zone != Zone::Comment
            && self.state.lexemes.get(idx + 1).is_none_or(|next| next.kind == Kind::Newline)
    }

    /// A bracket with a line of its own.
    fn is_line(&self, idx: usize) -> bool {
        is_bracket(self.raw(idx)) && idx > 1 && self.kind(idx - 1) == Kind::Newline && self.ends_line(idx)
    }

    pub(super) fn pick(&mut self, fits: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        let places: Vec<usize> = (0..self.state.len()).filter(|idx| fits(self, *idx)).collect();
        places.choose(self.rng).copied()
    }

    /// Half of the time a rare lexeme is as likely as a common one.
    fn pick_evenly(&mut self, fits: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        let any = self.pick(&fits)?;
        if self.rng.random_bool(0.5) {
            return Some(any);
        }
        let places = (0..self.state.len()).filter(|idx| fits(self, *idx));
        let mut texts: Vec<String> = places.map(|idx| self.raw(idx).to_owned()).collect();
        texts.sort_unstable();
        texts.dedup();
        let text = texts.choose(self.rng)?.clone();
        self.pick(|s, i| s.raw(i) == text && fits(s, i))
    }

    /// Any lexeme but the first; code is likelier than strings and comments.
    fn anywhere(&mut self) -> Option<usize> {
        let code = self.rng.random_bool(0.85);
        self.pick(|s, i| i > 0 && (!code || s.hints[i].zone == Zone::Code))
    }

    pub(super) fn choose(&mut self, options: &[&str]) -> String {
        (*options.choose(self.rng).expect("options are not empty")).to_owned()
    }

    fn some_lexeme(&mut self) -> Option<String> {
        match self.rng.random_range(0..10) {
            0..4 => Some(self.profile.marks.choose(self.rng)?.clone()),
            4..6 => Some(self.profile.keywords.choose(self.rng)?.clone()),
            _ => {
                let idx = self.rng.random_range(1..self.state.len().max(2));
                (idx < self.state.len()).then(|| self.state.lexeme(idx).into_owned())
            }
        }
    }

    /// One blank, those of a line or those of all lines.
    fn odd_blanks(&mut self) -> Option<Vec<Event>> {
        let text = self.choose(&["\u{a0}", "\u{a0}", "\u{a0}", "\u{200b}", "\u{3000}"]);
        let is_blank = |s: &Self, i: usize| {
            i > 0 && s.is_code(i) && s.state.lexemes[i].start < s.state.lexemes[i].span.start
        };
        let one = self.pick(|s, i| is_blank(s, i) || s.opens_indented(i))?;
        let places = match self.rng.random_range(0..10) {
            0..4 => one..one + 1,
            4..7 => self.line_of(one),
            _ => 0..self.state.len(),
        };
        let mut events = Vec::new();
        for at in places {
            if self.opens_indented(at) {
                events.push(Event::Substitute { at, text: "\n".to_owned() });
                events.push(Event::Insert { at: at + 1, text: text.clone() });
            } else if at == one || is_blank(self, at) && self.rng.random_bool(0.7) {
                events.push(Event::Insert { at, text: text.clone() });
            }
        }
        Some(events)
    }

    /// A line end before a line with code that is indented.
    fn opens_indented(&self, idx: usize) -> bool {
        idx > 0 && self.kind(idx) == Kind::Newline && self.state.lexeme(idx).len() > 1
    }

    /// From the line end that opens the line of `idx` to the one that closes it.
    fn line_of(&self, idx: usize) -> std::ops::Range<usize> {
        let start = (0..=idx).rev().find(|i| self.kind(*i) == Kind::Newline).unwrap_or(0);
        let end = (start + 1..self.state.len())
            .find(|i| self.kind(*i) == Kind::Newline)
            .unwrap_or(self.state.len());
        start..end
    }

    fn indent_of(&self, idx: usize) -> String {
        format!("\n{}", self.state.lexeme(self.line_of(idx).start).trim_start_matches('\n'))
    }

    pub(super) fn partner(&self, at: usize) -> Option<usize> {
        if self.hints[at].bracket != Bracket::Matched {
            return None;
        }
        let opens = is_open(self.raw(at));
        let mut depth = 0usize;
        let mut idx = at;
        loop {
            if self.is_code(idx) && is_bracket(self.raw(idx)) {
                if is_open(self.raw(idx)) == opens {
                    depth += 1;
                } else {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(idx);
                    }
                }
            }
            idx = if opens { idx + 1 } else { idx.checked_sub(1)? };
            if idx >= self.state.len() {
                return None;
            }
        }
    }

    /// Code between two brackets that no bracket inside them encloses.
    pub(super) fn directly_inside(&self, open: usize, close: usize) -> Vec<usize> {
        let mut depth = 0;
        let mut places = Vec::new();
        for at in (open + 1..close).filter(|at| self.is_code(*at)) {
            if is_bracket(self.raw(at)) {
                depth += if is_open(self.raw(at)) { 1 } else { -1 };
            } else if depth == 0 {
                places.push(at);
            }
        }
        places
    }

    pub(super) fn commas_inside(&self, open: usize, close: usize) -> Vec<usize> {
        self.directly_inside(open, close).into_iter().filter(|at| self.raw(*at) == ",").collect()
    }

    /// The marks like the one `at` in its line.
    fn separators_of_line(&self, at: usize) -> Vec<usize> {
        let is_end = |i: &usize| self.kind(*i) == Kind::Newline;
        let start = (0..at).rev().find(is_end).map_or(0, |end| end + 1);
        let end = (at..self.state.len()).find(is_end).unwrap_or(self.state.len());
        (start..end).filter(|i| self.is_code(*i) && self.raw(*i) == self.raw(at)).collect()
    }

    pub(super) fn closing_quote(&self, at: usize) -> Option<usize> {
        // A quote mark opens a string when what stands before it is not inside one.
        let inside = at > 0 && self.hints[at - 1].zone == Zone::Text && !self.is_quote(at - 1);
        if inside {
            return None;
        }
        (at + 1..self.state.len())
            .take(60)
            .find(|i| self.kind(*i) == Kind::Quote && self.raw(*i) == self.raw(at))
    }

    fn confuse(&mut self, at: usize) -> Option<Vec<Event>> {
        let text = self.profile.confusions.get(self.state.raw(at))?.choose(self.rng)?.clone();
        Some(vec![replace(at, &text)])
    }

    fn nest_quote(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_quote(i) && s.raw(i).len() == 1)?;
        let end = self.closing_quote(at)?;
        let quote = self.state.raw(at).to_owned();
        let inner: Vec<usize> = (at + 1..end).collect();
        let escaped = format!("{}{quote}", self.state.style().escape.unwrap_or('\\'));
        let other = if quote == "'" { "\"" } else { "'" };
        let marks: Vec<usize> =
            inner.iter().copied().filter(|i| self.raw(*i) == escaped || self.raw(*i) == other).collect();
        if !marks.is_empty() && marks.iter().all(|at| self.raw(*at) == other) && self.rng.random_bool(0.4) {
            // Who always quotes alike.
            return Some([at, end].map(|at| Event::Substitute { at, text: other.to_owned() }).into());
        }
        if !marks.is_empty() {
            // Bare, or escaped as in most other languages.
            let text = if self.rng.random_bool(0.2) { format!("\\{quote}") } else { quote };
            return Some(marks.into_iter().map(|at| Event::Substitute { at, text: text.clone() }).collect());
        }
        let words: Vec<usize> = inner.into_iter().filter(|i| self.kind(*i) == Kind::Word).collect();
        let word = *words.choose(self.rng)?;
        Some(vec![
            Event::Insert { at: word, text: quote.clone() },
            Event::Insert { at: word + 1, text: quote },
        ])
    }

    /// All marks of one kind inside one pair of brackets, or between the statements of one line.
    fn drop_marks(&mut self) -> Option<Vec<Event>> {
        let separator =
            self.pick(|s, i| s.is_code(i) && s.raw(i) == ";").filter(|_| self.rng.random_bool(0.5));
        let places = if let Some(at) = separator {
            self.separators_of_line(at)
        } else {
            let open = self.pick(|s, i| s.is_code(i) && is_open(s.raw(i)))?;
            let close = self.partner(open)?;
            self.commas_inside(open, close)
        };
        if places.is_empty() {
            return None;
        }
        if separator.is_none() && self.rng.random_bool(0.25) {
            let wrong = self.choose(&[".", ";", "+", "and", "|", "."]);
            return Some(places.into_iter().map(|at| replace(at, &wrong)).collect());
        }
        let keep = if self.rng.random_bool(0.6) { 0.0 } else { 0.5 };
        Some(
            places
                .into_iter()
                .filter(|_| !self.rng.random_bool(keep))
                .map(|at| Event::Delete { at })
                .collect(),
        )
    }

    /// A parameter as other languages write it, or with its parts in the wrong order.
    fn parameter(&mut self) -> Option<Vec<Event>> {
        let head = self.pick(|s, i| s.is_code(i) && s.raw(i) == s.profile.function)?;
        let open = (head..self.state.len()).take(3).find(|i| self.raw(*i) == "(")?;
        let close = self.partner(open)?;
        let mut starts = self.directly_inside(open, close);
        starts.retain(|at| {
            let first = *at == open + 1 || self.raw(at - 1) == ",";
            first && self.kind(*at) == Kind::Word && self.raw(*at) != "self"
        });
        let nth = self.rng.random_range(0..starts.len().max(1));
        let at = *starts.get(nth)?;
        let next = starts.get(nth + 1).map_or(close, |next| next - 1);
        let colon = (at + 1 < next && self.raw(at + 1) == ":").then_some(at + 1);
        let value = (at + 1..next).find(|i| self.raw(*i) == "=" && self.is_code(*i));
        let all = self.rng.random_bool(0.4);
        match (colon, value) {
            // `name: type = value` to `name = value: type`
            (Some(colon), Some(value)) => {
                let mut events: Vec<Event> = (colon..value).map(|at| Event::Delete { at }).collect();
                let words = (colon..value).map(|i| self.state.lexeme(i).into_owned());
                events.extend(words.map(|text| Event::Insert { at: next, text }));
                Some(events)
            }
            // `name: type` to `type name`, to `name: type = value` before one without a value, or to `name = type:`
            (Some(colon), None) => match self.rng.random_range(0..4) {
                0 if next < close => Some(vec![
                    Event::Insert { at: next, text: "=".to_owned() },
                    Event::Insert { at: next, text: self.choose(&["0", "None", "1", "[]", "\"\""]) },
                ]),
                1 => Some(vec![
                    Event::Insert { at: next, text: ":".to_owned() },
                    Event::Insert { at: next, text: self.profile.types.choose(self.rng)?.clone() },
                ]),
                _ => {
                    let mut events: Vec<Event> = (colon..next).map(|at| Event::Delete { at }).collect();
                    let words = (colon + 1..next).map(|i| self.state.lexeme(i).into_owned());
                    events.splice(0..0, words.map(|text| Event::Insert { at, text }));
                    Some(events)
                }
            },
            (None, _) if self.rng.random_bool(0.2) && value.is_none() && next < close => Some(vec![
                Event::Insert { at: next, text: "=".to_owned() },
                Event::Insert { at: next, text: self.choose(&["0", "None", "1", "True", "10"]) },
            ]),
            (None, _) => {
                let places = starts.into_iter().filter(|start| *start == at || all);
                let mut events = Vec::new();
                for at in places {
                    let text = self.profile.types.choose(self.rng)?.clone();
                    events.push(Event::Insert { at, text });
                }
                Some(events)
            }
        }
    }

    /// What stands between the commas of the brackets that open at `open`; two at least.
    fn arguments(&self, open: usize) -> Option<Vec<std::ops::Range<usize>>> {
        let close = self.partner(open)?;
        let commas = self.commas_inside(open, close);
        let starts = std::iter::once(open).chain(commas.iter().copied()).map(|at| at + 1);
        let ends = commas.iter().copied().chain([close]);
        (!commas.is_empty()).then(|| starts.zip(ends).map(|(start, end)| start..end).collect())
    }

    /// Damages a column, a row, or what joins them to the rest of a reference.
    fn reference(&mut self) -> Option<Vec<Event>> {
        let is_row = |s: &Self, i: usize| i < s.state.len() && s.is_code(i) && s.kind(i) == Kind::Number;
        let column = self.pick(|s, i| {
            s.is_code(i)
                && s.kind(i) == Kind::Word
                && is_row(s, i + 1)
                && s.state.lexemes[i + 1].start == s.state.lexemes[i].span.end
        })?;
        let row = column + 1;
        let number = self.raw(row).trim_start_matches('$').to_owned();
        let change = |at: usize, text: String| Some(vec![Event::Substitute { at, text }]);
        let insert = |at: usize, text: &str| Some(vec![Event::Insert { at, text: text.to_owned() }]);
        match self.rng.random_range(0..20) {
            0..7 => Some(vec![Event::Delete { at: column }]),
            7..10 => Some(vec![Event::Delete { at: row }]),
            10..12 => change(column, "$".to_owned()),
            12..14 => Some(vec![
                Event::Insert { at: row, text: "&".to_owned() },
                Event::Substitute { at: row, text: number },
            ]),
            14 => insert(column, "$"),
            15 => insert(column, "!"),
            16 => insert(column, ":"),
            17 => insert(row, ":"),
            18 => insert(row + 1, ":"),
            _ => {
                let at = self
                    .pick(|s, i| is_row(s, i) && s.kind(i - 1) != Kind::Word && !s.raw(i).starts_with('$'))?;
                change(at, format!("${}", self.raw(at)))
            }
        }
    }

    fn split_word(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_code(i) && s.kind(i) == Kind::Word && s.raw(i).chars().count() > 3)?;
        let raw = self.state.raw(at);
        let humps: Vec<usize> = raw
            .char_indices()
            .zip(raw.chars().skip(1))
            .filter(|((_, a), b)| *a == '_' || (a.is_lowercase() && b.is_uppercase()))
            .map(|((at, a), _)| at + a.len_utf8())
            .collect();
        let cut = match humps.choose(self.rng) {
            Some(cut) => *cut,
            None => {
                raw.char_indices().map(|(at, _)| at).skip(1).collect::<Vec<_>>().choose(self.rng).copied()?
            }
        };
        let (head, tail) = raw.split_at(cut);
        let head = if self.rng.random_bool(0.6) { head.trim_end_matches('_') } else { head };
        if head.is_empty() {
            return None;
        }
        Some(vec![Event::Substitute { at, text: format!("{head} {tail}") }])
    }

    fn indent(&mut self, block: bool) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| {
            s.kind(i) == Kind::Newline && s.state.lexemes.get(i + 1).is_some_and(|l| l.kind != Kind::Newline)
        })?;
        let old = self.state.lexeme(at).trim_start_matches('\n').to_owned();
        let new = match self.rng.random_range(0..10) {
            0 => format!("{old} "),
            1 => old.strip_suffix(' ').unwrap_or(" ").to_owned(),
            2..5 => format!("{old}    "),
            5..7 => old.strip_suffix("    ").map(str::to_owned)?,
            7 => old.replace("    ", "\t"),
            8 => format!("{old}  "),
            _ => String::new(),
        };
        let mut events = vec![Event::Substitute { at, text: format!("\n{new}") }];
        if block {
            let to = self.rng.random_range(2..=6);
            let later: Vec<usize> = (at + 1..self.state.len())
                .filter(|i| {
                    self.kind(*i) == Kind::Newline
                        && self.state.lexemes.get(i + 1).is_some_and(|l| l.kind != Kind::Newline)
                })
                .take(to)
                .collect();
            for i in later {
                let here = self.state.lexeme(i).trim_start_matches('\n').to_owned();
                let Some(rest) = here.strip_prefix(&old) else { break };
                events.push(Event::Substitute { at: i, text: format!("\n{new}{rest}") });
            }
        }
        Some(events)
    }

    /// Shifts the line that opens a block, and not the block.
    fn indent_head(&mut self) -> Option<Vec<Event>> {
        let colon = self.pick(|s, i| s.is_code(i) && s.raw(i) == ":" && s.ends_line(i))?;
        let at = self.line_of(colon).start;
        let old = self.indent_text(at);
        let new = match self.rng.random_range(0..8) {
            0..2 => format!("{old} "),
            2..4 => format!("{old}    "),
            4 => format!("{old}  "),
            5 => old.strip_suffix(' ')?.to_owned(),
            _ => old.strip_suffix("    ")?.to_owned(),
        };
        Some(vec![Event::Substitute { at, text: format!("\n{new}") }])
    }

    /// Takes the indentation from a whole block.
    fn flatten_block(&mut self) -> Option<Vec<Event>> {
        let colon = self.pick(|s, i| s.is_code(i) && s.raw(i) == ":" && s.ends_line(i))?;
        let line = self.line_of(colon);
        let (head, mut at) = (self.indent_text(line.start), line.end);
        let body = (at < self.state.len()).then(|| self.indent_text(at))?;
        let deeper = body.strip_prefix(&head).filter(|more| !more.is_empty())?.to_owned();
        let adds = self.rng.random_bool(0.25);
        let mut events = Vec::new();
        while at < self.state.len() {
            let next = self.line_of(at).end;
            let here = self.indent_text(at);
            if next > at + 1 {
                let Some(rest) = here.strip_prefix(&body) else { break };
                let text = if adds { format!("\n{body}{deeper}{rest}") } else { format!("\n{head}{rest}") };
                events.push(Event::Substitute { at, text });
            }
            at = next;
        }
        (events.len() <= 16).then_some(events)
    }

    /// Tabs where the lines around have blanks, or the other way round.
    fn mix_tabs(&mut self) -> Option<Vec<Event>> {
        let width = if self.rng.random_bool(0.7) { 4 } else { 8 };
        let blanks = " ".repeat(width);
        let at = self.pick(|s, i| {
            s.kind(i) == Kind::Newline && {
                let indent = s.indent_text(i);
                indent.starts_with(&blanks) || indent.starts_with('\t')
            }
        })?;
        let rest = self.rng.random_bool(0.2);
        let n_lines = if rest { 60 } else { self.rng.random_range(1..=5) };
        let swap = |text: &str| {
            let tail = text.trim_start_matches(' ');
            if text.starts_with('\t') {
                text.replace('\t', &blanks)
            } else {
                let n = text.len() - tail.len();
                format!("{}{}{tail}", "\t".repeat(n / width), " ".repeat(n % width))
            }
        };
        let lines = (at..self.state.len()).filter(|i| {
            self.kind(*i) == Kind::Newline
                && self.state.lexemes.get(i + 1).is_some_and(|next| next.kind != Kind::Newline)
        });
        Some(
            lines
                .take(n_lines)
                .map(|at| Event::Substitute { at, text: format!("\n{}", swap(&self.indent_text(at))) })
                .collect(),
        )
    }

    fn prompt(&mut self) -> Option<Vec<Event>> {
        let prompt = self.profile.prompts.choose(self.rng)?.clone();
        let all = self.rng.random_bool(0.35);
        // Prompts inside a docstring belong there.
        let opens_line = |s: &Self, i: usize| {
            s.kind(i) == Kind::Newline
                && s.hints[i].zone != Zone::Text
                && s.state.lexemes.get(i + 1).is_some_and(|l| l.kind != Kind::Newline)
        };
        let at = self.pick(opens_line)?;
        let lines = (0..self.state.len()).filter(|i| opens_line(self, *i) && (*i == at || all));
        Some(lines.map(|i| Event::Insert { at: i + 1, text: prompt.clone() }).take(8).collect())
    }

    fn bare_call(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| {
            s.is_code(i)
                && s.profile.bare_calls.iter().any(|call| call == s.raw(i))
                && i + 1 < s.state.len()
                && s.raw(i + 1) == "("
        })?;
        let mut events = Vec::new();
        let everywhere = self.rng.random_bool(0.5);
        for i in 1..self.state.len() - 1 {
            let same = i == at
                || (everywhere && self.raw(i) == self.raw(at) && self.is_code(i) && self.raw(i + 1) == "(");
            if same && let Some(end) = self.partner(i + 1) {
                events.extend([Event::Delete { at: i + 1 }, Event::Delete { at: end }]);
            }
        }
        if events.len() == 2 && self.rng.random_bool(0.05) {
            events.pop();
        }
        (events.len() <= 24).then_some(events)
    }

    fn braces(&mut self) -> Option<Vec<Event>> {
        let at = self.pick(|s, i| s.is_code(i) && s.raw(i) == ":" && s.ends_line(i))?;
        let head = self.rng.random_range(0..3);
        let open = if head == 0 {
            Event::Insert { at: at + 1, text: "{".to_owned() }
        } else {
            Event::Substitute { at, text: " {".to_owned() }
        };
        let mut events = vec![open];
        if self.rng.random_bool(0.7) {
            let own = self.state.lexeme(self.line_of(at).start).len();
            let mut end = self.line_of(at).end;
            while end < self.state.len()
                && (self.state.lexeme(end).len() > own || self.line_of(end).end == end + 1)
            {
                end = self.line_of(end).end;
            }
            let text = format!("{}}}", self.indent_of(at));
            events.push(Event::Insert { at: end, text });
        }
        Some(events)
    }
}

/// Habits looked at before giving up on finding one that fits.
const HABIT_TRIES: usize = 12;

/// Nothing instead of a lexeme is its deletion.
fn replace(at: usize, text: &str) -> Event {
    if text.is_empty() { Event::Delete { at } } else { Event::Substitute { at, text: text.to_owned() } }
}

pub(super) fn is_open(raw: &str) -> bool {
    matches!(raw, "(" | "[" | "{")
}

pub(super) fn is_close(raw: &str) -> bool {
    matches!(raw, ")" | "]" | "}")
}

fn is_bracket(raw: &str) -> bool {
    is_open(raw) || is_close(raw)
}

/// Characters that look alike, or share a key but for shift.
const ALIKE: [(char, char); 5] = [('l', '1'), ('O', '0'), ('o', '0'), ('I', '1'), ('_', '-')];

/// Drops, doubles, swaps or changes one letter.
pub(super) fn typo(word: &str, rng: &mut ChaCha8Rng) -> Option<String> {
    let mut chars: Vec<char> = word.chars().collect();
    if chars.len() < 2 {
        return None;
    }
    let at = rng.random_range(0..chars.len());
    let alike = ALIKE.iter().find(|(right, _)| *right == chars[at]);
    if let Some((_, wrong)) = alike.filter(|_| rng.random_bool(0.3)) {
        chars[at] = *wrong;
        return Some(chars.into_iter().collect());
    }
    match rng.random_range(0..10) {
        0..3 => {
            chars.remove(at);
        }
        3..5 => chars.insert(at, chars[at]),
        5..8 => chars.swap(at.max(1) - 1, at.max(1)),
        8 => chars[at] = rng.random_range(b'a'..=b'z').into(),
        _ => chars.insert(at, rng.random_range(b'a'..=b'z').into()),
    }
    Some(chars.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;
    use crate::lang::{Dialect, LANGUAGES, Language, excel::Excel, powershell::PowerShell, python::Python};

    fn profile(language: &dyn Language) -> Profile {
        let text = match language.name() {
            "powershell" => include_str!("../../models/powershell/noise.toml"),
            "excel" => include_str!("../../models/excel/noise.toml"),
            _ => include_str!("../../models/python/noise.toml"),
        };
        toml::from_str(text).expect("valid")
    }

    #[track_caller]
    fn check(damage: Damage, before: &str, after: &str) {
        check_in(&Python, damage, before, after);
    }

    #[test]
    fn slips_still_parse() {
        let profile: Profile =
            toml::from_str(include_str!("../../models/python/tests/noise.toml")).expect("valid");
        for (damage, before, after) in [
            (Damage::OtherName, "def f(a, b):\n    return a\n", "def f(a, b):\n    return b\n"),
            (Damage::OffByOne, "x = y[n + 1]\n", "x = y[n]\n"),
            (Damage::OffByOne, "x = y[n]\n", "x = y[n - 1]\n"),
            (Damage::OffByOne, "x = 3\n", "x = 4\n"),
            (Damage::DropOperand, "return f(a) + b.c[0]\n", "return f(a)\n"),
            (Damage::DropOperand, "return f(a) + b.c[0]\n", "return b.c[0]\n"),
            (Damage::Unwrap, "x = list(y)\n", "x = y\n"),
            (Damage::Unwrap, "x = y.copy()\n", "x = y\n"),
            (Damage::Brackets, "return [n]\n", "return []\n"),
            (Damage::Brackets, "return x[0]\n", "return x\n"),
            (Damage::ConfuseMark, "x = a < b\n", "x = a <= b\n"),
        ] {
            assert!(Python.faults(after, Dialect::default()).is_empty(), "{after}");
            check_with(&profile, &Python, damage, before, after);
        }
    }

    #[track_caller]
    fn check_in(language: &dyn Language, damage: Damage, before: &str, after: &str) {
        check_with(&profile(language), language, damage, before, after);
    }

    #[track_caller]
    fn check_with(profile: &Profile, language: &dyn Language, damage: Damage, before: &str, after: &str) {
        let state = State::new(before.to_owned(), language.style());
        let found = (0..2000).any(|seed| {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let mut site = Site { state: &state, hints: state.hints(), profile, rng };
            site.events(damage).is_some_and(|events| state.apply(&events) == after)
        });
        assert!(found, "{damage:?} never turns {before:?} into {after:?}");
    }

    #[test]
    fn damage_looks_like_what_people_do() {
        check(Damage::DropBracket, "f(g(1))\n", "f(g(1)\n");
        check(Damage::BareCall, "print('a')\n", "print 'a'\n");
        check(Damage::ConfuseWord, "elif x:\n", "else if x:\n");
        check(Damage::ConfuseMark, "if a == 1:\n", "if a = 1:\n");
        check(Damage::ConfuseMark, "x = a[b + 1]\n", "x = a[b = 1]\n");
        check(Damage::Typo, "lst = 1\n", "1st = 1\n");
        check(Damage::DropMark, "for x in y:\n", "for x in y\n");
        check(Damage::DropQuote, "a = 'b'\n", "a = 'b\n");
        check(Damage::Unquote, "open('a.txt')\n", "open(a.txt)\n");
        check(Damage::JoinWords, "for x in y:\n", "for xin y:\n");
        check(Damage::Uncomment, "# note\n", "note\n");
        check(Damage::Prompt, "x = 1\n", ">>> x = 1\n");
        check(Damage::JoinLines, "a\nb\n", "a b\n");
        check(Damage::DropMarks, "a = [1, 2, 3]\n", "a = [1 2 3]\n");
        check(Damage::Parameter, "def f(a, b):\n", "def f(int a, int b):\n");
        check(Damage::Parameter, "def f(a: int, b):\n", "def f(int a, b):\n");
        check(Damage::Parameter, "def f(a: int = 0):\n", "def f(a = 0: int):\n");
        check(Damage::Increment, "n += 1\n", "n ++\n");
        check(Damage::Unraw, "open(r'C:\\New')\n", "open('C:\\New')\n");
        check(Damage::Uncomment, "a # b\nc # d\n", "a // b\nc // d\n");
        check(Damage::IndentHead, "if a:\n    b\n", "    if a:\n    b\n");
        check(Damage::FlattenBlock, "if a:\n    b\n    c\n", "if a:\nb\nc\n");
        check(Damage::MixTabs, "if a:\n    b\n    c\n", "if a:\n    b\n\tc\n");
        check(Damage::OddBlanks, "a = 1", "a = \u{a0} 1");
        check(Damage::OddBlanks, "if a:\n    b", "if a:\n\u{a0} b");
    }

    #[test]
    fn damage_looks_like_what_people_do_to_formulas() {
        let check = |damage, before: &str, after: &str| check_in(&Excel, damage, before, after);
        check(Damage::Reference, "=SUM(A1:A9)", "=SUM(A1:9)");
        check(Damage::Reference, "=SUM(A1:A9)", "=SUM(A1:A)");
        check(Damage::Reference, "=C2*5", "=C2*$5");
        check(Damage::Reference, "=$C$2", "=$C&2");
        check(Damage::MoveQuote, "=IF(A1,\"x\",2)", "=IF(A1,\"x,\"2)");
        check(Damage::Enquote, "=SUM(A1:A9)", "=SUM(\"A1\":A9)");
        check(Damage::DropArgument, "=MATCH(A1,B:B,0)", "=MATCH(A1,B:B)");
        check(Damage::SwapArguments, "=SUBTOTAL(2,A1:A9)", "=SUBTOTAL(A1:A9,2)");
        check(Damage::Wrap, "=INDEX(A1,2)", "=INDEX((A1,2))");
        check(Damage::ConfuseMark, "=A1<=2", "=A1< =2");
    }

    #[test]
    fn damage_looks_like_what_people_do_to_scripts() {
        let check = |damage, before: &str, after: &str| check_in(&PowerShell, damage, before, after);
        check(Damage::DropBracket, "if ($a) {\n    b\n}\n", "if ($a) {\n    b\n\n");
        check(Damage::DropBracket, "if ($a) {\n    b\n}\nc\n", "if ($a) {\n    b\nc\n");
        check(Damage::ExtraBracket, "if ($a) {\n    b\n}\n", "if ($a) {\n    b\n}\n}\n");
        check(Damage::DoubleLine, "f {\n    It a {\n    }\n}\n", "f {\n    It a {\n    It a {\n    }\n}\n");
        check(Damage::ExtraMark, "param(\n    $a\n)\n", "param(\n    $a,\n)\n");
        check(Damage::Sigil, "$a = $false", "$a = false");
        check(Damage::NestQuote, "\"a `\"b`\" c\"", "\"a \"b\" c\"");
        check(Damage::ConfuseWord, "if ($a -eq 1) {}", "if ($a eq 1) {}");
        check(Damage::ConfuseMark, "& \"C:\\a b.exe\" -c", "\"C:\\a b.exe\" -c");
        check(Damage::JoinLines, "$a = 1\n$b = 2\n", "$a = 1 $b = 2\n");
        check(Damage::DropMarks, "$a = @{a = 1; b = 2; c = 3}", "$a = @{a = 1 b = 2 c = 3}");
        check(Damage::Uncomment, "<# a\nb #>\n", "a\nb #>\n");
        check(Damage::CommandCall, "$f.Invoke('a', $b)", "$f.Invoke 'a' $b");
        check(Damage::CommandCall, "$f.Invoke('a', $b)", "$f.Invoke('a' $b)");
        check(Damage::UnquoteList, "$a = 'b', 'c.d', 'e'", "$a = b, c.d, e");
        check(Damage::NestQuote, "$a.Trim('\"')", "$a.Trim(\"\"\")");
        check(Damage::Uncall, "$a = & \"C:\\b c\" \"/d:e\" \"f g\"", "$a = \"C:\\b c\" /d:e \"f g\"");
        check(Damage::Uncall, ". \"$a\\b\" c", "\"$a\\b\" c");
        check(Damage::Uncall, "a | b --% c='d", "a | b c='d");
        check(Damage::Unshell, "& cmd /c \"a -b < c.d\"", "a -b < c.d");
        check(Damage::Unshell, "cmd.exe /c 'a < c'", "a < c");
        check(Damage::TableAsJson, "$a = @{b = 1; c = 2}", "$a = @{\"b\": 1, \"c\": 2}");
        check(Damage::TableAsJson, "$a = @{b = 1; c = 2}", "$a = {b : 1; c : 2}");
        check(Damage::TableAsJson, "@{b = @{c = 1; d = 2}}", "@{\"b\": {\"c\": 1, \"d\": 2}}");
        check(Damage::DropSubexpression, "$a = 'b' + $(c 'd')", "$a = 'b' + c 'd'");
        check(Damage::DropSubexpression, "a | & ($b + 'c') -d", "a | $b + 'c' -d");
        check(Damage::WrapCommand, "a | b -c | d", "a | { b -c } | d");
    }

    proptest! {
        #[test]
        fn any_text_survives_damage(text in "[a-zA-C0-9 \\t\\r\\n'\"()\\[\\]{}:,$!=+#\\\\é“]{0,60}", seed: u64) {
            for language in LANGUAGES {
                let profile = profile(*language);
                let rng = &mut ChaCha8Rng::seed_from_u64(seed);
                let mut state = State::new(text.clone(), language.style());
                for _ in 0..20 {
                    let Some(damage) = profile.draw_damage(rng) else { continue };
                    if let Some(text) = profile.damage(damage, &state, rng) {
                        state = State::new(text, language.style());
                    }
                }
            }
        }

        #[test]
        fn more_lexemes_allow_more_damage(n in 1usize..400, seed: u64) {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let count = Profile::draw_count(n, rng);
            prop_assert!(count >= 1 && count <= (n / 8).clamp(3, 24));
        }
    }
}
