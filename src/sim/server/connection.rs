//! One connection: reads requests, has them answered and carries the plans out.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::journal::{End, Line, Origin};
use super::super::plan::{Ask, Ending, Plan};
use super::refusal::Refusal;
use super::reply::{self, Framing};
use super::request::{Head, Inbox, Progress, Request};
use super::{Death, Model, Shared};
use crate::clock;

/// Room that is made before a read, in bytes; a request of the usual size needs one read.
const READ_ROOM: usize = 4 * 1024;

/// Room before a read when a large body is arriving, in bytes.
const LARGE_READ_ROOM: usize = 64 * 1024;

/// How far a client may send ahead while its reply is under way, in bytes. Reading on is how its leaving is noticed.
const MAX_AHEAD: usize = 1024 * 1024;

/// A written-out buffer larger than this is given back, in bytes.
const KEPT_CAPACITY: usize = 64 * 1024;

/// How long a client that was refused may go on sending before the connection is closed under it.
const LINGER: Duration = Duration::from_secs(2);

/// The fault that the journal names for a deployment that was killed.
const DEAD: &str = "dead";

/// Serves one connection until it closes or `life` changes, which resets it.
pub(super) async fn serve<M: Model>(
    shared: Arc<Shared<M>>,
    resource: usize,
    socket: TcpStream,
    mut life: watch::Receiver<()>,
) {
    // Without it the kernel holds small pieces of a stream back; a socket that refuses it is dead already.
    let _ = socket.set_nodelay(true);
    let number = shared.journal.connected();
    let mut connection = Connection {
        inbox: Inbox::new(shared.max_body),
        outbox: Vec::new(),
        shared,
        resource,
        socket,
        number,
        requests: 0,
        exchange: None,
    };
    let close = tokio::select! {
        biased;
        _ = life.changed() => Close::Reset,
        close = connection.run() => close,
    };
    connection.close(close).await;
}

struct Connection<M> {
    shared: Arc<Shared<M>>,
    resource: usize,
    socket: TcpStream,
    number: u64,
    /// Requests received so far.
    requests: u64,
    inbox: Inbox,
    /// What goes out with the next flush.
    outbox: Vec<u8>,
    /// The last exchange.
    exchange: Option<Exchange>,
}

struct Exchange {
    line: Line,
    /// To be given back to the model when the exchange is over.
    ticket: Option<u64>,
    received: Duration,
    /// When this exchange last looked at the clock.
    now: Duration,
    death: Option<watch::Receiver<Option<Death>>>,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug)]
enum Close {
    /// In order.
    Finish,
    /// In order, but the client may still be sending, and an early close would reset what it has not read yet.
    Linger,
    /// With a reset.
    Reset,
}

/// What puts an end to an exchange from outside.
#[derive(Clone, Copy, Debug)]
enum Interrupt {
    ClientLeft,
    Died(Death),
}

impl<M: Model> Connection<M> {
    async fn run(&mut self) -> Close {
        loop {
            let request = match self.receive().await {
                Ok(Some(request)) => request,
                Ok(None) => return Close::Finish,
                Err(refusal) => return self.refuse(refusal).await,
            };
            if let Some(close) = self.answer(request).await {
                return close;
            }
        }
    }

    /// The next request; none if the client closed the connection.
    async fn receive(&mut self) -> Result<Option<Request>, Refusal> {
        loop {
            match self.inbox.next()? {
                Progress::Whole(request) => return Ok(Some(request)),
                Progress::Partial => {}
                Progress::Waiting => {
                    self.outbox.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    if self.flush().await.is_err() {
                        return Ok(None);
                    }
                }
            }
            // A client that has had its answer loses nothing: it makes another connection.
            let idle = self.requests > 0 && self.inbox.len() == 0;
            let shared = Arc::clone(&self.shared);
            let read = tokio::select! {
                biased;
                read = self.read() => read,
                () = shared.spare.run_out(), if idle => return Ok(None),
            };
            if read.is_err() {
                return Ok(None);
            }
        }
    }

    async fn refuse(&mut self, refusal: Refusal) -> Close {
        self.shared.journal.refused();
        reply::refusal(&mut self.outbox, refusal, clock::wall());
        match self.flush().await {
            Ok(()) => Close::Linger,
            Err(_) => Close::Finish,
        }
    }

    /// Answers a request; says how to close the connection, if so.
    async fn answer(&mut self, request: Request) -> Option<Close> {
        let (plan, received) = self.ask(&request);
        let framing = Framing::of(&plan, &request.head);
        let keep = request.head.keep_alive && framing != Framing::UntilClose && !self.shared.spare.are_short();
        let said = connection_header(&request.head, &plan, keep);
        let dead = self.begin(request, &plan, received);
        let played = match dead {
            Some(death) => Err(Interrupt::Died(death)),
            None => self.play(&plan, framing, said).await,
        };
        let end = match played {
            Ok(end) => end,
            Err(Interrupt::ClientLeft) => End::ClientLeft,
            Err(Interrupt::Died(Death::Hang)) => self.client_left().await,
            Err(Interrupt::Died(Death::Reset | Death::Refuse)) => End::Killed,
        };
        self.end(end);
        match end {
            End::Complete if keep => None,
            End::Reset | End::Killed => Some(Close::Reset),
            _ => Some(Close::Finish),
        }
    }

    fn ask(&mut self, request: &Request) -> (Plan, Duration) {
        let mut model = self.shared.model.lock();
        // Read under the lock, so that the model's time never runs backwards.
        let now = self.shared.now();
        let plan = model.ask(&Ask {
            resource: self.resource,
            method: &request.head.method,
            path: &request.head.path,
            query: &request.head.query,
            headers: &request.head.headers,
            body: &request.body,
            now,
        });
        (plan, now)
    }

    /// Journals the request; says whether its deployment is dead.
    fn begin(&mut self, request: Request, plan: &Plan, received: Duration) -> Option<Death> {
        let origin = Origin {
            connection: self.number,
            on_connection: self.requests,
            received,
        };
        let death = plan.deployment.and_then(|position| self.shared.deaths.get(position));
        let dead = death.and_then(|state| *state.borrow());
        let mut note = plan.note.clone();
        if dead.is_some() {
            note.fault = Some(DEAD);
        }
        self.requests += 1;
        self.exchange = Some(Exchange {
            line: self.shared.journal.begin(request, origin, plan.deployment, &note),
            ticket: (note.ticket != 0).then_some(note.ticket),
            received,
            now: received,
            death: death.map(watch::Sender::subscribe),
        });
        dead
    }

    /// Carries `plan` out to its end. A reply that is complete is journalled so before its last bytes are sent.
    async fn play(&mut self, plan: &Plan, framing: Framing, said: Option<&str>) -> Result<End, Interrupt> {
        match plan.ending {
            Ending::Hang => return Err(self.silence().await),
            Ending::Raw => {}
            Ending::Reset if plan.body.is_empty() => self.wait_for(plan.head_at).await?,
            Ending::Clean | Ending::Stall | Ending::Reset | Ending::Cut => {
                self.wait_for(plan.head_at).await?;
                reply::head(&mut self.outbox, plan, framing, said, clock::wall());
                self.answered(plan.status);
            }
        }
        for piece in &plan.body {
            self.wait_for(piece.at).await?;
            match plan.ending {
                Ending::Raw => self.outbox.extend_from_slice(&piece.bytes),
                _ => framing.piece(&mut self.outbox, &piece.bytes),
            }
        }
        let end = match plan.ending {
            Ending::Clean => {
                framing.end(&mut self.outbox);
                End::Complete
            }
            Ending::Hang | Ending::Stall => {
                self.flush().await?;
                return Err(self.silence().await);
            }
            Ending::Reset => End::Reset,
            Ending::Cut => End::Cut,
            Ending::Raw => End::Garbage,
        };
        self.end(end);
        self.flush().await?;
        Ok(end)
    }

    /// Waits until `at` after the request was received; what was due before is sent first. Never returns early; tokio's
    /// timers make it up to about a millisecond late.
    async fn wait_for(&mut self, at: Duration) -> Result<(), Interrupt> {
        let Some(exchange) = &mut self.exchange else {
            return Ok(());
        };
        let due = exchange.received + at;
        if due > exchange.now {
            exchange.now = self.shared.now();
        }
        if due <= exchange.now {
            return Ok(());
        }
        self.flush().await?;
        let instant = Instant::from_std(self.shared.epoch + due);
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(instant) => Ok(()),
            interrupt = self.silence() => Err(interrupt),
        }
    }

    /// Says nothing until something from outside ends the exchange.
    async fn silence(&mut self) -> Interrupt {
        let mut death = self.exchange.as_ref().and_then(|exchange| exchange.death.clone());
        let died = async {
            match &mut death {
                Some(state) => state.wait_for(Option::is_some).await.ok().and_then(|death| *death),
                None => None,
            }
        };
        tokio::select! {
            biased;
            Some(death) = died => Interrupt::Died(death),
            _ = self.client_left() => Interrupt::ClientLeft,
        }
    }

    /// Waits until the client closes the connection, or resets it.
    async fn client_left(&mut self) -> End {
        loop {
            if self.inbox.len() > MAX_AHEAD {
                // Its leaving is not seen any more; the exchange's own end, if it has one, still comes.
                std::future::pending::<()>().await;
            }
            if self.read().await.is_err() {
                return End::ClientLeft;
            }
        }
    }

    fn answered(&self, status: u16) {
        if let Some(exchange) = &self.exchange {
            self.shared.journal.answered(&exchange.line, status, self.shared.now());
        }
    }

    /// Notes how the exchange ended; said twice, the later word counts.
    fn end(&mut self, end: End) {
        let Some(exchange) = &mut self.exchange else { return };
        if exchange.line.end() == end {
            return;
        }
        let now = self.shared.now();
        self.shared.journal.ended(&mut exchange.line, end, now);
        if let Some(ticket) = exchange.ticket.take() {
            self.shared.model.lock().finished(ticket, now);
        }
    }

    async fn read(&mut self) -> Result<(), Interrupt> {
        let large = self.inbox.len() > READ_ROOM;
        let buffer = self.inbox.buffer();
        let room = if large { LARGE_READ_ROOM } else { READ_ROOM };
        if buffer.capacity() - buffer.len() < room / 2 {
            buffer.reserve(room);
        }
        match self.socket.read_buf(buffer).await {
            Ok(0) | Err(_) => Err(Interrupt::ClientLeft),
            Ok(_) => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), Interrupt> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        let written = self.socket.write_all(&self.outbox).await;
        self.outbox.clear();
        if self.outbox.capacity() > KEPT_CAPACITY {
            self.outbox = Vec::new();
        }
        written.map_err(|_| Interrupt::ClientLeft)
    }

    async fn close(mut self, how: Close) {
        // Left over where it was killed while it waited or wrote.
        let open = self
            .exchange
            .as_ref()
            .is_some_and(|exchange| exchange.line.end() == End::Open);
        if open || !self.outbox.is_empty() {
            self.end(End::Killed);
        }
        // Errors here mean that the connection is gone already, which is what is wanted.
        match how {
            Close::Reset => drop(self.socket.set_zero_linger()),
            Close::Finish => drop(self.socket.shutdown().await),
            Close::Linger => {
                let _ = self.socket.shutdown().await;
                let drain = async {
                    let mut bin = vec![0; READ_ROOM];
                    while matches!(self.socket.read(&mut bin).await, Ok(1..)) {}
                };
                let _ = tokio::time::timeout(LINGER, drain).await;
            }
        }
        drop(self.socket);
        self.shared.spare.refill();
        let line = self.exchange.as_ref().map(|exchange| &exchange.line);
        self.shared.journal.disconnected(line, self.shared.now());
    }
}

/// What the reply's `connection` header says, where it is needed. A broken reply does not announce its end.
fn connection_header(request: &Head, plan: &Plan, keep: bool) -> Option<&'static str> {
    match plan.ending {
        Ending::Clean if !keep => Some("close"),
        Ending::Clean if request.old => Some("keep-alive"),
        _ => None,
    }
}
