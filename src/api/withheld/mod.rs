//! What a service says that is not for everybody: the secrets that a call carried, which are hidden from all, and what was
//! asked, which is for whoever asked and is cut from what is recorded.
//!
//! Pure: bytes in, bytes out, paid for where something has gone wrong, and for the two header values that each ledger
//! keeps. Reading order:
//!
//! 1. [`Withheld`]: who is told what
//! 2. `mask`, `carried`: secrets, and what a call carries of them; `asked`, `service_words`: the request, and what is the
//!    service's own
//! 3. `folded`, `runs`, `written`: how both are found again, whatever they were wrapped in and wherever they were cut

use std::borrow::Cow;

use super::Headers;
use asked::Asked;
pub(crate) use carried::{secrets_of_header, secrets_of_proxy, sounds_secret};
pub(crate) use mask::{Mask, WORD_MAX};

mod asked;
mod carried;
mod folded;
mod mask;
mod runs;
mod service_words;
mod written;

/// What of a reply is withheld, and from whom; by default nothing.
#[derive(Clone, Copy, Default)]
pub struct Withheld<'a> {
    /// From everybody.
    mask: Option<&'a Mask>,
    /// From everybody but whoever asked.
    asked: Asked<'a>,
    /// Whether an answer may stand in it, which is withheld as what was asked is.
    is_beside_an_answer: bool,
}

impl<'a> Withheld<'a> {
    /// Withholds what `mask` hides, and from records what this request's body holds.
    pub(crate) fn new(mask: &'a Mask, body: &'a [u8]) -> Self {
        Withheld {
            mask: Some(mask),
            asked: Asked::new(body),
            is_beside_an_answer: false,
        }
    }

    /// What whoever asked is told: without secrets.
    pub(crate) fn told<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.mask.map_or(Cow::Borrowed(text), |mask| mask.hide(text))
    }

    /// The same of a body, which may be no text.
    pub(crate) fn told_bytes<'t>(&self, body: &'t [u8]) -> Cow<'t, [u8]> {
        self.mask.map_or(Cow::Borrowed(body), |mask| mask.hide_in(body))
    }

    /// The same of headers: without those whose name is a secret, and without the secrets in the values of the others.
    pub(crate) fn told_headers(&self, mut headers: Headers) -> Headers {
        headers.retain_names(|name| matches!(self.told(name), Cow::Borrowed(_)));
        headers.change_values(|value| match self.told_bytes(value) {
            Cow::Borrowed(_) => None,
            Cow::Owned(told) => Some(told),
        });
        headers
    }

    /// What may stand in logs, events, ledgers and reports: without secrets, and without what was asked.
    pub(crate) fn recorded<'t>(&self, text: &'t str) -> Cow<'t, str> {
        // Both as it came: what the one leaves in place of a secret would break the runs that the other looks for.
        let text = asked::looked_at(text);
        let mut asked = self.asked.places(text);
        if self.is_beside_an_answer {
            asked.extend(asked::foreign_places(text));
        }
        let secrets = self.mask.map(|mask| mask.places(text.as_bytes())).unwrap_or_default();
        if asked.is_empty() && secrets.is_empty() {
            return Cow::Borrowed(text);
        }
        let secrets = secrets.into_iter().map(|place| (place, mask::HIDDEN));
        let asked = asked.into_iter().map(|place| (place, asked::CUT));
        let recorded = folded::replaced(text.as_bytes(), secrets.chain(asked).collect());
        // Whole characters were replaced.
        Cow::Owned(String::from_utf8_lossy(&recorded).into_owned())
    }

    /// The same of a value that comes with every reply, such as the id of a request.
    pub(crate) fn recorded_word<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if is_uuid(text) && !self.asked.holds_as_it_stands(text) {
            self.told(text)
        } else {
            self.recorded(text)
        }
    }

    /// The same for what comes with the status of a success: an error there may repeat any part of an answer, also one that
    /// nobody has read. Records hold the service's own words alone.
    pub(crate) fn beside_an_answer(mut self) -> Self {
        self.is_beside_an_answer = true;
        self
    }
}

/// Whether it looks as the ids that Azure gives to requests do. Of these the request is searched for one piece, and as
/// it stands: each reply brings one, and to fold a large request costs more than the rest of the reply's head.
fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "5a7e1c3b-90d2-4f68-8b1a-c0ffee123456";
    const OTHER: &str = "0c4b2d6e-1f3a-4b5c-9d8e-7f6a5b4c3d2e";
    const PROMPT: &str = "Dear doctor, my left knee has been swollen.";

    #[test]
    fn everybody_is_told_no_secret_and_only_who_asked_is_told_what_was_asked() {
        let mask = Mask::of([KEY]);
        let body = format!(r#"{{"input":"{PROMPT} {OTHER}"}}"#);
        let withheld = Withheld::new(&mask, body.as_bytes());
        let text = format!("{PROMPT} {KEY} {OTHER}");
        assert_eq!(withheld.told(&text), format!("{PROMPT} (hidden) {OTHER}"));
        assert_eq!(
            withheld.told_bytes(text.as_bytes()),
            format!("{PROMPT} (hidden) {OTHER}").as_bytes()
        );
        assert_eq!(withheld.recorded(&text), "…(hidden)…");
        assert_eq!(Withheld::default().recorded(&text), text);
        for (value, recorded) in [
            (KEY, "(hidden)"),
            (OTHER, "…"),
            (
                "1c4b2d6e-1f3a-4b5c-9d8e-7f6a5b4c3d2e",
                "1c4b2d6e-1f3a-4b5c-9d8e-7f6a5b4c3d2e",
            ),
            (PROMPT, "…"),
            ("Sweden Central", "Sweden Central"),
            ("North Central US", "North Central US"),
        ] {
            assert_eq!(withheld.recorded_word(value), recorded);
        }
    }

    #[test]
    fn an_id_that_stands_in_the_request_is_cut_and_another_of_its_look_is_not() {
        let mask = Mask::default();
        for said in [OTHER.to_owned(), OTHER.to_uppercase()] {
            let body = format!(r#"{{"input":"My account is {said}."}}"#);
            let withheld = Withheld::new(&mask, body.as_bytes());
            for (value, recorded) in [
                (OTHER, "…"),
                (&*OTHER.to_uppercase(), "…"),
                (KEY, KEY),
                (&*OTHER.replace('-', "0"), &*OTHER.replace('-', "0")),
            ] {
                assert_eq!(withheld.recorded_word(value), recorded, "{said}");
            }
        }
        // Of the same length and the same characters, but none: it is searched for as any other text.
        let body = br#"{"input":"call 0049-30-1234567-890-1234567-890-123456"}"#;
        let withheld = Withheld::new(&mask, body);
        assert_eq!(withheld.recorded_word("0049-30-1234567-890-1234567-890-1234"), "…");
    }

    #[test]
    fn of_what_comes_beside_an_answer_the_services_own_words_are_recorded() {
        let mask = Mask::of([KEY]);
        let withheld = Withheld::new(&mask, b"{}").beside_an_answer();
        for (text, recorded) in [
            ("server_error", "server_error"),
            ("rate_limit_exceeded", "rate_limit_exceeded"),
            ("Your knee is swollen.", "…"),
            ("Your-knee-is-swollen-and-will-be-so-for-a-week-or-two", "…"),
            ("No healthy upstream", "No healthy upstream"),
            ("No healthy upstream: your knee is swollen", "No healthy upstream…"),
            (
                "The response of your knee is swollen. Resource not found",
                "…Resource not found",
            ),
        ] {
            assert_eq!(withheld.recorded(text), recorded);
            assert_eq!(withheld.told(text), text);
        }
    }

    #[test]
    fn a_secret_that_is_a_word_of_the_prompt_does_not_break_its_echo() {
        let mask = Mask::of(["since", "left"]);
        let withheld = Withheld::new(&mask, br#"{"input":"Dear doctor, since Tuesday my left knee hurts."}"#);
        assert_eq!(
            withheld.recorded("no: since 'Dear doctor, since Tuesday my left knee hurts.'"),
            "no: (hidden) '…'"
        );
    }

    #[test]
    fn every_header_is_looked_at_and_stays_as_sensitive_as_it_was() {
        let mut headers = Headers::new();
        headers.insert(&format!("x-{KEY}"), "1").unwrap();
        headers.insert("x-ms-region", &format!("at {KEY}")).unwrap();
        headers.insert_secret("x-own", "mine").unwrap();
        headers.insert("x-ms-region", "Sweden Central").unwrap();
        let mask = Mask::of([KEY]);
        let told = Withheld::new(&mask, b"").told_headers(headers.clone());
        let mut pairs: Vec<_> = told.iter().collect();
        pairs.sort_unstable();
        assert_eq!(
            pairs,
            [
                ("x-ms-region", "Sweden Central"),
                ("x-ms-region", "at (hidden)"),
                ("x-own", "mine")
            ]
        );
        assert!(!format!("{told:?}").contains("mine"), "{told:?}");
        assert_eq!(Withheld::default().told_headers(headers.clone()), headers);
    }
}
