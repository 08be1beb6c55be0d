//! The `blaster` command as a person or a script meets it: streams, signals and exit codes, in processes of its own.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
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
fn the_log_shows_what_the_http_client_says_only_where_it_is_asked_for() {
    for (filter, own, clients) in [
        ("trace", true, false),
        ("trace,ureq=debug", true, true),
        ("ureq_proto=trace", false, true),
    ] {
        let output = blaster(&["demo", "--requests", "20", "--quiet"])
            .env("RUST_LOG", filter)
            .output()
            .unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        for (target, shown) in [(" azure_openai_blaster::", own), (" ureq", clients)] {
            assert_eq!(stderr.contains(target), shown, "{filter}: {target}: {stderr:.2000}");
        }
    }
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
    assert!(
        !stdout.contains("refused with 429"),
        "the small quota is kept to: {stdout}"
    );
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

/// The command in a folder of its own, with these variables and no other that a configuration could be made of.
fn check(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = blaster(&[&["check"], arguments].concat());
    command.env_clear().current_dir(folder).envs(variables.iter().copied());
    command.output().unwrap()
}

#[test]
fn a_configuration_that_is_right_is_shown_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = r#"{
      "strategy": "priority",
      "quota_groups": {"east-4o": {"tpm_limit": 240000}, "spare": {}},
      "deployments": [
        {"name": "east", "endpoint": "https://east.openai.azure.com", "api_key": "${KEY}", "model": "my-4o",
         "serves": ["gpt-4o"], "weight": 3, "priority": 2, "rpm_limit": 600, "tpm_limit": 100000,
         "quota_group": "east-4o", "sku": "provisioned", "headers": {"x-team": "canary"}, "request_window_s": 1,
         "api_version": "2024-10-21"},
        {"name": "local", "endpoint": "http://127.0.0.1:8080/v1", "api_key": null, "model": "m", "kind": "openai"}
      ]
    }"#;
    fs::write(folder.path().join("config.json"), file).unwrap();
    let output = check(folder.path(), &["--config", "config.json"], &[("KEY", "canary-key")]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    let expected = "\
2 deployments from config.json: strategy priority, 128 workers

east
  URL      https://east.openai.azure.com/openai/deployments/my-4o/chat/completions?api-version=2024-10-21
  model    my-4o
  sku      provisioned
  serves   gpt-4o
  key      set (hidden)
  tier     2
  weight   3
  limits   600 requests and 100000 tokens a minute, requests counted in 1 s
  group    east-4o
  headers  x-team

local
  URL      http://127.0.0.1:8080/v1/chat/completions
  model    m
  serves   m
  key      none
  tier     1
  weight   1
  limits   none stated

quota group east-4o
  limits   240000 tokens a minute
  members  east

quota group spare
  limits   none stated
  members  none
";
    assert_eq!(stdout, expected);
    assert_eq!(
        stderr,
        "blaster: warning: no deployment draws from these quota groups: spare\n"
    );
}

/// A configuration of two deployments, one of them on this machine, and `settings` beside them.
fn two_deployments(settings: &str) -> String {
    format!(
        r#"{{{settings} "deployments": [
          {{"name": "east", "endpoint": "https://east.example", "api_key": "canary-key", "model": "m"}},
          {{"name": "local", "endpoint": "http://127.0.0.1:8080", "api_key": null, "model": "m"}}]}}"#
    )
}

#[test]
fn the_proxy_that_leads_to_a_deployment_is_shown_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |settings: &str, variables: &[(&str, &str)]| {
        fs::write(folder.path().join("config.json"), two_deployments(settings)).unwrap();
        let output = check(folder.path(), &["-c", "config.json"], variables);
        let (stdout, stderr) = (text(&output.stdout).to_owned(), text(&output.stderr).to_owned());
        assert!(
            !stdout.contains("canary") && !stderr.contains("canary"),
            "{stdout}{stderr}"
        );
        let proxies: Vec<_> = stdout
            .lines()
            .filter_map(|line| line.strip_prefix("  proxy    "))
            .collect();
        (output.status.code(), proxies.join("\n"), stderr)
    };
    let https = ("HTTPS_PROXY", "http://user:canary@proxy.example:3128");
    let socks = ("ALL_PROXY", "socks5://user:canary@proxy.example:1080");
    let through = "http://proxy.example:3128 (HTTPS_PROXY)".to_owned();
    assert_eq!(shown("", &[https]), (Some(0), through.clone(), String::new()));
    assert_eq!(shown("", &[https, socks]), (Some(0), through, String::new()));
    let none = (Some(0), String::new(), String::new());
    assert_eq!(shown("", &[https, socks, ("NO_PROXY", "example")]), none);
    assert_eq!(shown(r#""proxy": "","#, &[https, socks]), none);
    let own = r#""proxy": "https://user:canary@own.example:443","#;
    assert_eq!(
        shown(own, &[socks]),
        (Some(0), "https://own.example:443".to_owned(), String::new())
    );

    let (code, _, stderr) = shown("", &[socks]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.starts_with("blaster: ALL_PROXY names a SOCKS proxy, which is not supported"),
        "{stderr}"
    );
    let (code, _, stderr) = shown("", &[("HTTP_PROXY", "http://proxy.example:3128")]);
    assert_eq!(code, Some(0));
    assert!(
        stderr.starts_with("blaster: warning: HTTP_PROXY is for http:// endpoints alone"),
        "{stderr}"
    );
}

#[test]
fn the_file_of_authorities_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let ended = |pem: Option<&str>| {
        let path = folder.path().join("ca.pem");
        let _ = fs::remove_file(&path);
        if let Some(pem) = pem {
            fs::write(&path, pem).unwrap();
        }
        fs::write(
            folder.path().join("config.json"),
            two_deployments(r#""ca_file": "ca.pem","#),
        )
        .unwrap();
        let output = check(folder.path(), &["-c", "config.json"], &[]);
        (output.status.code(), text(&output.stderr).to_owned())
    };
    let good = rcgen::generate_simple_self_signed(["localhost".to_owned()])
        .unwrap()
        .cert
        .pem();
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(ended(Some(&format!("\u{feff}{good}"))), (Some(0), String::new()));
    for (pem, code, said) in [
        (None, 2, "blaster: ca_file: reading the file that it names: "),
        (
            Some("hello"),
            2,
            "blaster: ca_file ca.pem: there is no certificate in it",
        ),
        (
            Some(bad),
            2,
            "blaster: ca_file ca.pem: no certificate in it can be used as an authority: certificate 1: ",
        ),
        (
            Some(&*format!("{good}{bad}{good}")),
            0,
            "blaster: warning: ca_file ca.pem: 1 of 3 certificates cannot be used and are passed over: certificate 2: ",
        ),
    ] {
        let (ended, stderr) = ended(pem);
        assert_eq!(ended, Some(code), "{stderr}");
        assert!(stderr.starts_with(said), "{stderr}");
    }
}

#[test]
fn a_configuration_that_is_wrong_ends_with_2_and_every_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let file = "{\n\"num_worker\": 8,\n\"deployments\": [{\"name\": \"east\", \"endpoint\": \"x\", \
                \"api_key\": \"canary\", \"model\": \"m\"}]}";
    fs::write(folder.path().join("config.json"), file).unwrap();
    let output = check(folder.path(), &["--config", "config.json"], &[]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{stderr}");
    assert!(
        stderr.starts_with("blaster: the configuration cannot be used:\nconfig.json:2:1: unknown key"),
        "{stderr}"
    );
    assert!(
        stderr.contains("\nconfig.json:3:") && !stderr.contains("canary"),
        "{stderr}"
    );

    for (arguments, said) in [
        (&["--config", "none.json"][..], "reading none.json: "),
        (
            &["--env"],
            "no variable of the environment names a deployment: set BLASTER_CONFIG",
        ),
        (&["--env", "--config", "config.json"], "cannot be used with"),
    ] {
        let output = check(folder.path(), arguments, &[]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}

#[test]
fn a_dot_env_file_is_read_beneath_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = "# keys\nAZURE_INSTANCES=east,west\nMODEL_MAP_GPT_4O=my-4o\n\
                AZURE_INSTANCE_EAST_API_KEY=canary\nAZURE_INSTANCE_EAST_API_BASE=https://file.example\n";
    fs::write(folder.path().join(".env"), file).unwrap();
    let own = [
        ("AZURE_INSTANCES", "east"),
        ("AZURE_INSTANCE_EAST_API_BASE", "https://process.example"),
        ("AZURE_INSTANCE_WEST_API_KEY", "canary"),
    ];
    let output = check(folder.path(), &[], &own);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(
        stdout.starts_with("1 deployment from AZURE_INSTANCES: strategy failover, 64 workers\n"),
        "{stdout}"
    );
    assert!(
        row(stdout, "URL")[1].starts_with("https://process.example/"),
        "{stdout}"
    );
    assert_eq!(row(stdout, "limits").join(" "), "limits 30000 tokens a minute");
    assert!(
        stderr.contains("warning: AZURE_INSTANCE_WEST_API_KEY has no effect"),
        "{stderr}"
    );
    assert!(
        !stdout.contains("canary") && !stderr.contains("canary"),
        "{stdout}{stderr}"
    );

    let config = r#"{"deployments": [{"name": "a", "endpoint": "${AZURE_INSTANCE_EAST_API_BASE}",
        "api_key": "${AZURE_INSTANCE_EAST_API_KEY}", "model": "m"}]}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    let output = check(folder.path(), &["-c", "config.json"], &[]);
    assert!(
        row(text(&output.stdout), "URL")[1].starts_with("https://file.example/"),
        "{output:?}"
    );

    fs::write(folder.path().join(".env"), "A=1\nKEY=canary canary\n").unwrap();
    let output = check(folder.path(), &["-c", "config.json"], &[]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.starts_with("blaster: .env:2:1: must be NAME=value") && !stderr.contains("canary"),
        "{stderr}"
    );
}

#[test]
fn a_file_is_taken_without_a_flag_in_json_and_yaml_and_what_was_made_of_it_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let json = r#"{ // pasted
      "deployments": [{"name": "east", "api_key": "canary-key", "endpoint":
        "https://x.openai.azure.com/openai/deployments/my%204o/chat/completions?api-version=2024-10-21"},]}"#;
    let yaml = "deployments:\n  - name: foundry\n    api_key: canary-key\n    \
                endpoint: https://x.services.ai.azure.com/api/projects/p\n    models:\n      - {name: a, tpm: 1000}\n      \
                - {name: b}\n";
    fs::write(folder.path().join("config.json"), json).unwrap();
    fs::write(folder.path().join("config.yaml"), yaml).unwrap();

    let output = check(folder.path(), &["config.json"], &[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", text(&output.stderr));
    let url = "https://x.openai.azure.com/openai/deployments/my%204o/chat/completions?api-version=2024-10-21";
    assert_eq!(row(stdout, "URL")[1], url, "{stdout}");
    assert_eq!(row(stdout, "model").join(" "), "model my 4o", "{stdout}");

    let output = check(folder.path(), &["config.yaml"], &[]);
    let stdout = text(&output.stdout);
    assert!(
        stdout.starts_with("2 deployments from config.yaml"),
        "{stdout}{}",
        text(&output.stderr)
    );
    let url = "https://x.services.ai.azure.com/api/projects/p/openai/v1/chat/completions";
    assert_eq!(row(stdout, "URL")[1], url, "{stdout}");
    assert!(
        stdout.contains("\nfoundry/a\n") && stdout.contains("\nfoundry/b\n"),
        "{stdout}"
    );

    let output = check(folder.path(), &["config.json", "--config", "config.json"], &[]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

/// The blaster and the fleet share 64 files here, which the connections of either would use up.
#[cfg(unix)]
#[test]
fn a_demo_ends_where_there_are_few_files() {
    let output = limited("ulimit -n 64", &["demo", "--quiet", "--requests", "200"]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("200"), "{stdout}");
}

/// The limit is on addresses, of which each thread takes some for its stack.
#[cfg(target_os = "linux")]
#[test]
fn a_fleet_that_gets_no_threads_says_so() {
    let output = limited("ulimit -v 400000", &["sim", "--threads", "1000"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("starting 1000 threads for the simulator") && !stderr.contains("panicked"),
        "{stderr}"
    );
}

/// Runs the command within a limit of the shell's.
#[cfg(unix)]
fn limited(limit: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!(r#"{limit}; exec "$0" "$@""#)])
        .arg(env!("CARGO_BIN_EXE_blaster"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command.output().unwrap()
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
