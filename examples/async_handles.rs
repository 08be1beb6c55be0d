//! The same handles, awaited: a [`JobHandle`] is a future for any executor. None is needed for the library to work,
//! so a small one of our own will do here; with tokio, smol or any other the functions below stay as they are.
//!
//! ```sh
//! cargo run --example async_handles
//! ```

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use azure_openai_blaster::testing::{Scripted, ScriptedCall, ScriptedReply};
use azure_openai_blaster::{Blaster, ErrorKind, JobHandle, Result};

fn main() -> Result<()> {
    let blaster = Blaster::builder().transport(Scripted::new(answer)).build()?;
    block_on(async {
        println!(
            "one:    {}",
            blaster.submit_chat_completion("What is 1 squared?")?.await?
        );
        println!("all:    {:?}", all(&blaster).await?);
        println!("first:  {}", first(&blaster).await?);
        give_up(&blaster).await
    })?;
    blaster.close();
    Ok(())
}

/// Jobs run from the moment of their submission, so that awaiting one handle after another costs no time.
async fn all(blaster: &Blaster) -> Result<Vec<String>> {
    let mut handles = Vec::new();
    for number in 2..=8 {
        handles.push(blaster.submit_chat_completion(format!("What is {number} squared?"))?);
    }
    let mut answers = Vec::new();
    for handle in handles {
        answers.push(handle.await?);
    }
    Ok(answers)
}

/// Races two jobs. The loser's handle is dropped, which cancels it since it was asked to.
async fn first(blaster: &Blaster) -> Result<String> {
    let mut slow = blaster.submit_chat_completion("What is 90 squared?")?.cancel_on_drop();
    let mut quick = blaster.submit_chat_completion("What is 9 squared?")?.cancel_on_drop();
    poll_fn(|context| poll_either(&mut slow, &mut quick, context)).await
}

fn poll_either<T>(a: &mut JobHandle<T>, b: &mut JobHandle<T>, context: &mut Context<'_>) -> Poll<Result<T>> {
    match pin!(a).poll(context) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => pin!(b).poll(context),
    }
}

/// Cancels a job from another thread while it is awaited here.
async fn give_up(blaster: &Blaster) -> Result<()> {
    let handle = blaster.submit_chat_completion("What is 999 squared?")?;
    let canceller = handle.canceller();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        canceller.cancel();
    });
    match handle.await {
        Err(error) if error.kind() == ErrorKind::Cancelled => println!("given up: {error}"),
        other => println!("too late: {other:?}"),
    }
    Ok(())
}

/// Runs a future on this thread, which sleeps until the future can go on.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Stands in for the service: 10 ms for every digit-and-a-bit of the number.
fn answer(call: &ScriptedCall) -> ScriptedReply {
    let question = call.body["messages"][0]["content"].as_str().unwrap_or_default();
    let number: u64 = question
        .split(' ')
        .nth(2)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0);
    ScriptedReply::text((number * number).to_string()).after(Duration::from_millis(10 * number))
}
