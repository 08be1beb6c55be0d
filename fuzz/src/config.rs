//! Any text is a configuration that holds all rules, or an error that says where; what was accepted reads the same
//! again after it was written.

use azure_openai_blaster::internals::parse;

/// The input is the text of a file.
pub fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let env = |name: &str| name.len().is_multiple_of(2).then(|| format!("value-of-{name}"));
    match parse(text, Some("fuzz.json"), &env) {
        Err(error) => assert!(error.to_string().contains("fuzz.json"), "{error}"),
        Ok(config) => {
            config.validate().expect("what was read holds all rules");
            let written = serde_json::to_string(&config).expect("a configuration of Unicode texts can be written");
            let again = parse(&written, None, &env).expect("what was written can be read");
            let rewritten = serde_json::to_string(&again).expect("a configuration of Unicode texts can be written");
            assert_eq!(written, rewritten);
        }
    }
}
