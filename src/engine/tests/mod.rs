//! The engine's core without threads: who goes when, who ends how, and that nobody is lost.
//!
//! 1. [`order`]: classes, ages, ageing, lanes
//! 2. [`waiting`]: deadlines, cancelling, closing, the next wake-up, bounds
//! 3. [`conservation`]: every job ends exactly once, in whatever order things happen
//! 4. [`fail_stop`]: a panic under the lock
//! 5. [`transport`]: what the engine learns from its transport, beside the reply
//! 6. [`used`]: what a reply has used, on its way from the attempt
//! 7. [`wakes`]: who goes on when a quota has room again
//! 8. [`oversized`]: what no quota takes
//! 9. [`passing`]: what goes before the oldest
//! 10. [`idle`]: no worker idles beside work that may be served, for the random fleets of [`fleets`]
//! 11. [`reservations`]: what is reserved of a quota is settled once, in those fleets and where something panics
//! 12. [`starvation`]: nobody starves
//! 13. [`tokens`]: deployments that sign in with tokens, for hours
//! 14. [`poison`]: jobs that no endpoint bears among good ones, and endpoints that bear none

mod conservation;
mod fail_stop;
mod fleets;
mod idle;
mod order;
mod oversized;
mod passing;
mod poison;
mod reservations;
mod starvation;
mod tokens;
mod transport;
mod used;
mod waiting;
mod wakes;
