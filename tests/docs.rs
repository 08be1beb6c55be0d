//! The documents name only files and tests that exist.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_file_that_the_documents_name_exists() {
    for document in documents() {
        let text = fs::read_to_string(&document).expect("documents are UTF-8");
        for name in quoted(&text).filter(|name| is_path(name)) {
            assert!(
                Path::new(ROOT).join(name).exists(),
                "{}: there is no {name}",
                document.display()
            );
        }
        for target in links(&text) {
            let base = document.parent().expect("a file stands in a folder");
            assert!(
                base.join(target).exists(),
                "{}: the link {target} leads nowhere",
                document.display()
            );
        }
    }
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        read_all(&Path::new(ROOT).join(folder), &mut sources);
    }
    let text = fs::read_to_string(Path::new(ROOT).join("docs/ARCHITECTURE.md")).expect("documents are UTF-8");
    // Names of tests are sentences, and nothing else in the text is.
    let tests: Vec<_> = quoted(&text).filter(|name| name.matches('_').count() >= 3).collect();
    assert!(tests.len() > 10, "the checker is blind: it sees only {tests:?}");
    for test in tests {
        assert!(sources.contains(&format!("fn {test}(")), "there is no test {test}");
    }
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(Path::new(ROOT).join("docs")).expect("there are documents");
    let mut documents: Vec<PathBuf> = docs
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    documents.retain(|path| path.extension().is_some_and(|end| end == "md"));
    documents.extend(["README.md", "CHANGELOG.md"].map(|name| Path::new(ROOT).join(name)));
    documents
}

/// What stands between single backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Whether a quoted text is the path of a file of ours.
fn is_path(text: &str) -> bool {
    let folders = ["src/", "tests/", "docs/", "examples/", "benches/", "scripts/", "fuzz/"];
    folders.iter().any(|folder| text.starts_with(folder)) && !text.contains([' ', '*', '<'])
}

/// The targets of links to files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
}

fn read_all(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            read_all(&path, text);
        } else if path.extension().is_some_and(|end| end == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("sources are UTF-8"));
        }
    }
}

#[test]
fn the_demo_points_to_a_heading_of_the_readme() {
    let read = |path: &str| fs::read_to_string(Path::new(ROOT).join(path)).expect("it is a file of ours");
    let summary = read("src/bin/blaster/demo/summary.rs");
    let (_, hint) = summary.split_once(r#"README.md, \""#).expect("the demo names it");
    let (heading, _) = hint.split_once(r#"\""#).expect("the name ends");
    let readme = read("README.md");
    assert!(readme.lines().any(|line| line == format!("## {heading}")), "{heading}");
}

#[test]
fn the_readme_lists_every_example() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("documents are UTF-8");
    for entry in fs::read_dir(Path::new(ROOT).join("examples")).expect("there are examples") {
        let path = entry.expect("the folder can be listed").path();
        if path.extension().is_some_and(|end| end == "rs") {
            let name = path.file_stem().expect("it has a name").to_string_lossy();
            let named = [format!("`{name}`"), format!("--example {name}`")];
            assert!(
                named.iter().any(|name| readme.contains(name)),
                "README.md has no {name}"
            );
        }
    }
}
