//! What is said of an environment that cannot be used.

use super::*;

#[test]
fn a_variable_that_is_wrong_is_named_with_what_would_be_right() {
    let east = [("AZURE_INSTANCES", "east"), MAP];
    let rows: [(&[(&str, &str)], &str); 20] = [
        (
            &[
                ("AZURE_INSTANCE_EAST_API_VERSION", "v1"),
                (
                    "AZURE_INSTANCE_EAST_API_BASE",
                    "https://east.example/openai/deployments/my-4o?api-version=2024-10-21",
                ),
            ],
            "AZURE_INSTANCE_EAST_API_BASE must name the version that `api_version` names, or none: it names 2024-10-21",
        ),
        (
            &[("AZURE_INSTANCE_EAST_WEIGHT", "0")],
            "AZURE_INSTANCE_EAST_WEIGHT must be a whole number from 1 to 1000, got text of 1 character",
        ),
        (
            &[("AZURE_INSTANCE_EAST_PRIORITY", "first")],
            "AZURE_INSTANCE_EAST_PRIORITY must be a whole number from 1 to 4294967295, got text of 5 characters",
        ),
        (
            &[("AZURE_INSTANCE_EAST_MAX_TPM", "240k")],
            "AZURE_INSTANCE_EAST_MAX_TPM must be a whole",
        ),
        (
            &[("TOKEN_RATE_LIMIT", "30000  # Tokens per minute")],
            "TOKEN_RATE_LIMIT must be a whole number",
        ),
        (
            &[("AZURE_INSTANCE_EAST_API_KEY", "")],
            "AZURE_INSTANCE_EAST_API_KEY is required: the resource's key",
        ),
        (
            &[("AZURE_INSTANCE_EAST_API_KEY", "canary with blanks")],
            "AZURE_INSTANCE_EAST_API_KEY must be a key",
        ),
        (
            &[("AZURE_INSTANCE_EAST_API_BASE", " ")],
            "AZURE_INSTANCE_EAST_API_BASE is required: the resource's base URL, such as",
        ),
        (
            &[("AZURE_INSTANCE_EAST_API_BASE", "https://u:canary@east.example")],
            "AZURE_INSTANCE_EAST_API_BASE must hold no user name or password (`@`)",
        ),
        (
            &[("AZURE_INSTANCE_EAST_API_VERSION", "latest")],
            "AZURE_INSTANCE_EAST_API_VERSION must be \"v1\" or a date",
        ),
        (
            &[("AZURE_ROUTING_STRATEGY", "fastest")],
            "AZURE_ROUTING_STRATEGY must be \"weighted\", \"round_robin\", \"priority\", \"failover\", \
             \"least_loaded\" or \"two_choices\", got text of 7 characters",
        ),
        (
            &[("AZURE_INSTANCES", ", ,")],
            "AZURE_INSTANCES must be names with commas between",
        ),
        (
            &[("AZURE_INSTANCES", "east,EAST")],
            "\"east\" and \"EAST\" are read from the same variables",
        ),
        (
            &[("AZURE_INSTANCES", "east\u{7}")],
            "AZURE_INSTANCE_EAST__API_BASE is required",
        ),
        (
            &[("MODEL_MAP_GPT_4O", "..")],
            "MODEL_MAP_GPT_4O must be text of 1 to 256 characters",
        ),
        (
            &[("MODEL_MAP_GPT_4O", "")],
            "MODEL_MAP_<MODEL> is required: the deployment that a model leads to",
        ),
        (&[("MODEL_MAP_", "x")], "MODEL_MAP_ must end in the name of a model"),
        (
            &[("MODEL_MAP_GPT4O", "other")],
            "MODEL_MAP_GPT_4O gives the model \"gpt-4o\" to \"my-4o\", and MODEL_MAP_GPT4O gives it to \"other\"",
        ),
        (
            &[("USE_AZURE_OPENAI_ROUND_ROBIN", "maybe")],
            "must be true or false, got text of 5 characters",
        ),
        (
            &[SWITCH],
            "AZURE_OPENAI_ROUND_ROBIN_CONNECTION is required: a JSON array of connections, such as",
        ),
    ];
    for (wrong, said) in rows {
        let error = with(&[&EAST, &east, wrong]).expect_err(said);
        assert!(error.to_string().contains(said), "{error}\n{said}");
        let is_two = said.contains("_EAST__");
        assert_eq!(error.problems().len(), if is_two { 3 } else { 1 }, "{error}");
        let subject = &error.problems()[0].subject;
        assert!(
            error.problems()[0].text.starts_with(subject) && !subject.is_empty(),
            "{error}"
        );
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let error = with(&[&[
        ("AZURE_INSTANCES", "east,west"),
        ("AZURE_INSTANCE_EAST_API_KEY", "canary"),
        ("AZURE_INSTANCE_EAST_API_BASE", "east"),
        ("AZURE_INSTANCE_WEST_WEIGHT", "heavy"),
        ("AZURE_ROUTING_STRATEGY", "best"),
    ]])
    .unwrap_err();
    let mut subjects: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.subject.as_str())
        .collect();
    subjects.sort_unstable();
    let expected = [
        "AZURE_INSTANCE_EAST_API_BASE",
        "AZURE_INSTANCE_WEST_API_BASE",
        "AZURE_INSTANCE_WEST_API_KEY",
        "AZURE_INSTANCE_WEST_WEIGHT",
        "AZURE_ROUTING_STRATEGY",
        "MODEL_MAP_<MODEL>",
    ];
    assert_eq!(subjects, expected, "{error}");
}

#[test]
fn a_connection_that_is_wrong_is_told_by_its_number_and_its_own_words() {
    let good = r#""AZURE_OPENAI_ENDPOINT": "https://a.example", "AZURE_OPENAI_API_KEY": "canary""#;
    let rows = [
        (
            "7".to_owned(),
            "AZURE_OPENAI_ROUND_ROBIN_CONNECTION must be a JSON array of connections, such as",
        ),
        ("[]".to_owned(), "must be a JSON array of connections"),
        (format!("{{{good}}}"), "must be a JSON array of connections"),
        (
            format!("[{{{good}}},]"),
            "CONNECTION is not valid JSON: there is a comma too many, at its character",
        ),
        ("[7]".to_owned(), "CONNECTION[0] must be an object, got a number"),
        (
            format!("[{{{good}}}, {{\"AZURE_OPENAI_ENDPOINT\": \"https://b.example\"}}]"),
            "AZURE_OPENAI_ROUND_ROBIN_CONNECTION[1]: api_key is required",
        ),
        (
            format!("[{{{}}}]", good.replace("https://a", "a")),
            "CONNECTION[0]: AZURE_OPENAI_ENDPOINT must be an absolute URL such as",
        ),
        (
            format!("[{{{good}, \"max_tokens\": 0}}]"),
            "CONNECTION[0]: max_tokens must be a whole number from 1 to 4294967295, got 0",
        ),
        (
            format!("[{{{good}, \"azure_endpont\": \"x\"}}]"),
            "CONNECTION[0]: unknown key \"azure_endpont\"; ",
        ),
        (
            format!("[{{{good}, \"api_key\": \"canary\"}}]"),
            "CONNECTION[0]: api_key says the same as \"AZURE_OPENAI_API_KEY\", which is given too",
        ),
        (
            format!("[{{{good}, \"api_version\": \"latest\"}}]"),
            "CONNECTION[0]: api_version must be \"v1\" or a date",
        ),
    ];
    for (connections, said) in rows {
        let error = problem(&[&[SWITCH, ("AZURE_OPENAI_DEPLOYMENT", "m"), (CONNECTION, &connections)]]);
        assert!(error.contains(said), "{connections}\n{error}");
    }
    let twice = format!("[{{{good}, \"colour\": 1, \"shape\": 2}}]");
    let error = with(&[&[SWITCH, ("AZURE_OPENAI_DEPLOYMENT", "m"), (CONNECTION, &twice)]]).unwrap_err();
    assert_eq!(error.problems().len(), 2, "{error}");
}

#[test]
fn an_environment_that_names_nothing_is_told_what_would_do() {
    let rows: [(&[(&str, &str)], &str); 3] = [
        (
            &[("PATH", "/bin"), ("AZURE_OPENAI_ENDPOINT", "")],
            "AZURE_OPENAI_DEPLOYMENT",
        ),
        (
            &EAST,
            "; variables of instances are set, and AZURE_INSTANCES does not list them",
        ),
        (
            &[(CONNECTION, "[]")],
            "counts once USE_AZURE_OPENAI_ROUND_ROBIN is true",
        ),
    ];
    for (variables, end) in rows {
        let error = problem(&[variables]);
        for would_do in [
            "BLASTER_CONFIG",
            "AZURE_INSTANCES",
            "MODEL_MAP_<MODEL>",
            CONNECTION,
            "AZURE_OPENAI_ENDPOINT",
        ] {
            assert!(error.contains(would_do), "{error}");
        }
        assert!(error.ends_with(end), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_the_variable_that_names_it() {
    let error = with(&[&[("BLASTER_CONFIG", "no-such-folder/x.json"), ("AZURE_INSTANCES", "x")]]).unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
    assert!(
        error.to_string().ends_with("(BLASTER_CONFIG names this file)"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_value_that_is_no_text_is_refused_where_it_is_needed() {
    use std::os::unix::ffi::OsStringExt;
    let nonsense = || OsString::from_vec(b"canary\xff".to_vec());
    let text = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    let mut variables: Vec<_> = [&EAST[1..], &[("AZURE_INSTANCES", "east"), MAP]]
        .concat()
        .iter()
        .map(text)
        .collect();
    variables.push(("AZURE_INSTANCE_EAST_API_KEY".into(), nonsense()));
    variables.push((nonsense(), nonsense()));
    let error = from_vars(variables).unwrap_err();
    assert_eq!(error.to_string(), "AZURE_INSTANCE_EAST_API_KEY must be Unicode text");
}

#[test]
fn problems_beyond_the_first_twenty_are_counted() {
    let names: Vec<_> = (0..100).map(|number| format!("i{number}")).collect();
    let error = from_vars([("AZURE_INSTANCES", names.join(",").as_str()), MAP]).unwrap_err();
    assert_eq!(error.problems().len(), ConfigError::LISTED);
    assert!(error.to_string().ends_with("\n… and 180 more"), "{error}");
}

proptest::proptest! {
    #[test]
    fn connections_of_any_shape_are_read_or_refused(text in "[\\[\\]{}:,\"\\\\a1. $ßx-]{0,40}") {
        let text = format!("[{text}]");
        let _ = from_vars([SWITCH, (CONNECTION, text.as_str()), ("AZURE_OPENAI_DEPLOYMENT", "m")]);
    }
}
