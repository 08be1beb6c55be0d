//! Hides keys before they reach the journal.

use crate::api::withheld::sounds_secret;

const HIDDEN: &str = "(hidden)";

pub(super) fn hide((name, value): (String, String)) -> (String, String) {
    let shown = if sounds_secret(&name) { HIDDEN.to_owned() } else { value };
    (name, shown)
}

pub(super) fn without_secrets(query: String) -> String {
    if !sounds_secret(&query) {
        return query;
    }
    let fields = query.split('&').map(|field| match field.split_once('=') {
        Some((name, _)) if sounds_secret(name) => format!("{name}={HIDDEN}"),
        _ => field.to_owned(),
    });
    fields.collect::<Vec<_>>().join("&")
}
