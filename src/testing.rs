//! For tests of your own: a service that answers from a script, without a network.

pub use crate::transport::scripted::{Scripted, ScriptedCall, ScriptedReply};
