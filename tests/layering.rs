//! Keeps the layers of the architecture: who may import whom, and who alone may touch the clock.
//!
//! The sources are read as tokens (comments and literals left out), every path in them is written out in full
//! (`crate::{a::B, c}` is `crate::a::B` and `crate::c`), and the rules are asked about the paths. Code under
//! `#[cfg(test)]` may import what it likes. A new arrow is a design decision: change [`LAYERS`] with it, and say why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Top-level modules by layer, lowest first. Of the adapters `auth` imports `transport`, over which tokens are fetched, and
/// `config` imports `auth`, whose sources of tokens a deployment names. A module may import from lower layers, and from its own layer where no
/// circle comes of it.
const LAYERS: [&[&str]; 5] = [
    WORDS,
    &["balance"],
    &["config", "transport", "auth", "metrics", "store"],
    &["engine"],
    &["batch", "internals", "proxy", "sim", "testing"],
];

/// The words of the language that all others speak; they may name each other freely.
const WORDS: &[&str] = &["error", "clock", "api"];

/// What must not appear in `balance`, which neither waits nor locks, reads nothing and logs nothing.
const NOT_IN_BALANCE: &[&[&str]] = &[
    &["crossbeam_channel"],
    &["log"],
    &["parking_lot"],
    &["rand", "random"],
    &["rand", "rng"],
    &["std", "env"],
    &["std", "fs"],
    &["std", "io"],
    &["std", "net"],
    &["std", "process"],
    &["sync", "Condvar"],
    &["sync", "Mutex"],
    &["sync", "RwLock"],
    &["std", "thread"],
];

/// What reads the clock or stops a thread; only `src/clock.rs` does.
const CLOCK: &[&[&str]] = &[&["Instant", "now"], &["SystemTime", "now"], &["thread", "sleep"]];

#[test]
fn the_sources_keep_their_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "fuzz/fuzz_targets", "fuzz/src"] {
        collect(root, Path::new(folder), &mut files);
    }
    let arrows = arrows(&files);
    assert!(
        arrows.contains_key(&("transport".to_owned(), "api".to_owned())),
        "the checker is blind: it does not see that transport imports api, only {arrows:?}"
    );
    let problems = problems(&files);
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// A file of the package, with its path from the root, separated by slashes.
struct File {
    path: String,
    tokens: Vec<Token>,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        File {
            path: path.to_owned(),
            tokens: lex(text),
        }
    }

    /// The top-level module of the library that the file belongs to; none for the crate's root, the binary and
    /// everything outside `src`.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        if inside == "lib.rs" || inside.starts_with("bin/") {
            return None;
        }
        Some(
            inside
                .split_once('/')
                .map_or(inside.trim_end_matches(".rs"), |(top, _)| top),
        )
    }

    fn is_in(&self, folder: &str) -> bool {
        self.path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
    }
}

/// Every `.rs` file below `folder`.
fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return; // not every folder exists
    };
    for entry in entries {
        let entry = entry.expect("the sources can be listed");
        let path = folder.join(entry.file_name());
        if entry.file_type().expect("a file has a type").is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(root.join(&path)).expect("sources are UTF-8");
            let path = path.to_str().expect("paths are UTF-8").replace('\\', "/");
            files.push(File::new(&path, &text));
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
}

/// Everything that breaks a rule, one line each.
fn problems(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        unfinished(file, &mut problems);
        if file.path.starts_with("src/") && !is_test_file(file, files) {
            outside_world(file, &mut problems);
        }
    }
    let arrows = arrows(files);
    for ((from, to), place) in &arrows {
        match (layer(from), layer(to)) {
            (Some(from_layer), Some(to_layer)) if from_layer < to_layer => problems.push(format!(
                "{place}: {from} imports {to}, which lies above it (the order is {LAYERS:?})"
            )),
            (Some(a), Some(b))
                if a == b
                    && from < to
                    && !WORDS.contains(&from.as_str())
                    && reaches(&arrows, from, to)
                    && reaches(&arrows, to, from) =>
            {
                problems.push(format!(
                    "{place}: {from} and {to} import each other, directly or in a circle"
                ));
            }
            (_, None) => problems.push(format!(
                "{place}: crate::{to} is no module of a layer; inside the library import things from the module that \
                 defines them"
            )),
            _ => {}
        }
    }
    problems
}

/// Nothing is left to do, nothing is skipped: in no file of ours, tests among them.
fn unfinished(file: &File, problems: &mut Vec<String>) {
    for (index, token) in file.tokens.iter().enumerate() {
        let followed = |by| file.tokens.get(index + 1).is_some_and(|next| next.text == by);
        let preceded = |by| index > 0 && file.tokens[index - 1].text == by;
        let found = match token.text.as_str() {
            "todo" | "unimplemented" => followed("!"),
            "ignore" => preceded("["),
            _ => false,
        };
        if found {
            problems.push(format!(
                "{}:{}: {} is not for this repository",
                file.path, token.line, token.text
            ));
        }
    }
}

/// Who may touch the clock, ureq's unstable hooks and the inside of the library.
fn outside_world(file: &File, problems: &mut Vec<String>) {
    let paths = paths(file);
    if let Some(module) = file.module()
        && layer(module).is_none()
    {
        problems.push(format!(
            "{}: {module} belongs to no layer; add it to LAYERS, at its place",
            file.path
        ));
    }
    let tokio_instant = file.is_in("src/sim") && paths.iter().any(|path| path.ends_with(&["tokio", "time", "Instant"]));
    for path in &paths {
        let mut complain = |what: &str| problems.push(format!("{}:{}: {what}: {path}", file.path, path.line));
        if file.path != "src/clock.rs" && CLOCK.iter().any(|way| path.has(way)) {
            let simulated = path.has(&["tokio", "time"]) || tokio_instant && path.segments == ["Instant", "now"];
            if !(file.is_in("src/sim") && simulated) {
                complain("only src/clock.rs reads the clock or sleeps");
            }
        }
        if path.has(&["unversioned"]) && !file.is_in("src/transport/wire") {
            complain("only src/transport/wire uses what ureq may change in any release");
        }
        if file.module() == Some("balance") && NOT_IN_BALANCE.iter().any(|way| path.has(way)) {
            complain("balance neither waits, locks, logs nor touches the outside world");
        }
        if file.is_in("src/bin") {
            if path.has(&["internals"]) {
                complain("the binary uses the public API only");
            }
        } else if path.segments[0] == "azure_openai_blaster" {
            complain("inside the library it is called crate");
        }
    }
    for window in file.tokens.windows(4) {
        let texts = [0, 1, 2, 3].map(|index| window[index].text.as_str());
        if file.path != "src/clock.rs" && !window[1].test && texts == [".", "elapsed", "(", ")"] {
            problems.push(format!(
                "{}:{}: only src/clock.rs reads the clock, and elapsed() does",
                file.path, window[1].line
            ));
        }
    }
}

/// A file that is a module of tests: its parent declares it with `#[cfg(test)] mod name;`.
fn is_test_file(file: &File, files: &[File]) -> bool {
    let module = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
    let Some((folder, name)) = module.rsplit_once('/') else {
        return false;
    };
    let parents = [
        format!("{folder}.rs"),
        format!("{folder}/mod.rs"),
        format!("{folder}/lib.rs"),
    ];
    files
        .iter()
        .filter(|parent| parents.contains(&parent.path))
        .any(|parent| {
            let declared = parent.tokens.windows(3).any(|window| {
                window[0].test && window[0].text == "mod" && window[1].text == name && window[2].text == ";"
            });
            declared || parent.path != file.path && is_test_file(parent, files)
        })
}

/// Which top-level module imports from which other, with one place where it does.
fn arrows(files: &[File]) -> BTreeMap<(String, String), String> {
    let mut arrows = BTreeMap::new();
    for file in files {
        let Some(from) = file.module().filter(|_| !is_test_file(file, files)) else {
            continue;
        };
        for path in paths(file) {
            if let Some(to) = path.top_level().filter(|to| to != from) {
                arrows
                    .entry((from.to_owned(), to))
                    .or_insert_with(|| format!("{}:{}", file.path, path.line));
            }
        }
    }
    arrows
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Whether `to` can be reached from `from` along the arrows.
fn reaches(arrows: &BTreeMap<(String, String), String>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for (_, next) in arrows.keys().filter(|(start, _)| start == at) {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

/// A path in the code, written out, and the module in which it stands.
struct CodePath {
    segments: Vec<String>,
    module: Vec<String>,
    line: usize,
}

impl CodePath {
    /// Whether these segments stand in the path, one after the other.
    fn has(&self, segments: &[&str]) -> bool {
        self.segments.windows(segments.len()).any(|window| window == segments)
    }

    fn ends_with(&self, segments: &[&str]) -> bool {
        self.segments.len() >= segments.len() && self.segments[self.segments.len() - segments.len()..] == *segments
    }

    /// The top-level module of this crate that the path leads into; none where it leads elsewhere.
    fn top_level(&self) -> Option<String> {
        let ups = self.segments.iter().take_while(|segment| *segment == "super").count();
        match self.segments[0].as_str() {
            "crate" => self.segments.get(1).cloned(),
            // One `super` from a top-level module is the crate's root.
            "super" if ups >= self.module.len() => self.segments.get(ups).cloned(),
            _ => None,
        }
    }
}

impl std::fmt::Display for CodePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.segments.join("::"))
    }
}

/// Every path in a file outside of tests, groups written out.
fn paths(file: &File) -> Vec<CodePath> {
    let tokens = &file.tokens;
    let mut module = module_of(&file.path);
    let mut inline = Vec::new(); // depths at which inline modules end
    let mut depth = 0;
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let next = |by: usize| tokens.get(at + by).map_or("", |token| token.text.as_str());
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inline.last() == Some(&depth) {
                    inline.pop();
                    module.pop();
                }
            }
            "mod" if next(2) == "{" => {
                inline.push(depth);
                module.push(next(1).to_owned());
                at += 1; // the name is no path
            }
            _ if token.is_name() && !token.test => {
                let mut trees = Vec::new();
                let end = tree(tokens, at, Vec::new(), &mut trees);
                found.extend(trees.into_iter().map(|segments| CodePath {
                    segments,
                    module: module.clone(),
                    line: token.line,
                }));
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads the path that starts at `at`, with its groups, and returns where it ends.
fn tree(tokens: &[Token], mut at: usize, mut segments: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    loop {
        match text(at) {
            "{" => {
                at += 1;
                while !matches!(text(at), "}" | "") {
                    at = tree(tokens, at, segments.clone(), found);
                    while !matches!(text(at), "," | "}" | "") {
                        at += 1; // `as name`
                    }
                    if text(at) == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            name => segments.push(name.to_owned()),
        }
        at += 1;
        let goes_on = text(at) == "::"
            && tokens
                .get(at + 1)
                .is_some_and(|next| next.is_name() || matches!(next.text.as_str(), "{" | "*"));
        if !goes_on {
            found.push(segments);
            return at;
        }
        at += 1;
    }
}

/// `src/balance/ring.rs` is `[balance, ring]`, `src/balance/mod.rs` is `[balance]`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<_> = inside.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// A name, `::`, or a single character of punctuation.
#[derive(Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
    /// Stands in an item under `#[cfg(test)]`.
    test: bool,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The tokens of a source, without comments and literals.
fn lex(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < chars.len() {
        let end = skip(&chars, at);
        if end > at {
            line += chars[at..end].iter().filter(|c| **c == '\n').count();
            at = end;
            continue;
        }
        let word = |c: &char| c.is_alphanumeric() || *c == '_';
        let mut length = chars[at..].iter().take_while(|c| word(c)).count();
        if length == 0 {
            length = if chars[at..].starts_with(&[':', ':']) { 2 } else { 1 };
        }
        let text: String = chars[at..at + length].iter().collect();
        if !chars[at].is_ascii_digit() {
            tokens.push(Token {
                text,
                line,
                test: false,
            });
        }
        at += length;
    }
    mark_tests(&mut tokens);
    tokens
}

/// Where white space, a comment or a literal that starts at `at` ends; `at` itself where none starts there.
fn skip(chars: &[char], at: usize) -> usize {
    let starts = |with: &str| with.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let line_end = || {
        chars[at..]
            .iter()
            .position(|c| *c == '\n')
            .map_or(chars.len(), |length| at + length)
    };
    match chars[at] {
        c if c.is_whitespace() => at + 1,
        '/' if starts("//") => line_end(),
        '/' if starts("/*") => {
            let mut depth = 0;
            let mut end = at;
            while end < chars.len() {
                match &chars[end..(end + 2).min(chars.len())] {
                    ['/', '*'] => (depth, end) = (depth + 1, end + 2),
                    ['*', '/'] => (depth, end) = (depth - 1, end + 2),
                    _ => end += 1,
                }
                if depth == 0 {
                    break;
                }
            }
            end
        }
        '"' => quoted(chars, at, '"'),
        // `'a'` and `'\n'` are literals; `'a` is a lifetime, whose name is left out with its quote.
        '\'' if chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'') => quoted(chars, at, '\''),
        '\'' => {
            at + 1
                + chars[at + 1..]
                    .iter()
                    .take_while(|c| c.is_alphanumeric() || **c == '_')
                    .count()
        }
        // Only at the start of a word: the lexer takes words whole.
        'b' if starts("b\"") => quoted(chars, at + 1, '"'),
        'b' if starts("b'") => quoted(chars, at + 1, '\''),
        'c' if starts("c\"") => quoted(chars, at + 1, '"'),
        'r' | 'b' | 'c' => {
            let prefix = if chars[at] == 'r' { 1 } else { 2 };
            let hashes = chars[(at + prefix).min(chars.len())..]
                .iter()
                .take_while(|c| **c == '#')
                .count();
            let quote = at + prefix + hashes;
            if chars.get(at + prefix - 1) != Some(&'r') || chars.get(quote) != Some(&'"') {
                return at;
            }
            let ends = |end: &usize| {
                chars[*end] == '"'
                    && chars.len() >= end + 1 + hashes
                    && chars[end + 1..end + 1 + hashes].iter().all(|c| *c == '#')
            };
            (quote + 1..chars.len())
                .find(ends)
                .map_or(chars.len(), |end| end + 1 + hashes)
        }
        _ => at,
    }
}

/// Where the literal ends whose opening quote is at `at`.
fn quoted(chars: &[char], at: usize, quote: char) -> usize {
    let mut end = at + 1;
    while end < chars.len() && chars[end] != quote {
        end += if chars[end] == '\\' { 2 } else { 1 };
    }
    (end + 1).min(chars.len())
}

/// Marks the items that `#[cfg(test)]` (alone or inside `all(…)`) stands before.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        let is = |offset: usize, text: &str| tokens.get(at + offset).is_some_and(|token| token.text == text);
        if !(is(0, "#") && is(1, "[") && is(2, "cfg")) {
            at += 1;
            continue;
        }
        let close = matching(tokens, at + 1);
        let names = |name: &str| tokens[at..close].iter().any(|token| token.text == name);
        if !names("test") || names("not") || names("any") {
            at = close + 1;
            continue;
        }
        // Further attributes, then up to the first `;` or the block's end.
        let mut end = close + 1;
        while end < tokens.len() {
            match tokens[end].text.as_str() {
                ";" => break,
                "(" | "[" => end = matching(tokens, end) + 1,
                "{" => {
                    end = matching(tokens, end);
                    // `use a::{b};` goes on behind its braces.
                    if tokens.get(end + 1).is_none_or(|token| token.text != ";") {
                        break;
                    }
                    end += 1;
                }
                _ => end += 1,
            }
        }
        let end = end.min(tokens.len() - 1);
        for token in &mut tokens[at..=end] {
            token.test = true;
        }
        at = end + 1;
    }
}

/// The bracket that closes the one at `at`, or the last token.
fn matching(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len() - 1
}

/// The checker finds (`Some`: words of the complaint) or passes over (`None`) what stands in made-up files.
fn check(name: &str, files: &[(&str, &str)], expected: Option<&str>) {
    let files: Vec<_> = files.iter().map(|(path, text)| File::new(path, text)).collect();
    let problems = problems(&files);
    match expected {
        None => assert!(problems.is_empty(), "{name}: {problems:?}"),
        Some(words) => {
            assert_eq!(problems.len(), 1, "{name}: {problems:?}");
            assert!(problems[0].contains(words), "{name}: {problems:?}");
        }
    }
}

#[test]
fn an_arrow_that_points_upwards_is_found_however_it_is_written() {
    let up = Some("which lies above it");
    for text in [
        "use crate::engine::Blaster;",
        "use crate::{api::Headers, engine::Blaster};",
        "use crate::{\n    api::{Headers, Ledger as L},\n    engine,\n};",
        "use crate::engine::*;",
        "pub(crate) use crate::engine::{self as e};",
        "fn f(x: Vec<crate::engine::Blaster>) {}",
        "fn f() { let x = <crate::engine::X as Y>::new::<u8>(); }",
        "macro_rules! m { () => { $crate::engine::x() } }",
        "use super::super::engine::Blaster;",
        "mod inner { use super::super::super::engine::Blaster; }",
        "mod inner { fn f() { if true {} } } use super::super::engine::Blaster;",
        "const A: &str = \"\\\" // \"; use crate::engine::X;",
        "const A: char = '\"'; fn f<'a>(x: &'a str) -> crate::engine::X<'a> {}",
        "const A: &str = r#\"a\"b\"#; use crate::engine::X;",
        "#[cfg(test)] use crate::api::{X}; use crate::engine::X;",
        "#[cfg(test)] mod tests { fn f() {} } use crate::engine::X;",
        "#[cfg(not(test))] use crate::engine::X;",
    ] {
        check(text, &[("src/balance/ring.rs", text)], up);
    }
    check("from a mod.rs", &[("src/balance/mod.rs", "use super::engine::X;")], up);
    check(
        "from a file of the root",
        &[("src/config.rs", "use super::engine::X;")],
        up,
    );
    check(
        "an adapter that imports a face",
        &[("src/transport/wire/mod.rs", "use crate::sim::plan;")],
        up,
    );
    check(
        "a word that imports the heart",
        &[("src/error/mod.rs", "use crate::balance::X;")],
        up,
    );
}

#[test]
fn what_is_no_arrow_is_passed_over() {
    for text in [
        "// use crate::engine::X;",
        "/* use crate::engine::X; /* */ use crate::engine::Y; */",
        "/// See [`X`](crate::engine::X).\nfn f() {}",
        "const A: &str = \"crate::engine::X\";",
        "const A: &[u8] = br\"crate::engine::X\";",
        "#[cfg(test)]\nmod tests { use crate::engine::X; mod deeper { use crate::sim::Y; } }",
        "#[cfg(test)]\n#[path = \"x.rs\"]\nuse crate::{engine::X, sim::Y};",
        "#[cfg(all(test, feature = \"sim\"))] fn f() { crate::engine::x() }",
        "mod engine {} use self::engine::X; use engine::Y;",
        "mod inner { use super::engine::X; }",
        "use crate::balance::outcome::Outcome; use crate::{api, clock};",
        "pub(crate) fn f() {} pub(in crate::balance) fn g() {}",
    ] {
        check(text, &[("src/balance/ring.rs", text)], None);
    }
    check(
        "the root is a map of all",
        &[("src/lib.rs", "pub use engine::X; pub use crate::sim::Y;")],
        None,
    );
    check(
        "a file of tests",
        &[
            ("src/balance/mod.rs", "#[cfg(test)]\nmod tests;"),
            ("src/balance/tests.rs", "use crate::engine::X;"),
        ],
        None,
    );
}

#[test]
fn modules_of_one_layer_may_not_form_a_circle_but_words_may() {
    check(
        "an arrow",
        &[("src/store.rs", "use crate::config::X;"), ("src/config.rs", "")],
        None,
    );
    check(
        "a pair",
        &[
            ("src/store.rs", "use crate::config::X;"),
            ("src/config.rs", "use crate::store::Y;"),
        ],
        Some("import each other"),
    );
    check(
        "words",
        &[
            ("src/api/mod.rs", "use crate::error::X;"),
            ("src/error/mod.rs", "use crate::api::X;"),
        ],
        None,
    );
    let circle = [
        ("src/store.rs", "use crate::config::X;"),
        ("src/config.rs", "use crate::auth::X;"),
        ("src/auth.rs", "use crate::store::X;"),
    ];
    let files: Vec<_> = circle.iter().map(|(path, text)| File::new(path, text)).collect();
    assert!(!problems(&files).is_empty());
}

#[test]
fn a_file_without_a_layer_and_a_name_without_a_module_are_found() {
    check("a file", &[("src/util.rs", "")], Some("util belongs to no layer"));
    check("a folder", &[("src/util/x.rs", "")], Some("util belongs to no layer"));
    check(
        "a name of the root",
        &[("src/engine/mod.rs", "use crate::Blaster;")],
        Some("import things from the module"),
    );
    check(
        "everything",
        &[("src/engine/mod.rs", "use crate::*;")],
        Some("import things from the module"),
    );
    check(
        "own name",
        &[("src/engine/mod.rs", "use azure_openai_blaster::X;")],
        Some("it is called crate"),
    );
}

#[test]
fn the_clock_is_read_in_one_place() {
    let found = Some("only src/clock.rs");
    for text in [
        "fn f() { std::time::Instant::now(); }",
        "fn f() { Instant::now(); }",
        "fn f() { x.map_or_else(SystemTime::now, g); }",
        "fn f() { std::thread::sleep(d); }",
        "use std::thread::{self, sleep};",
        "fn f() { t0.elapsed(); }",
        "fn f() { tokio::time::Instant::now(); }",
    ] {
        check(text, &[("src/engine/worker.rs", text)], found);
        check(text, &[("src/clock.rs", text)], None);
        check(
            text,
            &[("src/engine/worker.rs", &format!("#[cfg(test)] mod tests {{ {text} }}"))],
            None,
        );
    }
    check(
        "the simulator's own",
        &[("src/sim/server.rs", "fn f() { std::time::Instant::now(); }")],
        found,
    );
    for text in [
        "fn f() { tokio::time::Instant::now(); tokio::time::sleep(d); }",
        "use tokio::time::{Instant, sleep}; fn f() { Instant::now(); sleep(d); }",
    ] {
        check(text, &[("src/sim/server.rs", text)], None);
    }
}

#[test]
fn each_thing_that_has_one_place_is_found_elsewhere() {
    let hooks = "use ureq::{Agent, unversioned::transport::Connector};";
    check(
        "hooks",
        &[("src/transport/mod.rs", hooks)],
        Some("may change in any release"),
    );
    check("hooks", &[("src/transport/wire/connector.rs", hooks)], None);
    check("hooks", &[("src/transport/wire.rs", hooks)], None);
    check(
        "inside",
        &[("src/bin/blaster/main.rs", "use azure_openai_blaster::internals::X;")],
        Some("public API only"),
    );
    check(
        "public",
        &[(
            "src/bin/blaster/main.rs",
            "use azure_openai_blaster::Blaster; use crate::demo;",
        )],
        None,
    );
    for text in [
        "use std::sync::{Arc, Mutex};",
        "fn f() { log::warn!(\"x\"); }",
        "fn f() { rand::rng(); }",
        "use std::io::Read;",
    ] {
        check(text, &[("src/balance/ring.rs", text)], Some("balance neither waits"));
        check(text, &[("src/engine/mod.rs", text)], None);
    }
}

#[test]
fn nothing_is_left_to_do_or_skipped_in_any_file() {
    for path in ["src/engine/mod.rs", "tests/it/main.rs", "benches/drain.rs"] {
        check("todo", &[(path, "fn f() { todo!() }")], Some("todo is not"));
        check(
            "unimplemented",
            &[(path, "fn f() { unimplemented!(\"x\") }")],
            Some("unimplemented is not"),
        );
        check(
            "ignore",
            &[(path, "#[cfg(test)] mod t { #[test] #[ignore = \"x\"] fn f() {} }")],
            Some("ignore is not"),
        );
        check(
            "words alone",
            &[(path, "// todo!\nfn todo() { let ignore = [x]; }")],
            None,
        );
    }
}
