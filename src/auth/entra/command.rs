//! Runs az and azd: with an end to waiting, after which nothing of them is left.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use azure_identity::Executor;
use parking_lot::Mutex;

use super::settings::EntraSettings;
use crate::auth::Stop;
use crate::clock;

/// Most bytes that are read of what a command says.
const SAID_MAX: usize = 1024 * 1024;

/// How long the pipes of a command that is over may stay open before what it has left behind is ended, and once more after.
const GRACE: Duration = Duration::from_secs(1);

/// How often it is looked whether nobody waits any more.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the commands of one credential, for one token.
#[derive(Clone)]
pub(super) struct Commands {
    settings: Arc<EntraSettings>,
    stop: Stop,
    ended: Arc<Mutex<Option<Ended>>>,
}

/// How a command came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, with this exit code, and these words on stderr.
    Exited(Option<i32>, String),
    /// By us, after so long.
    TimedOut(Duration),
    /// By us, as nobody waits any more.
    Stopped,
    /// It could not be started.
    NotStarted(String),
}

impl Commands {
    pub(super) fn new(settings: &Arc<EntraSettings>, stop: &Stop) -> Self {
        Commands {
            settings: Arc::clone(settings),
            stop: stop.clone(),
            ended: Arc::default(),
        }
    }

    /// How the last command came to its end.
    pub(super) fn take_ended(&self) -> Option<Ended> {
        self.ended.lock().take()
    }

    fn run(&self, program: &OsStr, args: &[&OsStr]) -> Result<Output, Ended> {
        let limit = self.settings.limits.command;
        let until = clock::now() + limit;
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Colours would be part of its words.
            .env("AZURE_CORE_NO_COLOR", "true");
        if let Some(path) = self.settings.variable("PATH") {
            command.env("PATH", path);
        }
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|error| Ended::NotStarted(error.to_string()))?;
        let mut group = Group { child, is_over: false };
        let stdout = Pipe::of(group.child.stdout.take());
        let stderr = Pipe::of(group.child.stderr.take());
        let status = loop {
            if let Ok(Some(status)) = group.child.try_wait() {
                break status;
            }
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Err(Ended::TimedOut(limit));
            }
            if self.stop.wait(LOOK.min(left)) {
                return Err(Ended::Stopped);
            }
        };
        // What it has left behind may hold its pipes open. Its answer is there all the same.
        if !(stdout.ends_within(GRACE) && stderr.ends_within(GRACE)) {
            end_group(&mut group.child);
            let _ = stdout.ends_within(GRACE) && stderr.ends_within(GRACE);
        }
        let (stdout, stderr) = (stdout.said(), stderr.said());
        group.is_over = true;
        Ok(Output { status, stdout, stderr })
    }
}

/// A command with all that it has started, which are ended with it unless it is over.
struct Group {
    child: Child,
    is_over: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            end_group(&mut self.child);
            let _ = self.child.wait();
        }
    }
}

#[cfg(unix)]
fn end_group(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It fails only where nobody of the group is left.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(not(unix))]
fn end_group(child: &mut Child) {
    // With the processes that it has started, which ending it alone would leave.
    let id = child.id().to_string();
    let _ = Command::new("taskkill").args(["/T", "/F", "/PID", &id]).output();
    let _ = child.kill();
}

/// What a command says, read on a thread of its own: a full pipe would stop it.
struct Pipe {
    said: Arc<Mutex<Vec<u8>>>,
    ended: mpsc::Receiver<()>,
}

impl Pipe {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let (end, ended) = mpsc::channel();
        let said: Arc<Mutex<Vec<u8>>> = Arc::default();
        if let Some(mut pipe) = pipe {
            let said = Arc::clone(&said);
            // Without a thread it says nothing to us, and the pipe is closed.
            let _ = thread::Builder::new().spawn(move || {
                let _end = end;
                let mut buffer = [0; 8192];
                // What came before an error is all there is.
                while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                    let mut said = said.lock();
                    if said.len() + read > SAID_MAX {
                        return;
                    }
                    said.extend_from_slice(&buffer[..read]);
                }
            });
        }
        Pipe { said, ended }
    }

    /// Waits for its end. False where it stays open.
    fn ends_within(&self, time: Duration) -> bool {
        // Nothing is sent: the end is that nobody can.
        self.ended.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Disconnected)
    }

    /// What came so far.
    fn said(&self) -> Vec<u8> {
        std::mem::take(&mut self.said.lock())
    }
}

#[async_trait::async_trait]
impl Executor for Commands {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let begun: Instant = clock::now();
        let result = Commands::run(self, program, args);
        let ended = match &result {
            Ok(output) => Ended::Exited(
                output.status.code(),
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ),
            Err(ended) => ended.clone(),
        };
        log::debug!(
            "a command for a token ended after {} ms",
            clock::now().saturating_duration_since(begun).as_millis()
        );
        *self.ended.lock() = Some(ended);
        result.map_err(|_| io::Error::other("it brought no token"))
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands").finish_non_exhaustive()
    }
}
