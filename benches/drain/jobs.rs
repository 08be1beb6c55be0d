//! What is asked: prompts and answers of very different lengths.

use azure_openai_blaster::sim::SimDeployment;
use azure_openai_blaster::{ChatMessage, ChatRequest};
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::fleet::MODEL;

/// The output limit of every request, in tokens.
const MAX_OUTPUT: u64 = 1000;

/// What the simulator counts beside the text of a prompt of one message, in tokens.
const OVERHEAD: u64 = 6;

/// A request, as the service counts it.
pub(crate) struct Job {
    /// Tokens of the prompt. Until it has been answered a client can but guess them, within about 10 %.
    pub(crate) prompt: u64,
    /// Tokens of the answer.
    pub(crate) output: u64,
    /// The part of the prompt's tokens that is Chinese.
    chinese: f64,
}

impl Job {
    /// What it is charged on admission, in tokens.
    pub(crate) fn charge(&self) -> f64 {
        (self.prompt + MAX_OUTPUT) as f64
    }

    /// What it is charged in the end by a provisioned deployment, in tokens.
    pub(crate) fn used(&self) -> f64 {
        (self.prompt + self.output) as f64
    }

    /// How long a deployment takes to answer it, in seconds.
    pub(crate) fn service_s(&self, deployment: &SimDeployment) -> f64 {
        let latency = &deployment.latency;
        let speed = latency.tokens_per_s.unwrap_or(f64::INFINITY);
        latency.ttft_ms / 1000.0 + self.output as f64 / speed
    }

    pub(crate) fn request(&self) -> ChatRequest {
        ChatRequest::new([ChatMessage::user(self.text())])
            .model(MODEL)
            .max_completion_tokens(MAX_OUTPUT as u32)
    }

    /// A text of so many tokens: four characters of ASCII each, or two others.
    fn text(&self) -> String {
        let mut text = format!("sim:tokens={} ", self.output);
        let tokens = (self.prompt - OVERHEAD) as usize;
        let chinese = (tokens as f64 * self.chinese) as usize;
        let ascii = 4 * (tokens - chinese);
        let filler = "the quick brown fox jumps over the lazy dog ".chars().cycle();
        text.extend(filler.take(ascii - text.len()));
        text.extend(["東京"].repeat(chinese));
        text
    }
}

/// Draws so many jobs.
pub(crate) fn draw(count: usize, rng: &mut SmallRng) -> Vec<Job> {
    let mut lognormal = |median: f64, deviation: f64, least: f64, most: f64| {
        (median * (deviation * normal(rng)).exp()).clamp(least, most) as u64
    };
    let lengths: Vec<_> = (0..count)
        .map(|_| {
            let prompt = lognormal(800.0, 1.0, 50.0, 12_000.0);
            (prompt, lognormal(250.0, 0.8, 5.0, MAX_OUTPUT as f64))
        })
        .collect();
    let job = |(prompt, output)| Job {
        prompt,
        output,
        chinese: rng.random_range(0.0..0.4),
    };
    lengths.into_iter().map(job).collect()
}

/// Of mean 0 and deviation 1 (Box and Muller).
fn normal(rng: &mut SmallRng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
