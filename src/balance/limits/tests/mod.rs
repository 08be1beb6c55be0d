//! Tests of the limiter.
