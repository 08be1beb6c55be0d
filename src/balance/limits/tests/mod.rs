//! Tests of the limiter, from the outside: what it admits, and what it believes after what it was told.

mod admission;
mod any_order;
mod doubts;
mod refusals;
mod requests;
mod scenario;
mod settlements;
mod sliding_log;
mod told;
mod waits;
