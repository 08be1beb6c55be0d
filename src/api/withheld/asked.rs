//! What was asked, which a service may repeat in what it says of the request: that is for whoever asked, and for nobody else.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::folded::{Folded, fold};
use super::runs::{self, common};
use super::service_words::SERVICE_WORDS;
use crate::api::clip::clip;

/// What stands in place of what was cut.
pub(super) const CUT: &str = "…";

/// Most bytes of a text that are looked at; of what comes behind nothing is kept.
const LOOKED_AT: usize = 2 * 1024;

/// Bytes of the request that are compared at once: it may be as large as memory, and a copy of it is not made for this.
const PIECE: usize = 64 * 1024;

/// A request.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// Its body, as it was sent.
    body: &'a [u8],
}

impl<'a> Asked<'a> {
    /// The request with this body.
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Asked { body }
    }

    /// Whether `text` stands in the request as it is, in capitals or in small letters; a part of it does. Cheap.
    pub(super) fn holds_as_it_stands(&self, text: &str) -> bool {
        let part = &text[..text.len().min(runs::SHORTEST / 2)];
        [part.to_owned(), part.to_ascii_lowercase(), part.to_ascii_uppercase()]
            .iter()
            .any(|part| memmem::find(self.body, part.as_bytes()).is_some())
    }

    /// Where runs of 16 bytes and more stand in `text` that stand in the request too, in any letter case and however they
    /// are escaped. The service's own words stay, although a request may quote them.
    pub(super) fn places(&self, text: &str) -> Vec<Range<usize>> {
        if self.body.is_empty() || text.len() < runs::SHORTEST {
            return Vec::new();
        }
        let is_own = |words: &&[u8]| words.eq_ignore_ascii_case(text.as_bytes());
        if SERVICE_WORDS.iter().any(is_own) {
            return Vec::new();
        }
        let folded = Folded::of(text.as_bytes());
        let foreign = foreign(&folded.bytes);
        // Marked, and not listed: a request may hold a run any number of times.
        let mut found = vec![false; folded.bytes.len()];
        if !foreign.is_empty() {
            self.each_piece(|piece| {
                for (start, words) in &foreign {
                    common(words, piece, |range| {
                        found[start + range.start..start + range.end].fill(true)
                    });
                }
            });
        }
        runs_of(&found).map(|range| folded.place(range)).collect()
    }

    /// All texts, folded, in pieces that have just as much in common that no run falls between them.
    fn each_piece(&self, mut on: impl FnMut(&[u8])) {
        let mut piece = Vec::new();
        for value in values(self.body) {
            fold(value, |byte, _, _| {
                piece.push(byte);
                if piece.len() == PIECE {
                    on(&piece);
                    piece.drain(..PIECE - (runs::SHORTEST - 1));
                }
            });
            on(&piece);
            piece.clear();
        }
    }
}

/// What it says: the members of a JSON object without their names, which are the API's own, and without its model,
/// which is the deployment's name; all of anything else.
fn values(json: &[u8]) -> Vec<&[u8]> {
    match serde_json::Deserializer::from_slice(json).deserialize_map(Values) {
        Ok(values) => values.into_iter().map(|value| value.get().as_bytes()).collect(),
        Err(_) => vec![json],
    }
}

/// As much of a text as is looked at.
pub(super) fn looked_at(text: &str) -> &str {
    clip(text, LOOKED_AT)
}

/// Where a text holds anything but the service's own words; nowhere where it is a word as codes are.
pub(super) fn foreign_places(text: &str) -> Vec<Range<usize>> {
    const LONGEST_CODE: usize = 40;
    let is_code = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if text.len() <= LONGEST_CODE && text.bytes().all(is_code) {
        return Vec::new();
    }
    let folded = Folded::of(text.as_bytes());
    let is_foreign: Vec<bool> = own(&folded.bytes).iter().map(|own| !own).collect();
    runs_of(&is_foreign).map(|range| folded.place(range)).collect()
}

/// The ranges that are marked.
fn runs_of(marks: &[bool]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    marks.chunk_by(|a, b| a == b).filter_map(move |run| {
        let range = start..start + run.len();
        start = range.end;
        run[0].then_some(range)
    })
}

/// Which bytes of a folded text are the service's own words.
fn own(text: &[u8]) -> Vec<bool> {
    let mut own = vec![false; text.len()];
    for words in SERVICE_WORDS {
        for start in memmem::find_iter(text, words) {
            own[start..start + words.len()].fill(true);
        }
    }
    own
}

/// The parts of a folded text that are not the service's own words and long enough to hold a run, with their places.
fn foreign(text: &[u8]) -> Vec<(usize, &[u8])> {
    let is_foreign: Vec<bool> = own(text).iter().map(|own| !own).collect();
    let parts = runs_of(&is_foreign).filter(|range| range.len() >= runs::SHORTEST);
    parts.map(|range| (range.start, &text[range])).collect()
}

/// Reads the values of an object's members.
struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == "model" {
                map.next_value::<IgnoredAny>()?;
            } else {
                values.push(map.next_value()?);
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::folded::replaced;
    use super::*;

    impl Asked<'_> {
        /// The text without what stands in the request.
        fn cut(&self, text: &str) -> String {
            let places = self.places(text).into_iter().map(|place| (place, CUT));
            String::from_utf8(replaced(text.as_bytes(), places.collect())).unwrap()
        }
    }

    const PROMPT: &str =
        "Dear doctor, since Tuesday my left knee has been swollen. Größe: 1,82 m; \"morning\" dose\nof 20 mg\\day.";

    fn request(prompt: &str) -> Vec<u8> {
        let messages = serde_json::json!([{"role": "user", "content": prompt}]);
        format!(r#"{{"messages":{messages},"max_completion_tokens":9,"model":"gpt-4o-mini-sweden-central"}}"#)
            .into_bytes()
    }

    #[test]
    fn what_stands_in_the_request_is_cut_and_what_the_service_says_of_it_stays() {
        let body = request(PROMPT);
        let json = serde_json::to_string(PROMPT).unwrap();
        for (text, recorded) in [
            ("Invalid value.".to_owned(), "Invalid value."),
            (format!("Bad prompt: {PROMPT}"), "Bad prompt: …"),
            (format!("Bad prompt: {json}; sorry"), "Bad prompt: …; sorry"),
            (
                format!("Bad prompt: {}", PROMPT.to_uppercase().replace("GRÖSSE", "Größe")),
                "Bad prompt: …",
            ),
            (format!("Bad prompt: {}", PROMPT.replace('\n', " ")), "Bad prompt: …"),
            (
                format!("near '{}' and '{}'", &PROMPT[5..30], &PROMPT[34..60]),
                "near '…' and '…'",
            ),
            // Fifteen bytes and sixteen.
            (format!("near '{}'", &PROMPT[5..20]), "near 'doctor, since T'"),
            (format!("near '{}'", &PROMPT[5..21]), "near '…'"),
            (
                "got {\"role\": \"user\", \"content\": 7}".to_owned(),
                "got {\"role\": \"user\", \"content\": 7}",
            ),
            (r#"got [{"content":"Dear doctor"#.to_owned(), "got …"),
            // Names of the API and of the deployment.
            (
                "Unsupported parameter: 'max_completion_tokens' of gpt-4o-mini-sweden-central".to_owned(),
                "Unsupported parameter: 'max_completion_tokens' of gpt-4o-mini-sweden-central",
            ),
        ] {
            assert_eq!(Asked::new(&body).cut(&text), recorded, "{text}");
        }
    }

    #[test]
    fn the_services_own_words_stay_also_where_a_request_quotes_them() {
        let said = "This model's maximum context length is 128000 tokens. However, your messages resulted in 192041 tokens. \
                    Please reduce the length of the messages.";
        let body = request(&format!(
            "What does it mean: {said} And my diagnosis is a torn meniscus."
        ));
        let asked = Asked::new(&body);
        assert_eq!(asked.cut(said), said);
        assert_eq!(
            asked.cut(&format!("{said} And my diagnosis is a torn meniscus.")),
            format!("{said}…")
        );
        assert_eq!(asked.cut("Germany West Central"), "Germany West Central");
    }

    #[test]
    fn a_body_that_is_no_object_is_compared_as_a_whole() {
        for body in [
            "--boundary\r\n\r\nA patient with a torn meniscus",
            "[\"A patient with a torn meniscus\"]",
            "{\"input\": \"A patient with a torn meniscus",
        ] {
            assert_eq!(
                Asked::new(body.as_bytes()).cut("no:a patient with a torn meniscus!"),
                "no:…!",
                "{body}"
            );
        }
        assert_eq!(
            Asked::default().cut("no: a patient with a torn meniscus"),
            "no: a patient with a torn meniscus"
        );
        // Of two members with one name each is sent.
        let twice = br#"{"input":"A patient with a torn meniscus","input":"x"}"#;
        assert_eq!(Asked::new(twice).cut("a patient with a torn meniscus"), "…");
    }

    #[test]
    fn a_run_is_found_across_the_pieces_in_which_a_large_request_is_compared() {
        let needle = "the quick brown fox jumps";
        for before in PIECE - 40..PIECE + 20 {
            let body = format!("{{\"input\":\"{}{needle}\"}}", ".".repeat(before));
            assert_eq!(
                Asked::new(body.as_bytes()).cut(&format!("<{needle}>")),
                "<…>",
                "{before}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_of_sixteen_bytes_stands_in_both(prompt in "[a-dé \n\"]{0,200}", message in "[a-d \"]{0,80}", start in 0_usize..100) {
            let body = request(&prompt);
            let echo: String = prompt.chars().skip(start).take(60).collect();
            let text = format!("{message}: {echo}");
            let cut = Asked::new(&body).cut(&text);
            let (cut, prompt) = (Folded::of(cut.as_bytes()).bytes, Folded::of(prompt.as_bytes()).bytes);
            for window in cut.windows(runs::SHORTEST) {
                let shows = memmem::find(&prompt, window).is_some();
                prop_assert!(!shows, "{}", String::from_utf8_lossy(window));
            }
        }
    }
}
