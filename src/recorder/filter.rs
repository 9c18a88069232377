//! Which spans are recorded, by level, target, name and place: rules, from text such as `med,my_crate::db=off,name:"GET /health"=off`.

use crate::events::Verbosity;
use std::fmt;
use std::str::FromStr;

/// Which spans are recorded, and which are not: directives, as other filters by environment variables have them.
///
/// ```
/// use spanring::Filter;
///
/// let filter: Filter = r#"med,my_crate::db=off,name:"GET /health"=off,src/x.rs:17=max"#.parse()?;
/// # Ok::<(), spanring::FilterError>(())
/// ```
///
/// Directives stand between commas. Each says up to which level spans are recorded:
///
/// | directive | of which spans |
/// |---|---|
/// | `LEVEL` | of all of which no other directive says it |
/// | `my_crate::db=LEVEL` | whose target is this, or inside of it; the longest such target counts |
/// | `src/x.rs=LEVEL`, `src/x.rs:17=LEVEL` | which stand in this file, or in this line of it; the end of the path is enough, directory by directory |
/// | `name:load=LEVEL`, `name:"GET /health"=LEVEL` | of exactly this name; in quotes, with `\"` and `\\` for these two, it may contain anything |
///
/// Names go before lines, lines before files, files before targets. Of two directives that say something of the same, the later one
/// counts. Without `=LEVEL` all of these spans are meant. A span of which nothing is said is recorded.
///
/// Levels are those of [`Verbosity`]: `off` for none, `min`, `med`, `max` for all. What other filters call `error` and `warn` is `min`,
/// `info` is `med`, `debug` and `trace` are `max`. Every macro makes spans of level `max`, unless it is told otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    text: String,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    what: What,
    /// `None`: no level.
    up_to: Option<Verbosity>,
}

/// Of which spans a rule says something.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    All,
    Target(String),
    File(String),
    Line(String, u32),
    Name(String),
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) level: Verbosity,
    pub(super) target: &'a str,
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) name: &'a str,
}

/// Why a text is no filter: what is wrong with it, and where.
///
/// ```
/// use spanring::Filter;
///
/// let error = "med,name:=off".parse::<Filter>().unwrap_err();
/// assert_eq!(error.to_string(), r#"the filter "med,name:=off" is wrong at byte 9: a name has to follow name:"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    text: String,
    offset: usize,
    wrong: &'static str,
}

impl FilterError {
    /// Where in the text, in bytes from its beginning.
    ///
    /// ```
    /// use spanring::Filter;
    ///
    /// let text = "med,name:=off";
    /// let error = text.parse::<Filter>().unwrap_err();
    /// assert_eq!(&text[error.offset()..], "=off");
    /// ```
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the filter {:?} is wrong at byte {}: {}", self.text, self.offset, self.wrong)
    }
}

impl std::error::Error for FilterError {}

impl fmt::Display for Filter {
    /// The text of which it was made.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        let mut rules = Vec::new();
        let mut rest = Rest { text, offset: 0 };
        while !rest.left().is_empty() {
            rest.skip_blanks();
            if !rest.left().is_empty() && !rest.left().starts_with(',') {
                rules.push(rest.rule()?);
                rest.skip_blanks();
            }
            if !rest.left().is_empty() && !rest.skip(",") {
                return Err(rest.error("a comma has to follow a directive"));
            }
        }
        Ok(Filter { text: text.to_owned(), rules })
    }
}

/// What has not been read yet of a filter's text.
struct Rest<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Rest<'a> {
    fn left(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn error(&self, wrong: &'static str) -> FilterError {
        FilterError { text: self.text.to_owned(), offset: self.offset, wrong }
    }

    fn skip(&mut self, what: &str) -> bool {
        let found = self.left().starts_with(what);
        self.offset += if found { what.len() } else { 0 };
        found
    }

    fn skip_blanks(&mut self) {
        self.offset = self.text.len() - self.left().trim_start().len();
    }

    /// Up to the next `=`, comma, or the end.
    fn word(&mut self) -> &'a str {
        let word = self.left().split(['=', ',']).next().unwrap_or_default();
        self.offset += word.len();
        word.trim()
    }

    fn rule(&mut self) -> Result<Rule, FilterError> {
        let begin = self.offset;
        if self.skip("name:") {
            let what = What::Name(self.name()?);
            return Ok(Rule { what, up_to: self.level_of()? });
        }
        let word = self.word();
        if let Some(up_to) = level(word).filter(|_| !self.left().starts_with('=')) {
            return Ok(Rule { what: What::All, up_to });
        }
        let wrong = |wrong| FilterError { text: self.text.to_owned(), offset: begin, wrong };
        let what = match word {
            "" => return Err(wrong("a target, a file, name: or a level has to stand before the =")),
            target if is_target(target) => What::Target(target.to_owned()),
            place => match place.rsplit_once(':') {
                Some((file, line)) if is_file(file) => {
                    let line = line.parse().map_err(|_| wrong("what stands behind a file and a colon is no line"))?;
                    What::Line(file.to_owned(), line)
                }
                _ if is_file(place) => What::File(place.to_owned()),
                _ => return Err(wrong("this is neither a target (a::b), nor a file (a/b.rs), nor name:\"..\"")),
            },
        };
        Ok(Rule { what, up_to: self.level_of()? })
    }

    /// What follows `name:`.
    fn name(&mut self) -> Result<String, FilterError> {
        if !self.skip("\"") {
            let name = self.word();
            return if name.is_empty() { Err(self.error("a name has to follow name:")) } else { Ok(name.to_owned()) };
        }
        let mut name = String::new();
        let mut escaped = false;
        for (index, c) in self.left().char_indices() {
            match c {
                '"' if !escaped => {
                    self.offset += index + 1;
                    self.skip_blanks();
                    return Ok(name);
                }
                '\\' if !escaped => escaped = true,
                c => {
                    name.push(c);
                    escaped = false;
                }
            }
        }
        Err(self.error("the quotes are never closed"))
    }

    /// What follows the spans that a rule is about.
    fn level_of(&mut self) -> Result<Option<Verbosity>, FilterError> {
        if !self.skip("=") {
            return Ok(Some(Verbosity::Max));
        }
        let begin = self.offset;
        let word = self.word();
        level(word).ok_or_else(|| FilterError {
            text: self.text.to_owned(),
            offset: begin,
            wrong: "this is no level: off, min (error, warn), med (info), max (debug, trace)",
        })
    }
}

fn level(word: &str) -> Option<Option<Verbosity>> {
    let levels: [(&[&str], _); 4] = [
        (&["off"], None),
        (&["min", "error", "warn"], Some(Verbosity::Min)),
        (&["med", "info"], Some(Verbosity::Med)),
        (&["max", "debug", "trace"], Some(Verbosity::Max)),
    ];
    levels.iter().find(|(words, _)| words.iter().any(|known| known.eq_ignore_ascii_case(word))).map(|(_, level)| *level)
}

/// Such as `a::b`. What others choose as targets may have dots and hyphens.
fn is_target(word: &str) -> bool {
    let is_segment =
        |segment: &str| !segment.is_empty() && segment.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    !is_file(word) && word.split("::").all(is_segment)
}

fn is_file(word: &str) -> bool {
    word.ends_with(".rs") || word.contains('/')
}

impl What {
    /// How much a rule about this goes before others, if it says something of the subject.
    fn weight(&self, subject: &Subject<'_>) -> Option<(u8, usize)> {
        let inside = |target: &str| {
            let rest = subject.target.strip_prefix(target)?;
            (rest.is_empty() || rest.starts_with("::")).then_some(())
        };
        let in_file = |file: &str| {
            let before = subject.file.strip_suffix(file)?;
            (before.is_empty() || before.ends_with('/') || file.starts_with('/')).then_some(())
        };
        match self {
            What::All => Some((0, 0)),
            What::Target(target) => inside(target).map(|()| (1, target.len())),
            What::File(file) => in_file(file).map(|()| (2, file.len())),
            What::Line(file, line) => in_file(file).filter(|()| subject.line == *line).map(|()| (3, file.len())),
            What::Name(name) => (subject.name == name).then_some((4, 0)),
        }
    }
}

impl Rule {
    fn is_of_name(&self) -> bool {
        matches!(self.what, What::Name(_))
    }

    /// Whether spans of that level are recorded, if it is this rule that counts.
    fn wants(&self, level: Verbosity) -> bool {
        self.up_to.is_some_and(|up_to| level <= up_to)
    }
}

impl Filter {
    /// Whether a span is recorded.
    pub(super) fn wants(&self, subject: &Subject<'_>) -> bool {
        Filter::say(self.rules.iter(), subject)
    }

    /// The same whatever its name is. `None`: that depends on the name.
    pub(super) fn wants_any_name(&self, subject: &Subject<'_>) -> Option<bool> {
        let (wanted, level) =
            (Filter::say(self.rules.iter().filter(|rule| !rule.is_of_name()), subject), subject.level);
        let mut of_names = self.rules.iter().filter(|rule| rule.is_of_name());
        of_names.all(|rule| rule.wants(level) == wanted).then_some(wanted)
    }

    /// What these rules say.
    fn say<'a>(rules: impl Iterator<Item = &'a Rule>, subject: &Subject<'_>) -> bool {
        let said = rules.filter_map(|rule| Some((rule.what.weight(subject)?, rule)));
        // Of several that are greatest, the last one.
        said.max_by_key(|(weight, _)| *weight).is_none_or(|(_, rule)| rule.wants(subject.level))
    }

    /// How many levels there are, from the most detailed on, of which no span is recorded, whatever else may be said of it.
    pub(super) fn unwanted_levels(&self) -> u8 {
        // What no rule is about is recorded.
        let says_it_of_all = self.rules.iter().any(|rule| rule.what == What::All);
        let most = self.rules.iter().map(|rule| rule.up_to.map_or(0, |level| level as u8)).max();
        Verbosity::Max as u8 - most.filter(|_| says_it_of_all).unwrap_or(Verbosity::Max as u8)
    }

    /// Whether every span is recorded.
    pub(super) fn wants_all(&self) -> bool {
        self.rules.iter().all(|rule| rule.up_to == Some(Verbosity::Max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> = Subject {
        level: Verbosity::Max,
        target: "service::db::pool",
        file: "service/src/db/pool.rs",
        line: 17,
        name: "acquire",
    };

    fn wants(filter: &str) -> bool {
        filter.parse::<Filter>().unwrap().wants(&SUBJECT)
    }

    #[test]
    fn what_no_directive_is_about_is_recorded() {
        assert!(wants("") && wants(" , ,") && wants("other=off"));
        assert!(!wants("off"));
    }

    #[test]
    fn a_level_is_up_to_what() {
        let at = |level, filter: &str| filter.parse::<Filter>().unwrap().wants(&Subject { level, ..SUBJECT });
        for (filter, wanted) in [
            ("off", [false, false, false]),
            ("min", [true, false, false]),
            ("WARN", [true, false, false]),
            ("info", [true, true, false]),
            ("debug", [true, true, true]),
            ("service=med", [true, true, false]),
        ] {
            let levels = [Verbosity::Min, Verbosity::Med, Verbosity::Max];
            assert_eq!(levels.map(|level| at(level, filter)), wanted, "{filter}");
        }
    }

    #[test]
    fn levels_of_which_nothing_can_be_wanted_are_known() {
        let unwanted = |filter: &str| filter.parse::<Filter>().unwrap().unwanted_levels();
        for (filter, levels) in [
            ("", 0),
            ("off", 3),
            ("min", 2),
            ("med", 1),
            ("max", 0),
            ("service=off", 0),
            ("med,service=off", 1),
            ("off,service=min,name:load=med", 1),
            ("off,pool.rs:17", 0),
            ("off,max", 0),
        ] {
            assert_eq!(unwanted(filter), levels, "{filter}");
        }
    }

    #[test]
    fn a_target_is_meant_with_what_is_inside_and_the_longest_counts() {
        assert!(!wants("service=off") && !wants("service::db=off") && !wants("service::db::pool=off"));
        assert!(wants("serv=off") && wants("service::d=off") && wants("service::db::pool::x=off"));
        assert!(wants("service::db=max,service=off") && wants("off,service"));
    }

    #[test]
    fn a_file_is_meant_by_the_end_of_its_path() {
        assert!(!wants("pool.rs=off") && !wants("src/db/pool.rs=off") && !wants("service/src/db/pool.rs=off"));
        assert!(wants("ool.rs=off") && wants("b/pool.rs=off") && wants("x/service/src/db/pool.rs=off"));
        assert!(!wants("pool.rs:17=off") && wants("pool.rs:18=off"));
    }

    #[test]
    fn a_name_is_meant_as_a_whole() {
        assert!(!wants("name:acquire=off") && !wants(r#"name:"acquire"=off"#));
        assert!(wants("name:acqui=off"));
        let filter: Filter = r#"off,name:"GET \"/a,b=c\\\""=max"#.parse().unwrap();
        assert!(filter.wants(&Subject { name: r#"GET "/a,b=c\""#, ..SUBJECT }));
    }

    #[test]
    fn names_go_before_lines_before_files_before_targets_and_the_later_before_the_earlier() {
        assert!(wants("name:acquire=max,pool.rs:17=off,pool.rs=off,service=off,off"));
        assert!(wants("pool.rs:17=max,pool.rs=off,service=off,off"));
        assert!(wants("pool.rs=max,service=off,off"));
        assert!(wants("service=off,service=max") && !wants("service=max,service=off"));
    }

    #[test]
    fn what_no_name_changes_is_known_without_it() {
        let known = |filter: &str| filter.parse::<Filter>().unwrap().wants_any_name(&SUBJECT);
        for (filter, wanted) in [
            ("", Some(true)),
            ("service=off", Some(false)),
            ("name:other=off", None),
            ("name:acquire=off,name:other=max", None),
            ("service=off,name:other=max", None),
            ("service=off,name:other=off", Some(false)),
            ("service=off,name:other=med", Some(false)),
            ("med,service=max,name:other=max", Some(true)),
        ] {
            assert_eq!(known(filter), wanted, "{filter}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let error = |text: &str| text.parse::<Filter>().unwrap_err();
        for (text, offset) in [
            ("med,db=loud", 7),
            ("med,=off", 4),
            ("name:=off", 5),
            ("x,name:\"GET", 8),
            ("a b=off", 0),
            ("src/x.rs:y=off", 0),
            ("name:\"a\" b", 9),
            ("a=off=on", 5),
            ("a::=off", 0),
        ] {
            assert_eq!(error(text).offset(), offset, "{text}: {}", error(text));
        }
        let said = error("med,db=loud").to_string();
        assert!(
            said.starts_with("the filter \"med,db=loud\" is wrong at byte 7: this is no level: off, min"),
            "{said}"
        );
    }

    #[test]
    fn a_filter_is_shown_as_it_was_written() {
        assert_eq!("med,db=off".parse::<Filter>().unwrap().to_string(), "med,db=off");
    }
}
