//! For tests of your own: a service that answers from a script, without a network.
//!
//! ```
//! use azure_openai_blaster::testing::{Scripted, ScriptedReply};
//! use azure_openai_blaster::{Blaster, DeploymentConfig};
//!
//! // "east" is throttled for a minute; every deployment answers "hello" otherwise.
//! let service = Scripted::answering("hello")
//!     .script("east", [ScriptedReply::status(429).header("retry-after", "60")]);
//! let blaster = Blaster::builder()
//!     .deployment(DeploymentConfig::new("east", "https://east.example", "gpt-4o"))
//!     .deployment(DeploymentConfig::new("west", "https://west.example", "gpt-4o"))
//!     .transport(service.clone())
//!     .build()?;
//!
//! // Whichever was asked first: the answer comes from "west", and nothing was tried in vain more than once.
//! for _ in 0..10 {
//!     let completion = blaster.chat("hi")?;
//!     assert_eq!(completion.ledger().last().expect("it was sent").endpoint.as_ref(), "west");
//! }
//! assert_eq!(service.calls().len(), 11);
//! # Ok::<(), azure_openai_blaster::Error>(())
//! ```
//!
//! Against real sockets, with quotas, faults and a journal: the simulator, module `sim` (feature `sim`).

pub use crate::transport::scripted::{Scripted, ScriptedCall, ScriptedReply};
