//! `${NAME}` in a text stands for a variable of the environment; `$${` stands for `${` itself.

use std::fmt;

use super::complaint::named;

/// Looks up a variable of the environment; none where it is not set.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a text could not be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EnvError {
    /// A variable that is not set.
    Unset(String),
    /// `${` without `}`, or with something between them that can be no variable's name. What it is may be part of
    /// a key, so it is not repeated.
    Malformed,
}

/// `text` with its variables filled in. What a variable holds is taken as it is: a `${` in it stays.
pub(super) fn expand(text: &str, env: Env<'_>) -> Result<String, EnvError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        if let Some(after) = rest.strip_prefix("$${") {
            out.push_str("${");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("${") {
            let (name, after) = after.split_once('}').ok_or(EnvError::Malformed)?;
            if !is_name(name) {
                return Err(EnvError::Malformed);
            }
            out.push_str(&env(name).ok_or_else(|| EnvError::Unset(name.to_owned()))?);
            rest = after;
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The text that [`expand`] turns into `text`.
pub(super) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

fn is_name(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl fmt::Display for EnvError {
    /// To stand after the key that it is about.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvError::Unset(name) => write!(f, "names the environment variable {}, which is not set", named(name)),
            EnvError::Malformed => f.write_str(
                "must name an environment variable as ${NAME} (letters, digits and _), or write $${ for the characters ${ themselves",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "KEY" => Some("k1".into()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${KEY}".into()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_filled_in_and_lone_dollars_stay() {
        let rows = [
            ("", Ok("")),
            ("plain", Ok("plain")),
            ("${KEY}", Ok("k1")),
            ("a${KEY}b${KEY}c", Ok("ak1bk1c")),
            ("[${EMPTY}]", Ok("[]")),
            ("${NESTED}", Ok("${KEY}")),
            ("$${KEY}", Ok("${KEY}")),
            ("$$${KEY}", Ok("$${KEY}")),
            ("$5 $ $$ $", Ok("$5 $ $$ $")),
            ("${MISSING}", Err(EnvError::Unset("MISSING".into()))),
            ("${KEY", Err(EnvError::Malformed)),
            ("${}", Err(EnvError::Malformed)),
            ("${A B}", Err(EnvError::Malformed)),
            ("${1A}", Err(EnvError::Malformed)),
            ("${KEY:-x}", Err(EnvError::Malformed)),
        ];
        for (text, expected) in rows {
            assert_eq!(expand(text, &env), expected.map(String::from), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_expands_to_itself(text in "[${}aß]{0,12}") {
            prop_assert_eq!(expand(&escape(&text), &|_| None), Ok(text));
        }
    }
}
