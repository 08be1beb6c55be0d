//! What tells a request from others: an `id:` in its body, or a hash.

use serde::Serialize;

/// What tells a request from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mark {
    /// The letters, digits, `-` and `_` that follow the first `id:` of the body: put one into a prompt to find it again.
    Id(String),
    /// A hash of the body, for bodies without `id:`; the same for the same body within one process.
    Hash(u64),
}

impl Mark {
    pub(crate) fn of(body: &[u8]) -> Self {
        let mut from = 0;
        while let Some(colon) = body[from..].iter().position(|&byte| byte == b':').map(|at| from + at) {
            from = colon + 1;
            // `valid: ` and `"id": ` are no marks: a mark stands alone and its text follows at once.
            let stands_alone = matches!(body[..colon], [b'i', b'd'])
                || matches!(body[..colon], [.., before, b'i', b'd'] if !before.is_ascii_alphanumeric());
            if !stands_alone {
                continue;
            }
            let id: String = body[from..]
                .iter()
                .map_while(|&byte| {
                    (byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).then_some(char::from(byte))
                })
                .take(MAX_ID)
                .collect();
            if !id.is_empty() {
                return Mark::Id(id);
            }
        }
        // FNV-1a: short, and the same everywhere.
        Mark::Hash(body.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

/// Longest mark that is read from a body, in bytes.
const MAX_ID: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_the_id_of_the_body_or_else_its_hash() {
        let rows = [
            ("id:7", Some("7")),
            (r#"{"content":"id:job-12_b, please"}"#, Some("job-12_b")),
            (r#"{"id":"x","content":"valid:5 id: id:9"}"#, Some("9")),
            (r#"{"id":"x"}"#, None),
            ("", None),
        ];
        for (body, expected) in rows {
            let mark = Mark::of(body.as_bytes());
            assert_eq!(mark, Mark::of(body.as_bytes()), "the same each time");
            match expected {
                Some(id) => assert_eq!(mark, Mark::Id(id.to_owned()), "{body}"),
                None => assert!(matches!(mark, Mark::Hash(_)), "{body}"),
            }
        }
        assert_ne!(Mark::of(b"a"), Mark::of(b"b"));
    }
}
