//! Tests that need a process of their own: the test binary runs one of its tests again, in another role.

use std::io::{BufReader, Lines};
use std::process::{ChildStdout, Command, Stdio};

/// A command that runs `test` of this binary again in a process of its own, in this `role`. What `sh` is to do before,
/// such as to set a limit, stands in `before`, which may be empty. The child's standard input is open until it is dropped.
pub(crate) fn command(test: &str, role: &str, before: &str) -> Command {
    let mut command = Command::new("sh");
    let run = r#"exec "$0" --exact "$1" --nocapture --quiet --test-threads=1"#;
    command
        .args(["-c", &format!("{before}\n{run}")])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env("CHILD", role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// The role of this process where it is such a child; none where it is the test itself.
pub(crate) fn role() -> Option<String> {
    std::env::var("CHILD").ok()
}

/// Runs `test` again as a child, to its end, and asserts that it went well.
pub(crate) fn run(test: &str, before: &str) {
    let output = command(test, "itself", before).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
}

/// Tells the parent something.
pub(crate) fn say(key: &str, value: impl std::fmt::Display) {
    println!("says:{key}={value}");
}

/// What the child says of `key`; what else it prints before that is passed over.
pub(crate) fn said(lines: &mut Lines<BufReader<ChildStdout>>, key: &str) -> String {
    let start = format!("says:{key}=");
    let found = lines.find_map(|line| Some(line.unwrap().split_once(&start)?.1.to_owned()));
    found.unwrap_or_else(|| panic!("the child says nothing of {key}"))
}
