//! Vectors of many texts, some texts to a request, and the two that are nearest to each other.
//!
//! ```sh
//! cargo run --features sim --example embeddings                  # against a simulated deployment
//! cargo run --features sim --example embeddings -- config.json   # against your deployments
//! ```

use std::error::Error;

use azure_openai_blaster::sim::{SimConfig, SimDeployment, SimFleet, SimOperation};
use azure_openai_blaster::{Blaster, BlasterConfig, EmbeddingRequest, JobSet};

const TEXTS: [&str; 6] = [
    "Backoff lets a busy service recover.",
    "A quota is granted by the minute.",
    "The lamp arrived late.",
    "Waiting longer after each refusal spares the server.",
    "Seagulls circle above the harbour.",
    "Tokens are counted in windows.",
];

/// Texts in a request: fewer requests, and each still small enough to be tried again elsewhere.
const AT_ONCE: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let simulated = SimDeployment::new("text-embedding-3-small").operations([SimOperation::Embeddings]);
    let fleet = SimFleet::start(SimConfig::new([simulated]))?;
    let config = match std::env::args().nth(1) {
        Some(path) => BlasterConfig::from_file(path)?,
        None => BlasterConfig::from_json(&fleet.blaster_config_json())?,
    };
    let blaster = Blaster::builder().config(config).build()?;

    let mut jobs = JobSet::new();
    for (part, texts) in TEXTS.chunks(AT_ONCE).enumerate() {
        let request = EmbeddingRequest::new(texts.iter().copied()).dimensions(256);
        jobs.insert(part, blaster.submit_embeddings(request)?);
    }
    let mut vectors = vec![Vec::new(); TEXTS.len()];
    let mut tokens = 0;
    for (part, result) in jobs {
        let embeddings = result?;
        tokens += embeddings.usage().map_or(0, |usage| usage.total_tokens);
        // In the order of the texts of its request.
        for (place, vector) in embeddings.vectors.into_iter().enumerate() {
            vectors[part * AT_ONCE + place] = vector;
        }
    }
    println!(
        "{} vectors of {} numbers, for {tokens} tokens",
        vectors.len(),
        vectors[0].len()
    );

    let pairs = (0..TEXTS.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
    let likeness = |&(one, other): &(usize, usize)| dot(&vectors[one], &vectors[other]);
    if let Some((one, other)) = pairs.max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        println!(
            "nearest to each other ({:.2}):\n  {}\n  {}",
            likeness(&(one, other)),
            TEXTS[one],
            TEXTS[other]
        );
    }
    blaster.close();
    Ok(())
}

/// The cosine of the angle between two vectors of length 1, as the service makes them.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
