//! Tests of the limiter, from the outside: what it admits, and what it believes after what it was told.

mod admission;
mod refusals;
mod scenario;
