//! What a call carries that is secret: in its headers, and for its proxy.

use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What is sent by `Basic`, with its padding or without.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &STANDARD_ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A word of a header's value that is a secret itself, in bytes.
const WORD: usize = 8;

/// A header whose name says nothing is taken for a secret from this length on: `1` or `on` hides nothing.
const LEAST: usize = 4;

/// Whether a header or query field of this name may hold a secret.
pub(crate) fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "auth", "token", "cookie", "secret", "sig", "password"]
        .iter()
        .any(|word| name.contains(word))
}

/// The secrets in a header's value that must not show.
///
/// | value | secrets |
/// |---|---|
/// | `x7Fq…` | itself |
/// | `Bearer x7Fq…` | all of it, and what follows its scheme |
/// | `Basic dXNlcjpwYXNz` | the same, `user:pass` and `pass` |
/// | `session=x7Fq…; theme=dark` | all of it, and the value of each pair, where the name sounds secret |
/// | `Digest …, response="x7Fq…"` | each word of 8 characters and more, where the name sounds secret |
/// | `on`, where the name does not sound secret | none |
pub(crate) fn secrets_of_header(name: &str, value: &str) -> Vec<String> {
    let sounds_secret = sounds_secret(name);
    if !sounds_secret && value.len() < LEAST {
        return Vec::new();
    }
    let mut secrets = vec![value.to_owned()];
    if sounds_secret {
        let rest = value.trim().split_once(' ').map(|(scheme, rest)| (scheme, rest.trim()));
        if let Some((scheme, rest)) = rest.filter(|(scheme, _)| !scheme.contains('=')) {
            secrets.push(rest.to_owned());
            if scheme.eq_ignore_ascii_case("basic")
                && let Some(plain) = BASIC.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok())
            {
                secrets.extend(plain.split_once(':').map(|(_, password)| password.to_owned()));
                secrets.push(plain);
            }
        }
        let pairs = value
            .split([';', ',', '&'])
            .filter_map(|pair| pair.trim().split_once('='));
        let values = pairs.map(|(_, value)| value.trim_matches(['"', '\'', ' ', '=']));
        // Whatever its form, a long word of it may be what counts.
        let words = value.split(|c: char| c.is_whitespace() || ";,&=:\"'{}()[]".contains(c));
        let words = words.filter(|word| word.len() >= WORD);
        for part in values.filter(|value| value.len() >= LEAST).chain(words) {
            if secrets.iter().all(|known| known != part) {
                secrets.push(part.to_owned());
            }
        }
    }
    secrets
}

/// The secrets in what a proxy is told: the password, or the user name where it stands alone, and both as they travel.
pub(crate) fn secrets_of_proxy(user: &str, password: &str) -> Vec<String> {
    // A token may stand in the place of the user's name.
    let secret = if password.is_empty() { user } else { password };
    if secret.is_empty() {
        return Vec::new();
    }
    vec![secret.to_owned(), BASE64.encode(format!("{user}:{password}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_header_what_follows_its_scheme_and_its_pairs_are_secret_too() {
        for (name, value, secrets) in [
            ("x-gateway-key", "hunter2", &["hunter2"][..]),
            ("x-gateway-key", "k", &["k"]),
            ("Authorization", "Bearer hunter2", &["Bearer hunter2", "hunter2"]),
            (
                "authorization",
                "Basic dXNlcjpwYXNz",
                &["Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "pass", "user:pass"],
            ),
            ("authorization", "Basic ???", &["Basic ???", "???"]),
            (
                "Cookie",
                "session=hunter2; theme=on",
                &["session=hunter2; theme=on", "hunter2"],
            ),
            (
                "cookie",
                "theme=dark; session=\"hunter2hunter2\"",
                &["theme=dark; session=\"hunter2hunter2\"", "dark", "hunter2hunter2"],
            ),
            (
                "authorization",
                "basic dXNlcjpodW50ZXIyIQ",
                &[
                    "basic dXNlcjpodW50ZXIyIQ",
                    "dXNlcjpodW50ZXIyIQ",
                    "hunter2!",
                    "user:hunter2!",
                ],
            ),
            (
                "authorization",
                "SharedKey account:s3cr3t-part-1",
                &[
                    "SharedKey account:s3cr3t-part-1",
                    "account:s3cr3t-part-1",
                    "SharedKey",
                    "s3cr3t-part-1",
                ],
            ),
            (
                "x-token",
                "{\"token\":\"s3cr3t-part-1\"}",
                &["{\"token\":\"s3cr3t-part-1\"}", "s3cr3t-part-1"],
            ),
            ("x-team", "red", &[]),
            ("x-team", "Bearer of news", &["Bearer of news"]),
        ] {
            assert_eq!(secrets_of_header(name, value), secrets, "{name}: {value}");
        }
    }

    #[test]
    fn a_proxy_is_told_the_password_in_base64() {
        assert_eq!(secrets_of_proxy("user", "pass"), ["pass", "dXNlcjpwYXNz"]);
        assert_eq!(secrets_of_proxy("token", ""), ["token", "dG9rZW46"]);
        assert!(secrets_of_proxy("", "").is_empty());
    }
}
