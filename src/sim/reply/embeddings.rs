//! Embeddings.

use super::{Scene, put};
use crate::sim::dice::Dice;
use crate::sim::request::Embed;
use crate::sim::usage::Usage;

/// The body of a reply: a unit vector for each input, which depends on the input and the length alone.
pub(crate) fn json(scene: &Scene<'_>, embed: &Embed, dimensions: u32, usage: &Usage) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(b"{\"data\":[");
    for (index, input) in embed.inputs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"embedding\":");
        let vector = vector(*input, dimensions);
        if embed.base64 {
            out.push(b'"');
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            base64(&mut out, &bytes);
            out.push(b'"');
        } else {
            for (position, x) in vector.iter().enumerate() {
                out.push(if position == 0 { b'[' } else { b',' });
                put!(&mut out, "{x}");
            }
            out.push(b']');
        }
        put!(&mut out, ",\"index\":{index},\"object\":\"embedding\"}}");
    }
    put!(
        &mut out,
        "],\"model\":{},\"object\":\"list\",\"usage\":{{\"prompt_tokens\":{},\"total_tokens\":{}}}}}",
        scene.model,
        usage.prompt,
        usage.prompt
    );
    out
}

fn vector(input: u64, dimensions: u32) -> Vec<f32> {
    let mut dice = Dice::new(&[input]);
    let raw: Vec<f64> = (0..dimensions).map(|_| 2.0 * dice.unit() - 1.0).collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    raw.iter().map(|x| (x / length) as f32).collect()
}

/// Appends the standard base64 form (RFC 4648, with padding).
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |i: u32| DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
        out.push(digit(0));
        out.push(digit(1));
        out.push(if three.len() > 1 { digit(2) } else { b'=' });
        out.push(if three.len() > 2 { digit(3) } else { b'=' });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = Vec::new();
            base64(&mut out, bytes.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn vectors_have_length_one_and_depend_on_the_input() {
        for dimensions in [1, 256, 1536] {
            let one = vector(1, dimensions);
            let length: f32 = one.iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-4, "{length}");
            assert_eq!(one, vector(1, dimensions));
        }
        assert_ne!(vector(1, 8), vector(2, 8));
    }
}
