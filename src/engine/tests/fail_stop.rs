//! A panic under the lock is a mistake of ours; that it ends every job, and none silently, is the least to ask for.

use std::time::Duration;

use crate::error::{Error, ErrorKind, SubmitError};
use crate::testing::{Scripted, ScriptedReply};
use crate::{Blaster, JobHandle};

const PATIENCE: Duration = Duration::from_secs(60);

fn ended<T>(mut handle: JobHandle<T>) -> Error {
    match handle.wait_timeout(PATIENCE).expect("it ends") {
        Ok(_) => panic!("answered"),
        Err(error) => error,
    }
}

#[test]
fn a_decision_that_panics_ends_every_job_and_closes_the_blaster() {
    let service = Scripted::new(|_| ScriptedReply::hang());
    let blaster = Blaster::builder().transport(service).workers(2).build().unwrap();
    let handles: Vec<_> = (0..10).map(|_| blaster.submit("x").unwrap()).collect();
    let deciding = std::panic::AssertUnwindSafe(|| blaster.shared().act(|_, _, _| panic!("on purpose")));
    assert!(std::panic::catch_unwind(deciding).is_err());
    for handle in handles {
        let error = ended(handle);
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        assert!(error.to_string().contains("on purpose"), "{error}");
    }
    assert!(matches!(blaster.submit("x"), Err(SubmitError::ShutDown(_))));
    blaster.close();
    // Nobody waits for what is over; the workers come to their ends by themselves.
    blaster.drain(PATIENCE);
}
