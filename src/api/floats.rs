//! A vector of numbers as embeddings carry it: a list, or base64 of little-endian 32-bit floats.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::lenient::{Budget, OverBudget};

/// Reads a vector from either encoding, within a budget.
pub(crate) struct Floats<'b>(pub(crate) &'b Budget);

/// Bytes of one number.
const FLOAT: usize = size_of::<f32>();

/// Numbers that the room of a vector begins with, as it comes without its length.
const FEWEST: usize = 256;

impl<'de> DeserializeSeed<'de> for Floats<'_> {
    type Value = Vec<f32>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<f32>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Floats<'_> {
    type Value = Vec<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers, or base64 of 32-bit floats")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<f32>, E> {
        // The bytes and the numbers that they become.
        self.0.take(2 * text.len()).map_err(E::custom)?;
        let found = || format!("text of {} characters", text.len());
        let floats = decode(text).ok_or_else(|| E::invalid_value(de::Unexpected::Other(&found()), &self))?;
        self.0.give_back(2 * text.len() - FLOAT * floats.len());
        Ok(floats)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vec<f32>, A::Error> {
        let mut floats = Vec::new();
        while let Some(number) = numbers.next_element()? {
            if floats.len() == floats.capacity() {
                self.grow(&mut floats).map_err(de::Error::custom)?;
            }
            floats.push(number);
        }
        self.0.give_back(FLOAT * (floats.capacity() - floats.len()));
        floats.shrink_to_fit();
        Ok(floats)
    }
}

impl Floats<'_> {
    fn grow(&self, floats: &mut Vec<f32>) -> Result<(), OverBudget> {
        let room = floats.capacity();
        let grown = (2 * room).max(FEWEST);
        // The old room and the new one exist together for a moment.
        self.0.take(FLOAT * grown)?;
        floats.reserve_exact(grown - floats.len());
        self.0.give_back(FLOAT * room);
        Ok(())
    }
}

/// Decodes base64 (RFC 4648 §4, the padding may be missing) of 32-bit floats.
///
/// Returns None for: a character outside the alphabet, padding elsewhere than at the end, a last group of one
/// character, a number of bytes that is no multiple of 4.
fn decode(text: &str) -> Option<Vec<f32>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | u32::from(value(*digit)?);
        }
        // A short last group stands for one byte less than it has digits.
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    let (floats, rest) = bytes.as_chunks::<4>();
    rest.is_empty()
        .then(|| floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(floats: &[f32]) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let mut block = [0; 4];
            block[1..=group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes(block);
            for place in 0..4 {
                let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
                text.push(if place > group.len() { '=' } else { digit as char });
            }
        }
        text
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(floats in proptest::collection::vec(-1e30_f32..1e30, 0..9)) {
            prop_assert_eq!(decode(&encode(&floats)), Some(floats));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = decode(&text);
        }
    }

    #[test]
    fn a_known_vector_is_read_from_both_encodings() {
        // 1.0 and -2.5 as python's base64.b64encode(struct.pack("<2f", 1.0, -2.5)) writes them.
        for json in [r#""AACAPwAAIMA=""#, r#""AACAPwAAIMA""#, "[1.0, -2.5]", "[1, -2.5]"] {
            let budget = Budget::new(4096);
            let read = Floats(&budget).deserialize(&mut serde_json::Deserializer::from_str(json));
            assert_eq!(read.unwrap(), [1.0, -2.5], "{json}");
            assert_eq!(budget.left(), 4096 - 8, "{json}");
        }
    }

    #[test]
    fn what_is_no_base64_of_floats_is_refused() {
        for text in [
            "A",
            "AA",
            "AAA",
            "AACA=PwA",
            "AACAPw===",
            "AACAPé==",
            "AAC_Pw==",
            "AACAP w=",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
