//! az and azd, as scripts.

use super::*;

/// Around a script in place of a command.
fn with_command(name: &str, script: &str) -> (tempfile::TempDir, Around) {
    let (folder, path) = command(name, script);
    (folder, Around::nothing().with(&[("PATH", &path)]))
}

fn az(script: &str) -> (tempfile::TempDir, Around) {
    with_command("az", script)
}

#[test]
fn az_is_run_with_the_scope_and_the_tenant_and_without_colours() {
    let answer = az_token(SCOPE, unix_now() + 4000);
    let (folder, around) = az(&format!(
        "echo \"$* $AZURE_CORE_NO_COLOR\" > \"$(dirname \"$0\")/said\"\necho '{answer}'"
    ));
    let own = Identity {
        tenant_id: Some("contoso.example".into()),
        ..identity(EntraCredential::Az)
    };
    let token = around.source_of(&own).ask(SCOPE, &Stop::default()).unwrap();
    let left = token.life(clock::wall()).unwrap().left;
    assert!(left > Duration::from_secs(3900), "{left:?}");
    let said = std::fs::read_to_string(folder.path().join("said")).unwrap();
    assert_eq!(
        said.trim(),
        format!("account get-access-token -o json --scope {SCOPE} --tenant contoso.example true")
    );
}

#[test]
fn the_chain_comes_to_az_and_then_to_azd() {
    let (_folder, around) = az(&format!("echo '{}'", az_token(SCOPE, unix_now() + 4000)));
    around.ask(EntraCredential::Default).unwrap();
    let token = fresh(SCOPE);
    let (_folder, around) = with_command(
        "azd",
        &format!("echo '{{\"token\":\"{token}\",\"expiresOn\":\"2099-01-02T03:04:05Z\"}}'"),
    );
    around.ask(EntraCredential::Default).unwrap();
    let (_folder, around) = with_command(
        "azd",
        "echo 'ERROR: not logged in, run `azd auth login` to login' >&2; exit 1",
    );
    said(
        around.ask(EntraCredential::Default),
        false,
        &["azd: azd is not logged in; run `azd auth login`"],
    );
}

#[test]
fn what_is_wrong_with_az_is_told_with_the_next_step() {
    said(
        Around::nothing().ask(EntraCredential::Az),
        false,
        &["not installed, or not on the PATH", "install the Azure CLI"],
    );
    let old = format!(
        "echo '{{\"accessToken\":\"{}\",\"expiresOn\":\"2030-01-02 03:04:05.0\",\"tokenType\":\"Bearer\"}}'",
        fresh(SCOPE)
    );
    let rows = [
        (
            old.as_str(),
            false,
            "older than 2.54 and does not say when its tokens end; run `az upgrade`",
        ),
        (
            "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
            false,
            "az is not logged in; run `az login`",
        ),
        (
            "echo 'ERROR: AADSTS90002: Tenant x not found.' >&2; exit 1",
            false,
            "there is no tenant",
        ),
        (
            "echo 'ERROR: AADSTS700082: The refresh token has expired due to inactivity.' >&2; exit 1",
            false,
            "run `az login`",
        ),
        (
            "echo 'canary and garbage'",
            false,
            "answered with something that is no token",
        ),
        ("true", false, "answered with something that is no token"),
        ("printf '\\377\\376'", false, "answered with something that is no token"),
        (
            "echo 'Traceback: eyJhbGci.eyJjYW5hcnki.canary' >&2; exit 3",
            false,
            "exit code 3: Traceback: (hidden)",
        ),
        (
            "echo 'HTTPSConnectionPool: Max retries exceeded' >&2; exit 1",
            true,
            "see what `az account get-access-token` says",
        ),
        ("kill -9 $$", false, "az failed with exit code 137"),
        ("exec /nonexistent/python", false, "az"),
    ];
    for (script, is_passing, words) in rows {
        let (_folder, around) = az(script);
        said(around.ask(EntraCredential::Az), is_passing, &[words]);
    }
}

/// Whether a process is there, and no mere entry of one that is over.
fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    status.is_ok_and(|stat| {
        !stat
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with(['Z', 'X']))
    })
}

#[cfg(target_os = "linux")]
#[test]
fn az_that_is_slow_is_ended_with_its_children() {
    let (folder, mut around) =
        az("sleep 600 &\necho $! > \"$(dirname \"$0\")/child\"\necho $$ > \"$(dirname \"$0\")/own\"\nwait");
    // Long enough for it to have started its child, wherever the test runs.
    around.limits.command = Duration::from_secs(2);
    said(
        around.ask(EntraCredential::Az),
        true,
        &["did not answer within 2 s and was ended"],
    );
    for name in ["child", "own"] {
        let pid = std::fs::read_to_string(folder.path().join(name)).unwrap();
        let until = clock::now() + Duration::from_secs(30);
        while is_alive(&pid) {
            assert!(clock::now() < until, "the {name} {pid} lives on");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// How many processes of this name that were started with this argument there are.
#[cfg(target_os = "linux")]
fn sleepers(argument: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let line = format!("sleep\0{argument}\0");
    lines.filter(|found| *found == line.as_bytes()).count()
}

#[cfg(target_os = "linux")]
#[test]
fn the_answer_of_az_counts_though_a_child_keeps_its_pipes_open() {
    let answer = az_token(SCOPE, unix_now() + 4000);
    // One of its group, and one that has left it.
    for (starts, number) in [("sleep", "600.125"), ("setsid sleep", "600.25")] {
        let (_folder, around) = az(&format!("{starts} {number} &\necho '{answer}'"));
        around.ask(EntraCredential::Az).unwrap();
        if starts == "sleep" {
            let until = clock::now() + Duration::from_secs(30);
            while sleepers(number) > 0 {
                assert!(clock::now() < until, "its child lives on");
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    }
}

#[test]
fn az_that_never_stops_talking_is_ended() {
    for script in [
        "exec yes canary",
        "yes canary >&2; exit 1",
        "trap '' TERM PIPE; while :; do echo canary; done",
    ] {
        let (_folder, mut around) = az(script);
        around.limits.command = Duration::from_secs(2);
        let text = around.ask(EntraCredential::Az).unwrap_err().to_string();
        assert!(text.starts_with("az ") && text.len() < 1000, "{text}");
    }
}

#[test]
fn az_is_ended_when_nobody_waits_any_more() {
    let (_folder, around) = az("sleep 600");
    let source = around.source(EntraCredential::Az);
    let stop = Stop::default();
    let thrown = stop.clone();
    let asking = std::thread::spawn(move || source.ask(SCOPE, &stop));
    std::thread::park_timeout(Duration::from_millis(50));
    thrown.throw();
    said(asking.join().unwrap(), true, &["ended with the program"]);
}

#[test]
fn az_that_says_very_much_is_not_held_up_by_it() {
    let (_folder, around) = az(
        "i=0; while [ $i -lt 3000 ]; do echo 'a line of about fifty letters, again and again' >&2; i=$((i+1)); done; exit 1",
    );
    said(
        around.ask(EntraCredential::Az),
        false,
        &["exit code 1: a line of about fifty letters"],
    );
}
