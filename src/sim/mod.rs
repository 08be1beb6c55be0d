//! A simulator of Azure OpenAI on loopback ports.

pub mod plan;
