//! How many tokens a text has, by the classes of its characters.
//!
//! Tokenisers of this family first cut a text into words (with the blank or the single sign before them), groups of
//! up to three digits, runs of signs and runs of blanks, and then cut what is no token of their vocabulary. The first
//! step is done here as they do it; for the second, only how many tokens such pieces have on average, by their
//! length. A word of eight letters has 1.2 tokens in English (or code) and 1.7 in other languages of Latin letters, so
//! both are counted, and which it is shows in the end by how many words begin with "th" and by letters with accents.
//!
//! A table of states and classes takes a byte of ASCII without a branch. What it adds per byte are five counters
//! in one number.

use super::script::{Script, TOKEN};

/// Tokens of the texts of one request.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    /// Where the row of the state begins in the table.
    place: u64,
    /// Cost of what is written in Latin letters, if it is English or code.
    english: u64,
    /// The same, if it is another language.
    foreign: u64,
    /// Cost of everything else.
    other: u64,
    words: u64,
    /// Words that begin with "th".
    th: u64,
    signs: u64,
    accents: u64,
    /// The word of another script that is being read, and its letters so far.
    script: Option<(Script, u32)>,
}

// Classes of bytes, the columns of the table.
const LOWER: u8 = 0;
const UPPER: u8 = 1;
const LOWER_T: u8 = 2;
const UPPER_T: u8 = 3;
const LOWER_H: u8 = 4;
const DIGIT: u8 = 5;
const BLANK: u8 = 6;
const NEWLINE: u8 = 7;
const SIGN: u8 = 8;
const APOSTROPHE: u8 = 9;
/// The table ends: a quote, a backslash or the first byte of something longer.
const STOP: u8 = 10;
const COLUMNS: usize = 16;

// States, its rows.
/// Between words.
const START: u64 = 0;
/// One blank, which belongs to what follows.
const BLANK_1: u64 = 1;
/// More than one, all but the last of which are a token.
const BLANKS: u64 = 2;
const LINES: u64 = 3;
/// One sign, which belongs to a word that follows.
const SIGN_1: u64 = 4;
const SIGN_2: u64 = 5;
const SIGNS: u64 = 6;
const DIGIT_1: u64 = 7;
const DIGIT_2: u64 = 8;
const DIGIT_3: u64 = 9;
/// An apostrophe within a word, and one and two letters behind it.
const WITHIN: u64 = 10;
const WITHIN_1: u64 = 11;
const WITHIN_2: u64 = 12;
/// A word that begins with "t".
const WORD_T: u64 = 13;
/// `CAPITALS + n`: a word of n capitals, from 1 to 9.
const CAPITALS: u64 = 13;
const MOST_CAPITALS: u64 = 9;
/// `WORD + n`: a word of n letters, from 1 to 20.
const WORD: u64 = 23;
const MOST_LETTERS: u64 = 20;
const STATES: usize = 64;

/// What words of so many letters cost in English and in code, in 64ths; measured over 300 prompts.
const ENGLISH: [u8; 16] = [0, 65, 65, 65, 65, 67, 70, 72, 75, 79, 83, 87, 92, 104, 125, 145];
/// The same in other languages with Latin letters.
const FOREIGN: [u8; 16] = [0, 64, 64, 66, 69, 77, 88, 99, 111, 123, 135, 155, 170, 178, 186, 198];
/// What each further letter costs.
const FURTHER: u8 = 15;
/// What runs of capitals cost.
const CAPITAL: [u8; 10] = [0, 65, 73, 76, 84, 96, 104, 128, 144, 170];

// Where each counter lies in a step: the next state, then the sums over at most `STRETCH` steps.
const STRETCH: usize = 127;
/// The state in the place where it is used, above the class.
const STATE_BITS: u32 = 10;
const STATE: u64 = (1 << STATE_BITS) - 1;
const FOREIGN_AT: u32 = 14;
const WORDS_AT: u32 = 28;
const SIGNS_AT: u32 = 35;
const TH_AT: u32 = 42;

const CLASSES: [u8; 256] = classes();
static STEPS: [u64; STATES * COLUMNS] = steps();

const fn classes() -> [u8; 256] {
    let mut classes = [STOP; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b't' => LOWER_T,
            b'T' => UPPER_T,
            b'h' => LOWER_H,
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            b'\n' | b'\r' => NEWLINE,
            b'"' | b'\\' => STOP,
            b'\'' => APOSTROPHE,
            0..=b' ' | 127 => BLANK,
            _ => SIGN,
        };
        byte += 1;
    }
    classes
}

/// One entry of the table.
struct Step {
    next: u64,
    english: u32,
    foreign: u32,
    word: bool,
    sign: bool,
    th: bool,
}

const fn steps() -> [u64; STATES * COLUMNS] {
    let mut steps = [0; STATES * COLUMNS];
    let mut state = 0;
    while state < STATES {
        let mut class = 0;
        while class < STOP {
            let Step {
                next,
                english,
                foreign,
                word,
                sign,
                th,
            } = step(state as u64, class);
            assert!(
                english <= 128 && foreign <= 128 && next < STATES as u64,
                "a step must fit"
            );
            let sums = english as u64
                | (foreign as u64) << FOREIGN_AT
                | (word as u64) << WORDS_AT
                | (sign as u64) << SIGNS_AT
                | (th as u64) << TH_AT;
            steps[state * COLUMNS + class as usize] = (next * COLUMNS as u64) | (sums << STATE_BITS);
            class += 1;
        }
        state += 1;
    }
    steps
}

const fn step(state: u64, class: u8) -> Step {
    let is_letter = class <= LOWER_H;
    let is_capital = matches!(class, UPPER | UPPER_T);
    // What was held back to see what follows.
    let due = match state {
        SIGN_1 if !is_letter => TOKEN,
        BLANK_1 | BLANKS if class == DIGIT => TOKEN,
        WITHIN if !is_letter => TOKEN,
        _ => 0,
    };
    let mut step = Step {
        next: START,
        english: due,
        foreign: due,
        word: false,
        sign: matches!(class, SIGN | APOSTROPHE),
        th: false,
    };
    let letters = if state > WORD {
        state - WORD
    } else if state == WORD_T {
        1
    } else {
        0
    };
    let capitals = if state > CAPITALS && state <= CAPITALS + MOST_CAPITALS {
        state - CAPITALS
    } else {
        0
    };
    let mut cost = 0;
    match class {
        DIGIT => match state {
            DIGIT_1 => step.next = DIGIT_2,
            DIGIT_2 => step.next = DIGIT_3,
            _ => {
                step.next = DIGIT_1;
                cost = TOKEN;
            }
        },
        BLANK => match state {
            BLANK_1 => {
                step.next = BLANKS;
                cost = TOKEN;
            }
            BLANKS => step.next = BLANKS,
            _ => step.next = BLANK_1,
        },
        NEWLINE => {
            step.next = LINES;
            cost = match state {
                LINES | BLANKS | SIGN_1 | SIGN_2 | SIGNS => 0,
                _ => TOKEN,
            };
        }
        APOSTROPHE if letters > 0 || capitals > 0 => step.next = WITHIN,
        SIGN | APOSTROPHE => match state {
            BLANK_1 | BLANKS => {
                step.next = SIGN_2;
                cost = TOKEN;
            }
            SIGN_1 => step.next = SIGN_2,
            SIGN_2 => {
                step.next = SIGNS;
                cost = 14;
            }
            SIGNS => {
                step.next = SIGNS;
                cost = 14;
            }
            _ => step.next = SIGN_1,
        },
        _ if is_capital && capitals > 0 => {
            let more = if capitals < MOST_CAPITALS {
                capitals + 1
            } else {
                capitals
            };
            step.next = CAPITALS + more;
            cost = if more > capitals {
                CAPITAL[more as usize] as u32 - CAPITAL[capitals as usize] as u32
            } else {
                22
            };
        }
        _ if letters > 0 && !is_capital
            || capitals > 0
            || matches!(state, WITHIN | WITHIN_1 | WITHIN_2) && !is_capital =>
        {
            // A capital before small letters is their first one; of several, all but the last are a piece, mostly.
            match state {
                WITHIN => {
                    step.next = WITHIN_1;
                    cost = 16;
                }
                WITHIN_1 => {
                    step.next = WITHIN_2;
                    cost = 16;
                }
                WITHIN_2 => {
                    step.next = WORD + 3;
                    cost = 34;
                }
                _ => {
                    let before = if capitals > 0 { 1 } else { letters };
                    let after = if before < MOST_LETTERS { before + 1 } else { before };
                    step.next = WORD + after;
                    step.english += letter_cost(&ENGLISH, before);
                    step.foreign += letter_cost(&FOREIGN, before);
                    if capitals > 1 {
                        cost = 32;
                    }
                    step.th = class == LOWER_H && state == WORD_T;
                }
            }
        }
        _ => {
            step.next = match class {
                UPPER => CAPITALS + 1,
                LOWER_T | UPPER_T => WORD_T,
                _ => WORD + 1,
            };
            step.word = true;
            // As in text that is no language, such as base64.
            if is_capital && matches!(letters, 1 | 2) {
                cost = 28;
            }
            step.english += letter_cost(&ENGLISH, 0);
            step.foreign += letter_cost(&FOREIGN, 0);
        }
    }
    step.english += cost;
    step.foreign += cost;
    step
}

/// What one more letter costs behind so many.
const fn letter_cost(costs: &[u8; 16], letters: u64) -> u32 {
    if letters < 15 {
        costs[letters as usize + 1] as u32 - costs[letters as usize] as u32
    } else {
        FURTHER as u32
    }
}

impl Texts {
    pub(super) fn new() -> Self {
        Texts {
            place: START,
            english: 0,
            foreign: 0,
            other: 0,
            words: 0,
            th: 0,
            signs: 0,
            accents: 0,
            script: None,
        }
    }

    /// Reads the text of a JSON string whose opening quote lies before `at`, and says where the string is over. Any
    /// bytes may be read; what is no UTF-8 counts somehow.
    pub(super) fn read(&mut self, json: &[u8], mut at: usize) -> usize {
        loop {
            at += self.ascii(&json[at..]);
            match json.get(at) {
                None => break,
                Some(b'"') => {
                    at += 1;
                    break;
                }
                Some(b'\\') => at += self.escape(&json[at..]),
                Some(_) => {
                    let (char, bytes) = decode(&json[at..]);
                    self.push(char);
                    at += bytes;
                }
            }
        }
        self.end();
        at
    }

    /// Reads a text in which nothing is escaped.
    pub(super) fn read_raw(&mut self, text: &[u8]) {
        let mut at = 0;
        while at < text.len() {
            at += self.ascii(&text[at..]);
            if at < text.len() {
                let (char, bytes) = decode(&text[at..]);
                self.push(char);
                at += bytes;
            }
        }
        self.end();
    }

    /// Takes plain ASCII up to the first byte that is something else, and says how much that was.
    fn ascii(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        let mut place = self.place;
        for stretch in bytes.chunks(STRETCH) {
            let mut sums = 0;
            let mut read = stretch.len();
            for (index, &byte) in stretch.iter().enumerate() {
                let class = CLASSES[usize::from(byte)];
                if class == STOP {
                    read = index;
                    break;
                }
                let step = STEPS[(place as usize | usize::from(class)) % STEPS.len()];
                place = step & STATE;
                sums += step >> STATE_BITS;
            }
            self.add(sums);
            taken += read;
            if read < stretch.len() {
                break;
            }
        }
        if taken > 0 {
            self.script = None;
        }
        self.place = place;
        taken
    }

    fn add(&mut self, sums: u64) {
        let part = |from: u32, to: u32| (sums >> from) & ((1 << (to - from)) - 1);
        self.english += part(0, FOREIGN_AT);
        self.foreign += part(FOREIGN_AT, WORDS_AT);
        self.words += part(WORDS_AT, SIGNS_AT);
        self.signs += part(SIGNS_AT, TH_AT);
        self.th += sums >> TH_AT;
    }

    fn state(&self) -> u64 {
        self.place / COLUMNS as u64
    }

    fn take(&mut self, class: u8) {
        let step = STEPS[self.place as usize | usize::from(class)];
        self.place = step & STATE;
        self.add(step >> STATE_BITS);
        self.script = None;
    }

    /// Takes an escape, and says how long it is.
    fn escape(&mut self, json: &[u8]) -> usize {
        match json.get(1) {
            Some(b'n' | b'r') => self.take(NEWLINE),
            Some(b't' | b'b' | b'f') => self.take(BLANK),
            Some(b'u') => {
                let (char, bytes) = escaped(json);
                self.push(char);
                return bytes;
            }
            Some(_) => self.take(SIGN),
            None => return 1,
        }
        2
    }

    /// Takes any character.
    fn push(&mut self, char: char) {
        if char.is_ascii() {
            return self.take(match CLASSES[char as usize] {
                STOP => SIGN,
                class => class,
            });
        }
        let script = Script::of(char);
        if script == Script::Latin {
            let is_capital = matches!(char, '\u{c0}'..='\u{de}');
            let begins = self.state() < WITHIN;
            self.take(if is_capital { UPPER } else { LOWER });
            self.accents += 1;
            // Some are rarer in tokens than others: those of the Romance languages are in most words that have them.
            self.other += match char {
                'Ā'..='ʯ' => 38,
                _ if begins => 0,
                'ä' | 'å' | 'æ' | 'ö' | 'ø' | 'ü' | 'ß' => 14,
                _ => 4,
            };
            return;
        }
        let letters = match self.script {
            Some((before, letters)) if before == script => letters,
            _ => 0,
        };
        // A sign or blank that was held back: a blank belongs to what follows.
        if letters == 0 {
            self.settle();
        }
        self.other += u64::from(script.cost(letters));
        // Words of smaller languages in a large one's script are cut into more pieces.
        if matches!(
            char,
            'Є' | 'І' | 'Ї' | 'є' | 'і' | 'ї' | 'ў' | 'ґ' | 'ј' | 'љ' | 'њ' | 'ћ' | 'ђ'
        ) {
            self.other += 24;
        }
        self.script = Some((script, letters + 1));
    }

    /// What is held back to see what follows is due.
    fn settle(&mut self) {
        if matches!(self.state(), SIGN_1 | WITHIN) {
            self.other += u64::from(TOKEN);
        }
        self.place = START;
    }

    /// A text ends.
    fn end(&mut self) {
        if self.state() == BLANK_1 {
            self.other += u64::from(TOKEN);
        }
        self.settle();
        self.script = None;
    }

    /// Tokens so far.
    pub(super) fn tokens(&self) -> f64 {
        let foreign = self.foreignness();
        let latin = self.english as f64 * (1.0 - foreign) + self.foreign as f64 * foreign;
        (latin + self.other as f64) / f64::from(TOKEN)
    }

    /// How much of what is written in Latin letters is no English, from 0 to 1.
    ///
    /// Of English words about one in ten begins with "th". Code has few such words and no accents, but many signs.
    fn foreignness(&self) -> f64 {
        let prose = (self.words as f64 - 2.0 * self.signs as f64).max(0.0);
        let th = self.th as f64;
        let foreign = 3.0 * self.accents as f64 + (0.08 * prose - th).max(0.0);
        foreign / (foreign + 3.0 * th + 1.0)
    }
}

/// The character that an escape `\uXXXX` (or a pair of them) stands for, and how many bytes it takes.
fn escaped(json: &[u8]) -> (char, usize) {
    let unit = |at: usize| -> Option<u32> {
        let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(first) = unit(0) else {
        return (char::REPLACEMENT_CHARACTER, 2);
    };
    if let Some(char) = char::from_u32(first) {
        return (char, 6);
    }
    let pair = unit(6).and_then(|second| char::decode_utf16([first as u16, second as u16]).next()?.ok());
    pair.map_or((char::REPLACEMENT_CHARACTER, 6), |char| (char, 12))
}

/// The character that `bytes` begin with, and how many of them it takes.
fn decode(bytes: &[u8]) -> (char, usize) {
    let follows = |at: usize| bytes.get(at).map_or(0, |byte| u32::from(byte & 0x3f));
    let first = u32::from(bytes[0]);
    let (code, length) = match bytes[0] {
        0xc0..=0xdf => ((first & 0x1f) << 6 | follows(1), 2),
        0xe0..=0xef => ((first & 0x0f) << 12 | follows(1) << 6 | follows(2), 3),
        0xf0..=0xf7 => (
            (first & 0x07) << 18 | follows(1) << 12 | follows(2) << 6 | follows(3),
            4,
        ),
        _ => (first, 1),
    };
    let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    (char, length.min(bytes.len()))
}
