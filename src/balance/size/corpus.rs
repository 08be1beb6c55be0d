//! How far the estimate is off, by kind of text.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::text::Texts;

/// Texts written for this test, each with its tokens as the tokeniser of gpt-4o and later (o200k_base) counts them.
pub(super) const TEXTS: &str = include_str!("corpus.jsonl");

#[derive(Deserialize)]
pub(super) struct Text {
    pub(super) kind: String,
    pub(super) tokens: u32,
    pub(super) text: String,
}

pub(super) fn corpus() -> Vec<Text> {
    let read = |line| serde_json::from_str(line).unwrap();
    TEXTS.lines().map(read).collect()
}

fn estimate(text: &str) -> f64 {
    let mut texts = Texts::new();
    texts.read_raw(text.as_bytes());
    texts.tokens()
}

/// By how many percent the estimate of each kind is off, exactly: whoever changes the estimate sees what it does.
const ERRORS: &[(&str, i32)] = &[
    ("Arabic", 0),
    ("Bengali", -10),
    ("C", -3),
    ("CSV", -3),
    ("Chinese", 9),
    ("Chinese (traditional)", -13),
    ("Dutch", 5),
    ("English", 3),
    ("Finnish", -23),
    ("French", 12),
    ("German", 2),
    ("Greek", 5),
    ("HTML", 0),
    ("Hebrew", 4),
    ("Hindi", 6),
    ("Italian", -11),
    ("JSON, compact", 0),
    ("JSON, indented", -1),
    ("Japanese", 3),
    ("Korean", -4),
    ("LaTeX", -17),
    ("Markdown", -6),
    ("Persian", -7),
    ("Polish", -16),
    ("Portuguese", 9),
    ("Python", 1),
    ("Russian", 2),
    ("Rust", 1),
    ("SQL", 7),
    ("Spanish", 3),
    ("Thai", 1),
    ("Turkish", -10),
    ("TypeScript", 5),
    ("URLs", -12),
    ("Ukrainian", -18),
    ("Vietnamese", -1),
    ("base64", -17),
    ("emoji and chat", -3),
    ("hex and ids", -2),
    ("log", 2),
    ("numbers", 0),
    ("shell", -4),
];

#[test]
fn the_error_is_known_for_every_kind_of_text() {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for text in corpus() {
        let sum = sums.entry(text.kind).or_default();
        sum.0 += f64::from(text.tokens);
        sum.1 += estimate(&text.text);
    }
    let errors: Vec<(String, i32)> = sums
        .into_iter()
        .map(|(kind, (tokens, estimated))| (kind, (100.0 * (estimated / tokens - 1.0)).round() as i32))
        .collect();
    let errors: Vec<(&str, i32)> = errors.iter().map(|(kind, error)| (kind.as_str(), *error)).collect();
    assert_eq!(errors, ERRORS);
}

#[test]
fn a_text_counts_the_same_escaped_or_not() {
    for Text { text, kind, .. } in corpus() {
        let plain = estimate(&text);
        let ascii: String = text
            .chars()
            .map(|char| {
                let mut units = [0; 2];
                let escape = |unit: &mut u16| format!("\\u{unit:04x}");
                match char {
                    '"' | '\\' => format!("\\{char}"),
                    ' '..='~' => char.to_string(),
                    _ => char.encode_utf16(&mut units).iter_mut().map(escape).collect(),
                }
            })
            .collect();
        for json in [serde_json::to_string(&text).unwrap(), format!("\"{ascii}\"")] {
            let mut texts = Texts::new();
            assert_eq!(texts.read(json.as_bytes(), 1), json.len());
            assert!(
                (texts.tokens() - plain).abs() < 1e-9,
                "{kind}: {} and {plain}",
                texts.tokens()
            );
        }
    }
}
