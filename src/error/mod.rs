//! What can go wrong.

pub mod fault;
