//! What a blaster tells those who listen, for their own metrics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Attempt, Condition};
use crate::balance::{Absent, Change};
use crate::error::ErrorKind;

/// Something that happened in a blaster, as [`Builder::on_event`](crate::Builder::on_event) is told of it.
///
/// Each is told once, on the thread on which it happens; events of different threads come at the same time. Of one job its
/// attempts come in their order, and its end after them. Holds no secret, and nothing of what was asked or answered: of a
/// service's message only what does not stand in the request too.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use azure_openai_blaster::testing::Scripted;
/// use azure_openai_blaster::{Blaster, Event};
///
/// let (answered, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
/// let counts = (Arc::clone(&answered), Arc::clone(&failed));
/// let blaster = Blaster::builder()
///     .transport(Scripted::answering("yes"))
///     .on_event(move |event| match event {
///         Event::JobEnded { error: None, .. } => drop(counts.0.fetch_add(1, Ordering::Relaxed)),
///         Event::JobEnded { error: Some(_), .. } => drop(counts.1.fetch_add(1, Ordering::Relaxed)),
///         Event::EndpointChanged { endpoint, condition, .. } => eprintln!("{endpoint} is {condition}"),
///         _ => {} // more kinds may come with new versions
///     })
///     .build()?;
/// blaster.chat_text("Does it count?")?;
/// assert_eq!((answered.load(Ordering::Relaxed), failed.load(Ordering::Relaxed)), (1, 0));
/// # Ok::<(), azure_openai_blaster::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A request that left the machine has come to its end.
    AttemptEnded {
        /// The job's number.
        job: u64,
        /// The entry in its ledger.
        attempt: Attempt,
    },
    /// A job has ended, and its handle is about to be told.
    JobEnded {
        /// Its number.
        job: u64,
        /// None where it was answered, else how it failed.
        error: Option<ErrorKind>,
        /// Requests that left the machine for it.
        attempts: usize,
        /// Time from its submission to its end.
        duration: Duration,
    },
    /// An endpoint's condition has changed.
    EndpointChanged {
        /// Its name.
        endpoint: Arc<str>,
        /// What it is now.
        condition: Condition,
        /// Why.
        reason: Option<String>,
        /// Time until it is given work, or tried, again, where that is known.
        left: Option<Duration>,
    },
    /// The service grants less than the limit of tokens that was told, by the configuration or by its own headers. Told
    /// once, and again when what is believed has moved by a fifth, or the limit had been kept in between.
    LimitContradicted {
        /// The endpoint where it showed.
        endpoint: Arc<str>,
        /// The quota group whose limit it is; none where it is the endpoint's own.
        group: Option<Arc<str>>,
        /// Tokens a minute that were told.
        told_tpm: u64,
        /// Tokens a minute that are believed to be granted.
        believed_tpm: u64,
    },
}

/// The user's listener.
pub(crate) type Hook = Box<dyn Fn(&Event) + Send + Sync>;

/// Calls the listener; its panic is returned in words.
pub(crate) fn tell(hook: &Hook, event: &Event) -> Result<(), String> {
    caught(|| hook(event))
}

/// Calls foreign code; its panic is returned in words.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| panic_text(panic.as_ref()))
}

/// Calls what must cost nothing where it panics, but a line in the log.
pub(crate) fn contain<T>(what: &str, call: impl FnOnce() -> T) -> Option<T> {
    caught(call).map_err(|_| log_panic(what)).ok()
}

/// Writes a panic to the log, without what it said: a callback may name what it was handed, which is an answer. The panic
/// hook has heard it, and so does whoever waits for the job. The logger is foreign code too.
pub(crate) fn log_panic(what: &str) {
    let _ = caught(|| log::error!("{what} panicked (the panic hook was told what it said)"));
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

/// Writes to the log that a limit is not what was told: the configuration wants a look, or others use the quota too.
pub(crate) fn log_contradiction(event: &Event) {
    if let Event::LimitContradicted {
        endpoint,
        group,
        told_tpm,
        believed_tpm,
    } = event
    {
        let whose = match group {
            Some(group) => format!("quota group {group} (by endpoint {endpoint})"),
            None => format!("endpoint {endpoint}"),
        };
        log::warn!("{whose} grants about {believed_tpm} tokens a minute instead of the {told_tpm} that were told");
    }
}

/// Writes to the log that jobs wait for endpoints all of which are out: who waits for the jobs wants to know why.
pub(crate) fn log_all_out(waited: Duration, absent: &[Absent], is_offline: bool) {
    let offline = if is_offline {
        "; this machine seems to be offline: no host was ever reached"
    } else {
        ""
    };
    log::warn!("{}{offline}", all_out(waited, absent));
}

fn all_out(waited: Duration, absent: &[Absent]) -> String {
    let mut text = format!(
        "a job has waited for {} s, since every endpoint that may serve it is out",
        waited.as_secs()
    );
    for (index, absent) in absent.iter().enumerate() {
        let Absent {
            name,
            condition,
            reason,
            left,
        } = absent;
        let state = match (condition, left) {
            (Condition::Probing, _) => "being asked".to_owned(),
            (_, Some(left)) => format!("{condition} and asked again in {:.1} s", left.as_secs_f64()),
            (_, None) => format!("{condition} and not asked again"),
        };
        let before = if index == 0 { ": " } else { "; " };
        text += &format!("{before}{name} is {state} ({reason})");
    }
    text
}

/// Writes a change of condition to the log: going out of service is a warning, everything else information.
pub(crate) fn log_change(change: &Change, left: Option<Duration>) {
    let reason = change.reason.as_deref().unwrap_or("");
    let left = left
        .map(|left| format!(" for {:.1} s", left.as_secs_f64()))
        .unwrap_or_default();
    match change.condition {
        Condition::Ejected | Condition::Disabled | Condition::Misconfigured => {
            log::warn!("endpoint {} is {}: {reason}", change.endpoint, change.condition);
        }
        Condition::CoolingDown => log::info!("endpoint {} is cooling down{left}: {reason}", change.endpoint),
        Condition::Probing => log::info!("endpoint {} is being probed: {reason}", change.endpoint),
        Condition::SigningIn => log::info!("endpoint {} is signing in: {reason}", change.endpoint),
        Condition::Ready => log::info!("endpoint {} is ready", change.endpoint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_that_all_are_out_names_each_with_its_reason_and_its_next_turn() {
        let absent = |name: &str, condition, reason: &str, left: Option<u64>| Absent {
            name: name.into(),
            condition,
            reason: reason.to_owned(),
            left: left.map(Duration::from_millis),
        };
        let text = all_out(
            Duration::from_millis(61_200),
            &[
                absent("east", Condition::Ejected, "5 failures in a row: reset", Some(3_210)),
                absent("west", Condition::Probing, "silent, then: no reply", None),
                absent("north", Condition::Disabled, "maintenance", None),
            ],
        );
        assert_eq!(
            text,
            "a job has waited for 61 s, since every endpoint that may serve it is out: east is ejected and asked \
             again in 3.2 s (5 failures in a row: reset); west is being asked (silent, then: no reply); north is disabled \
             and not asked again (maintenance)"
        );
    }
}
