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
        let mut markers = Markers {
            echo: echo(text).map(str::to_owned),
            ..Markers::default()
        };
        for (position, _) in text.match_indices("sim:") {
            let word = word(&text[position + 4..]);
            match word {
                "tool" => markers.tool = true,
                "refuse" => markers.refuse = true,
                "filter-prompt" => markers.filter_prompt = true,
                "filter-answer" => markers.filter_answer = true,
                _ => {
                    markers.tokens = word
                        .strip_prefix("tokens=")
                        .and_then(|n| n.parse().ok())
                        .or(markers.tokens)
                }
            }
        }
        markers
    }
}

/// The first `id:…` that is not the end of a longer word.
fn echo(text: &str) -> Option<&str> {
    text.match_indices("id:").find_map(|(position, _)| {
        let before = text[..position].chars().next_back();
        let id = word(&text[position + 3..]);
        let stands_alone = !before.is_some_and(char::is_alphanumeric) && !id.is_empty();
        stands_alone.then(|| &text[position..position + 3 + id.len()])
    })
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
