//! The engine's core without threads: who goes when, who ends how, and that nobody is lost.
//!
//! 1. [`order`]: classes, ages, ageing, lanes
//! 2. [`waiting`]: deadlines, cancelling, closing, the next wake-up, bounds
//! 3. [`conservation`]: every job ends exactly once, in whatever order things happen

mod conservation;
mod order;
mod waiting;
