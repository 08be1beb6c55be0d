//! What the last user message asks of the simulator itself.
//!
//! | text | effect |
//! |---|---|
//! | `id:abc123` | the answer begins with `id:abc123` |
//! | `sim:tool` | the first function that is offered is called |
//! | `sim:refuse` | the model refuses (`message.refusal`) |
//! | `sim:filter-prompt` | 400 `content_filter` |
//! | `sim:filter-answer` | the answer ends with finish reason `content_filter` |
//! | `sim:tokens=300` | the answer has 300 tokens |

/// What the last user message asks of the simulator itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Markers {
    /// `id:` and what follows, for the answer to begin with.
    pub(crate) echo: Option<String>,
    pub(crate) tool: bool,
    pub(crate) refuse: bool,
    pub(crate) filter_prompt: bool,
    pub(crate) filter_answer: bool,
    pub(crate) tokens: Option<u64>,
}

impl Markers {
    /// Reads the markers in a text.
    pub(crate) fn read(text: &str) -> Self {
        let mut markers = Markers::default();
        // Colons are rare, and one search for them is quicker than one for each marker.
        for (colon, _) in text.match_indices(':') {
            let (before, word) = (&text[..colon], word(&text[colon + 1..]));
            if before.ends_with("sim") {
                markers.note(word);
            } else if markers.echo.is_none()
                && !word.is_empty()
                && let Some(before) = before.strip_suffix("id")
                && !before.ends_with(char::is_alphanumeric)
            {
                markers.echo = Some(format!("id:{word}"));
            }
        }
        markers
    }

    fn note(&mut self, word: &str) {
        match word {
            "tool" => self.tool = true,
            "refuse" => self.refuse = true,
            "filter-prompt" => self.filter_prompt = true,
            "filter-answer" => self.filter_answer = true,
            _ => {
                let tokens = word.strip_prefix("tokens=").and_then(|n| n.parse().ok());
                self.tokens = tokens.or(self.tokens);
            }
        }
    }
}

/// The letters, digits, `-`, `_` and `=` that a text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=')));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_where_it_is_a_word_of_its_own() {
        for (text, echo) in [
            ("id:abc123", Some("id:abc123")),
            ("Please answer id:j-17_x, quickly", Some("id:j-17_x")),
            ("(id:9)", Some("id:9")),
            ("void:9 id:8", Some("id:8")),
            ("id: 9", None),
            ("no mark", None),
            ("ä id:ö", None),
        ] {
            assert_eq!(Markers::read(text).echo.as_deref(), echo, "{text}");
        }
    }

    #[test]
    fn markers_are_read_anywhere_and_together() {
        let markers = Markers::read("do sim:tool, then sim:tokens=30. sim:unknown id:1");
        assert_eq!(
            markers,
            Markers {
                echo: Some("id:1".to_owned()),
                tool: true,
                tokens: Some(30),
                ..Markers::default()
            }
        );
        assert!(Markers::read("sim:refuse").refuse);
        assert!(Markers::read("sim:filter-prompt").filter_prompt);
        assert!(Markers::read("sim:filter-answer").filter_answer);
    }
}
