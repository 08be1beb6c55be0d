//! How quickly the size of a request is estimated, which is done on the submitter's thread.

use std::hint::black_box;

use azure_openai_blaster::api::Operation;
use azure_openai_blaster::internals::JobSize;

use crate::harness::{Effort, Goal, cpu_each, figure};
use crate::median::median;

const ROUNDS: usize = 9;
const SENTENCE: &str = "The night ferry leaves the island at a quarter to ten, whether or not the last bus from the \
     village has arrived; everybody on the quay (11 of us) knows this, and everybody pretends to be surprised. ";
const RUSSIAN: &str = "Соседка сверху снова затопила кухню и теперь уверяет, что во всём виноваты трубы. ";

pub(crate) fn run(effort: Effort) {
    let bytes = effort.count(64 << 20);
    let (_, small) = each(&body(SENTENCE, 1_000), bytes);
    figure("estimate of a request of 1 KB", small, " µs", Goal::AtMost(2.0), "");
    let (ascii, _) = each(&body(SENTENCE, 100_000), bytes);
    figure("estimate of English", ascii, " MB/s", Goal::AtLeast(300.0), "");
    let (russian, _) = each(&body(RUSSIAN, 100_000), bytes);
    figure("estimate of Russian", russian, " MB/s", Goal::AtLeast(100.0), "");
}

/// The members of a chat request of about so many bytes.
fn body(text: &str, bytes: usize) -> Vec<u8> {
    let text = text.repeat(bytes / text.len());
    format!(r#""messages":[{{"role":"user","content":"{text}"}}],"max_tokens":100"#).into_bytes()
}

/// Megabytes a second, and microseconds for each body.
fn each(body: &[u8], bytes: usize) -> (f64, f64) {
    let count = bytes / body.len();
    let estimate = || {
        for _ in 0..count {
            black_box(JobSize::of(&Operation::ChatCompletions, black_box(body)));
        }
    };
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| cpu_each(count, estimate)).collect();
    let time = median(&mut times);
    (body.len() as f64 / time, time)
}
