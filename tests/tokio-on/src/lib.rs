//! Has no code of its own; see the tests.
