//! The text of a configuration, and the plain JSON that it is read as, in which every place is still known.
//!
//! JSON may hold comments and a comma after the last entry: blanks take their place, so that nothing else moves. YAML
//! is written anew as JSON, with a list of what came from where.

use std::borrow::Cow;

use jsonc_parser::Scanner;
use jsonc_parser::ScannerOptions;
use jsonc_parser::tokens::Token;

use super::json::{SyntaxError, line_and_column};

/// A text that was read, and what it says as plain JSON.
#[derive(Debug)]
pub(super) struct Source<'t> {
    text: &'t str,
    json: Cow<'t, str>,
    /// Places in the JSON with those in the text that they came from, in order; empty where they are the same.
    places: Vec<(usize, usize)>,
}

impl<'t> Source<'t> {
    /// A text of which nothing is read.
    pub(super) fn unread(text: &'t str) -> Self {
        Source {
            text,
            json: Cow::Borrowed(""),
            places: Vec::new(),
        }
    }

    /// Text in JSON, with or without comments.
    pub(super) fn of_json(text: &'t str) -> Self {
        Source {
            text,
            json: plain(text),
            places: Vec::new(),
        }
    }

    /// Text in YAML.
    #[cfg(feature = "yaml")]
    pub(super) fn of_yaml(text: &'t str) -> Result<Self, SyntaxError> {
        let (json, places) = super::yaml::as_json(text)?;
        Ok(Source {
            text,
            json: Cow::Owned(json),
            places,
        })
    }

    /// Text in YAML, which needs the feature.
    #[cfg(not(feature = "yaml"))]
    pub(super) fn of_yaml(_: &'t str) -> Result<Self, SyntaxError> {
        Err(SyntaxError {
            at: 0,
            why: "YAML is read by builds with the feature `yaml`; build with it, or write JSON".into(),
        })
    }

    pub(super) fn json(&self) -> &str {
        &self.json
    }

    /// Line and column in the text, both counted from 1, of what stands at that byte of the JSON.
    pub(super) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let after = self.places.partition_point(|(json, _)| *json <= at);
        let at = match after.checked_sub(1) {
            Some(index) => self.places[index].1,
            None => at,
        };
        line_and_column(self.text, at)
    }
}

/// `text` with blanks in place of its comments, and of each comma that follows the last entry of a list or an object.
/// Where it is no JSON of that kind, the rest stays as it is, for the reader to complain of.
fn plain(text: &str) -> Cow<'_, str> {
    let mut scanner = Scanner::new(text, &ScannerOptions::default());
    let mut blanks = Vec::new();
    let mut comma = None;
    let mut after_entry = false;
    while let Ok(Some(token)) = scanner.scan() {
        let at = scanner.token_start()..scanner.token_end();
        match token {
            Token::CommentLine(_) | Token::CommentBlock(_) => {
                blanks.push(at);
                continue;
            }
            Token::CloseBrace | Token::CloseBracket => blanks.extend(comma.take()),
            _ => {}
        }
        comma = (token == Token::Comma && after_entry).then_some(at);
        after_entry = !matches!(
            token,
            Token::Comma | Token::Colon | Token::OpenBrace | Token::OpenBracket
        );
    }
    if blanks.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    blanks.sort_by_key(|blank| blank.start);
    let mut done = 0;
    for blank in blanks {
        plain += &text[done..blank.start];
        // Byte for byte, so that places stay, and line by line.
        plain.extend(text.as_bytes()[blank.clone()].iter().map(|byte| match byte {
            b'\n' => '\n',
            _ => ' ',
        }));
        done = blank.end;
    }
    plain += &text[done..];
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_leave_blanks_and_nothing_moves() {
        let rows = [
            ("{}", "{}"),
            ("{ // ä\n}", "{      \n}"),
            ("{/* a\n b */\"a\": 1}", "{    \n     \"a\": 1}"),
            ("[1, 2, ]", "[1, 2  ]"),
            ("[1, // last\n]", "[1         \n]"),
            ("{\"a\": [{},],}", "{\"a\": [{} ] }"),
            ("{\"a\": \"// no, }\",}", "{\"a\": \"// no, }\" }"),
            ("{\"a\": \"\\\" // no\"}", "{\"a\": \"\\\" // no\"}"),
            // These are mistakes, and stay.
            ("[,]", "[,]"),
            ("[1,,]", "[1,,]"),
            ("{\"a\":,}", "{\"a\":,}"),
            ("# note\n{}", "# note\n{}"),
            ("{} /* open", "{} /* open"),
        ];
        for (text, expected) in rows {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
