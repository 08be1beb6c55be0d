//! The `blaster` command as a person or a script meets it: streams, signals and exit codes, in processes of its own.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

/// The command with these arguments; its log is off.
fn blaster(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blaster"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    blaster(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The line of a table that begins with this word.
fn row<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = rows.filter(|words| words.first() == Some(&name));
    found.next().unwrap_or_else(|| panic!("no line for {name} in:\n{text}"))
}

#[test]
fn a_short_demo_on_a_pipe_answers_everything() {
    let output = run(&["demo", "--requests", "200"]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(
        stdout.starts_with("All 200 prompts got their own answer in "),
        "{stdout}"
    );
    for name in ["sweden", "virginia", "paris", "tokyo"] {
        assert_eq!(row(stdout, name).len(), 14, "{stdout}");
        assert!(stderr.contains(&format!("  {name} ")), "{stderr}");
    }
    assert!(
        stdout.contains("virginia was to die, but the demo ended before."),
        "{stdout}"
    );
    assert!(!stdout.contains('\x1b') && !stderr.contains('\x1b'), "{stdout}{stderr}");
}

#[test]
fn the_whole_demo_survives_a_death_on_the_way() {
    let output = run(&["demo"]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(
        stdout.starts_with("All 3,000 prompts got their own answer in "),
        "{stdout}"
    );
    assert!(stdout.contains(" refused with 429, "), "{stdout}");
    for fact in ["noticed", "failed", "ejected", "revived", "probed", "back"] {
        let line = row(stdout, fact).join(" ");
        assert!(!line.contains("not "), "{line}");
    }
    assert!(row(stdout, "failed").join(" ").contains(", all answered"), "{stdout}");
    let lines = stderr.lines().filter(|line| line.contains(" of 3,000, "));
    assert!(lines.count() >= 4, "{stderr}");
    for news in [
        "virginia dies",
        "virginia is ejected",
        "virginia lives again",
        "virginia answers again",
    ] {
        assert!(stderr.contains(news), "{news}: {stderr}");
    }
}

#[test]
fn a_quiet_demo_prints_its_summary_alone() {
    let output = run(&["demo", "-n", "20", "--quiet"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
    assert!(text(&output.stdout).starts_with("All 20 prompts"));
}

#[test]
fn a_demo_whose_reader_has_gone_ends_well() {
    let mut child = blaster(&["demo", "-n", "20", "-q"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn wrong_arguments_end_with_2_and_say_what_would_be_right() {
    for (arguments, said) in [
        (["demo", "--requests", "0"], "0 is not in 1.."),
        (
            ["demo", "--requests", "many"],
            "invalid value 'many' for '--requests <N>'",
        ),
        (["demo", "--workers", "0"], "0 is not in 1..=16384"),
        (["demo", "--workers", "20000"], "20000 is not in 1..=16384"),
        (["demo", "--seed", "-1"], "unexpected argument '-1'"),
        (["demo", "--request", "5"], "a similar argument exists: '--requests'"),
        (["sim", "--port", "70000"], "70000 is not in 1..=65535"),
        (["sim", "--config", "no-such.json"], "no-such.json"),
    ] {
        let output = run(&arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}

#[test]
fn help_names_every_option() {
    let output = run(&["demo", "--help"]);
    for option in [
        "--requests",
        "--workers",
        "--seed",
        "--quiet",
        "Examples:",
        "Exit codes:",
    ] {
        assert!(text(&output.stdout).contains(option), "{option}");
    }
}

/// Starts the command and reads its stderr up to a line that holds `sign`; returns what was read too.
#[cfg(unix)]
fn start_and_read_until(arguments: &[&str], sign: &str) -> (Child, BufReader<std::process::ChildStderr>, String) {
    let mut child = blaster(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut read = String::new();
    while !read.lines().last().is_some_and(|line| line.contains(sign)) {
        assert_ne!(stderr.read_line(&mut read).unwrap(), 0, "no {sign:?} in {read}");
    }
    (child, stderr, read)
}

/// As Ctrl-C does.
#[cfg(unix)]
fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_demo_with_a_summary_and_130() {
    let (child, mut stderr, _) = start_and_read_until(&["demo"], " of 3,000, ");
    interrupt(&child);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{stdout}{rest}");
    assert!(rest.contains("Ctrl-C: finishing "), "{rest}");
    assert!(stdout.starts_with("Stopped by Ctrl-C. "), "{stdout}");
    let begun = |line: &&str| line.ends_with(" were not begun");
    assert!(stdout.lines().any(|line| begun(&line)), "{stdout}");
    assert_eq!(row(stdout, "sweden").len(), 14, "{stdout}");
}

#[cfg(unix)]
#[test]
fn a_fleet_prints_its_endpoints_and_sums_up_on_ctrl_c() {
    let (child, mut stderr, introduction) = start_and_read_until(&["sim"], "The configuration for blaster");
    for name in ["sweden", "virginia", "paris-ptu", "tokyo"] {
        assert!(
            row(&introduction, name)[1].starts_with("http://127.0.0.1:"),
            "{introduction}"
        );
    }
    interrupt(&child);
    let mut summary = String::new();
    stderr.read_to_string(&mut summary).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert_eq!(row(&summary, "sweden")[1], "0", "{summary}");
    let config = azure_openai_blaster::BlasterConfig::from_json(text(&output.stdout)).unwrap();
    assert_eq!(config.deployments.len(), 4);
}

#[cfg(unix)]
#[test]
fn a_fleet_goes_on_when_nobody_reads_what_it_says() {
    let (mut child, stderr, _) = start_and_read_until(&["sim"], "4 simulated deployments");
    drop(stderr);
    // Once its configuration has come the fleet has said all that it says before it ends.
    let mut config = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    while !config.ends_with("\n}\n") {
        assert_ne!(stdout.read_line(&mut config).unwrap(), 0, "{config}");
    }
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_file_for_blaster_is_told_from_that_of_a_fleet() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = r#"{"deployments": [{"name": "a", "endpoint": "http://127.0.0.1:1", "api_key": "k", "model": "m"}]}"#;
    std::fs::write(file.path(), config).unwrap();
    let output = run(&["sim", "--config", file.path().to_str().unwrap()]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("unknown field `endpoint`"), "{stderr}");
    assert!(stderr.contains("looks like a configuration of blaster"), "{stderr}");
}
