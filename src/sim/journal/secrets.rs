//! Hides keys before they reach the journal.

/// Whether a header or query field of this name (in lower case) may hold a secret.
fn is_secret(name: &str) -> bool {
    ["key", "auth", "token", "cookie", "secret", "sig", "password"]
        .iter()
        .any(|word| name.contains(word))
}

const HIDDEN: &str = "(hidden)";

pub(super) fn hide((name, value): (String, String)) -> (String, String) {
    let shown = if is_secret(&name) { HIDDEN.to_owned() } else { value };
    (name, shown)
}

pub(super) fn without_secrets(query: String) -> String {
    if !is_secret(&query.to_ascii_lowercase()) {
        return query;
    }
    let fields = query.split('&').map(|field| match field.split_once('=') {
        Some((name, _)) if is_secret(&name.to_ascii_lowercase()) => format!("{name}={HIDDEN}"),
        _ => field.to_owned(),
    });
    fields.collect::<Vec<_>>().join("&")
}
