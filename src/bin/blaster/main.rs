//! The `blaster` command.
fn main() {}
