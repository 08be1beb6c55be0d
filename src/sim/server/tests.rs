//! Raw sockets against a server whose model is a closure.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::super::journal::{Counters, End, JournalEntry, JournalView};
use super::super::plan::{Ending, Note, Piece};
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Answers by a closure, and remembers which tickets were given back.
struct Script<F> {
    answer: F,
    finished: Vec<u64>,
}

impl<F: FnMut(&Ask<'_>) -> Plan + Send + 'static> Model for Script<F> {
    fn ask(&mut self, ask: &Ask<'_>) -> Plan {
        (self.answer)(ask)
    }

    fn finished(&mut self, ticket: u64, _: Duration) {
        self.finished.push(ticket);
    }
}

/// Two resources: `east` alone on the first, `west` and `north` on the second.
fn serve<F: FnMut(&Ask<'_>) -> Plan + Send + 'static>(answer: F) -> Server<Script<F>> {
    let site = |name: &str, resource| Site {
        name: name.into(),
        resource,
    };
    let settings = FleetSettings::new().max_body(1024 * 1024).journal_capacity(1000);
    let script = Script {
        answer,
        finished: vec![],
    };
    let sites = vec![site("east", 0), site("west", 1), site("north", 1)];
    Server::start(script, sites, &[0, 0], &settings).unwrap()
}

const EAST: usize = 0;
const WEST: usize = 1;

fn plan(deployment: usize, ending: Ending, pieces: &[(u64, &'static str)]) -> Plan {
    Plan {
        head_at: Duration::ZERO,
        status: 200,
        headers: vec![("content-type".into(), "text/plain".into())],
        body: pieces
            .iter()
            .map(|&(at, text)| Piece {
                at: Duration::from_millis(at),
                bytes: text.as_bytes().into(),
            })
            .collect(),
        ending,
        deployment: Some(deployment),
        note: Note {
            charged: 7,
            fault: (ending != Ending::Clean).then_some("scripted"),
            ticket: 42,
        },
    }
}

/// A plan that says back what was asked.
fn echo(ask: &Ask<'_>) -> Plan {
    let mut said = plan(if ask.resource == 0 { EAST } else { WEST }, Ending::Clean, &[(0, "")]);
    said.body[0].bytes = [ask.method.as_bytes(), b" ", ask.path.as_bytes(), b" ", ask.body]
        .concat()
        .into();
    said
}

fn connect<M: Model>(server: &Server<M>, resource: usize) -> TcpStream {
    let client = TcpStream::connect(server.address(resource).unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn send(client: &mut TcpStream, body: &str) {
    let length = body.len();
    write!(
        client,
        "POST /ask HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
}

/// Reads until what came ends with `end`.
fn read_until(client: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        match client.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&text)),
        }
    }
    String::from_utf8(text).unwrap()
}

/// Everything up to the connection's end, and how it ended.
fn read_out(client: &mut TcpStream) -> (String, Result<(), ErrorKind>) {
    let mut text = Vec::new();
    let end = client.read_to_end(&mut text).map(drop).map_err(|error| error.kind());
    (String::from_utf8(text).unwrap(), end)
}

fn wait<M: Model>(server: &Server<M>, condition: impl FnMut(JournalView<'_>) -> bool) {
    let deadline = clock::now() + PATIENCE;
    assert!(
        server.journal().wait_until(deadline, condition),
        "waited in vain: {:#?}",
        server.journal().entries()
    );
}

fn only_entry<M: Model>(server: &Server<M>) -> JournalEntry {
    let mut entries = server.journal().entries();
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

fn counters<M: Model>(server: &Server<M>, name: &str) -> Counters {
    server.journal().view(|view| view.counters(name)).unwrap()
}

fn body(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn a_clean_reply_leaves_the_connection_open_for_the_next_request() {
    let server = serve(echo);
    let mut client = connect(&server, 0);
    for text in ["id:one", "id:two"] {
        send(&mut client, text);
        let reply = read_until(&mut client, text);
        assert!(
            reply.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: "),
            "{reply}"
        );
        assert!(reply.contains("\r\ncontent-length: 16\r\n"), "{reply}");
        assert_eq!(body(&reply), format!("POST /ask {text}"));
    }
    let entries = server.journal().entries();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.connection, entry.on_connection, entry.id()))
        .collect();
    assert_eq!(told, [(0, 0, Some("one")), (0, 1, Some("two"))]);
    assert!(
        entries
            .iter()
            .all(|entry| entry.end == End::Complete && entry.status == Some(200))
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry.charged == 7 && entry.deployment.as_deref() == Some("east"))
    );
    assert_eq!(server.change(|script, _| script.finished.clone()), [42, 42]);
    drop(client);
    wait(&server, |view| view.totals().connections_open == 0);
    let closed: Vec<_> = server
        .journal()
        .entries()
        .iter()
        .map(|entry| entry.closed.is_some())
        .collect();
    assert_eq!(closed, [false, true], "noted on the last request of the connection");
}

#[test]
fn pieces_go_out_in_chunks_and_not_before_their_time() {
    let server = serve(|_| plan(EAST, Ending::Clean, &[(0, "one"), (30, ""), (30, "two"), (60, "three")]));
    let mut client = connect(&server, 0);
    let began = clock::now();
    send(&mut client, "");
    let reply = read_until(&mut client, "one\r\n");
    assert!(reply.contains("\r\ntransfer-encoding: chunked\r\n"), "{reply}");
    assert_eq!(read_until(&mut client, "two\r\n"), "3\r\ntwo\r\n");
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert_eq!(read_until(&mut client, "0\r\n\r\n"), "5\r\nthree\r\n0\r\n\r\n");
    assert!(began.elapsed() >= Duration::from_millis(60));
    let entry = only_entry(&server);
    assert!(entry.ended.unwrap() - entry.answered.unwrap() >= Duration::from_millis(59));
}

#[test]
fn a_delayed_head_comes_with_its_first_piece_and_not_before_its_time() {
    let server = serve(|_| {
        let mut plan = plan(EAST, Ending::Clean, &[(25, "late")]);
        plan.head_at = Duration::from_millis(25);
        plan
    });
    let mut client = connect(&server, 0);
    let began = clock::now();
    send(&mut client, "");
    let mut first = [0; 4096];
    let count = client.read(&mut first).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(25));
    assert!(
        first[..count].ends_with(b"\r\n\r\nlate"),
        "{}",
        first[..count].escape_ascii()
    );
}

/// How a broken exchange looks to its client and in the journal.
fn check_ending(
    ending: Ending,
    pieces: &'static [(u64, &'static str)],
    text: &str,
    end: Result<(), ErrorKind>,
    noted: End,
) {
    let server = serve(move |_| plan(EAST, ending, pieces));
    let mut client = connect(&server, 0);
    send(&mut client, "");
    let (reply, seen) = read_out(&mut client);
    let shown = match reply.split_once("\r\n\r\n") {
        Some((head, body)) => format!("{}|{body}", framing_of(head)),
        None => reply,
    };
    assert_eq!((shown.as_str(), seen), (text, end), "{ending:?} {pieces:?}");
    wait(&server, |view| view.totals().connections_open == 0);
    let entry = only_entry(&server);
    assert_eq!((entry.end, entry.fault), (noted, Some("scripted")), "{ending:?}");
    assert!(entry.ended.is_some() && entry.closed.is_some());
    let counters = counters(&server, "east");
    assert_eq!(
        (counters.requests, counters.broken, counters.faults, counters.in_flight),
        (1, 1, 1, 0)
    );
}

fn framing_of(head: &str) -> &str {
    let mut lines = head.lines();
    lines
        .rfind(|line| line.starts_with("content-length") || line.starts_with("transfer-"))
        .unwrap_or("none")
}

#[test]
fn each_way_to_break_a_reply_looks_as_it_should() {
    let reset = Err(ErrorKind::ConnectionReset);
    let chunked = "transfer-encoding: chunked";
    check_ending(Ending::Reset, &[], "", reset, End::Reset);
    check_ending(
        Ending::Reset,
        &[(0, "half")],
        &format!("{chunked}|4\r\nhalf\r\n"),
        reset,
        End::Reset,
    );
    check_ending(
        Ending::Cut,
        &[(0, "half")],
        "content-length: 1004|half",
        Ok(()),
        End::Cut,
    );
    check_ending(
        Ending::Cut,
        &[(0, "a"), (5, "b")],
        &format!("{chunked}|1\r\na\r\n1\r\nb\r\n"),
        Ok(()),
        End::Cut,
    );
    check_ending(
        Ending::Raw,
        &[(0, "\u{1}junk"), (5, "more")],
        "\u{1}junkmore",
        Ok(()),
        End::Garbage,
    );
}

#[test]
fn a_client_that_leaves_a_hanging_reply_is_noticed() {
    let server = serve(|_| plan(EAST, Ending::Hang, &[]));
    let mut client = connect(&server, 0);
    send(&mut client, "");
    wait(&server, |view| view.counters("east").unwrap().in_flight == 1);
    assert_eq!(only_entry(&server).end, End::Open);
    drop(client);
    wait(&server, |view| view.totals().connections_open == 0);
    let entry = only_entry(&server);
    assert!(entry.client_left() && entry.answered.is_none() && entry.ended.is_some() && entry.closed.is_some());
    assert_eq!(counters(&server, "east").client_left, 1);
    assert_eq!(server.change(|script, _| script.finished.clone()), [42]);
}

#[test]
fn a_stalled_reply_keeps_silent_after_its_pieces_until_the_client_leaves() {
    let server = serve(|_| plan(EAST, Ending::Stall, &[(0, "half")]));
    let mut client = connect(&server, 0);
    send(&mut client, "");
    read_until(&mut client, "4\r\nhalf\r\n");
    client.set_nonblocking(true).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(only_entry(&server).status, Some(200));
    client.shutdown(Shutdown::Both).unwrap();
    wait(&server, |view| view.counters("east").unwrap().client_left == 1);
}

#[test]
fn a_client_that_leaves_in_mid_stream_is_noticed_before_the_next_piece() {
    let hour = 3_600_000;
    let server = serve(move |_| plan(EAST, Ending::Clean, &[(0, "first"), (hour, "never")]));
    let mut client = connect(&server, 0);
    send(&mut client, "");
    read_until(&mut client, "first\r\n");
    drop(client);
    wait(&server, |view| {
        view.entries()
            .all(|entry| entry.client_left() && entry.closed.is_some())
    });
}

#[test]
fn a_request_may_come_in_chunks_after_100_continue_and_pipelined() {
    let server = serve(echo);
    let mut client = connect(&server, 0);
    write!(
        client,
        "POST /a HTTP/1.1\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .unwrap();
    read_until(&mut client, "HTTP/1.1 100 Continue\r\n\r\n");
    write!(
        client,
        "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\nHEAD /c HTTP/1.1\r\n\r\n"
    )
    .unwrap();
    assert_eq!(body(&read_until(&mut client, "abcdef")), "POST /a abcdef");
    assert_eq!(body(&read_until(&mut client, "GET /b ")), "GET /b ");
    assert_eq!(body(&read_until(&mut client, "\r\n\r\n")), "", "HEAD has no body");
    assert_eq!(counters(&server, "east").requests, 3);
}

#[test]
fn a_large_body_arrives_whole_and_a_too_large_one_is_refused() {
    let server = serve(|ask| {
        let mut plan = plan(EAST, Ending::Clean, &[(0, "")]);
        plan.body[0].bytes = ask.body.len().to_string().into_bytes().into();
        plan
    });
    let mut client = connect(&server, 0);
    send(&mut client, &"x".repeat(1024 * 1024));
    assert_eq!(body(&read_until(&mut client, "1048576")), "1048576");
    // So much that it is still being sent, into no buffer but the server's hands, when the refusal is out.
    send(&mut client, &"x".repeat(32 * 1024 * 1024));
    let (reply, end) = read_out(&mut client);
    assert!(
        reply.starts_with("HTTP/1.1 413 ") && reply.contains("connection: close"),
        "{reply}"
    );
    assert_eq!(end, Ok(()));
    let totals = server.journal().view(|view| view.totals());
    assert_eq!((totals.requests, totals.refused), (1, 1));
}

#[test]
fn what_is_no_request_is_refused_with_a_reason() {
    let server = serve(echo);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101));
    for (sent, status) in [("nonsense\r\n\r\n", "400"), (many.as_str(), "431")] {
        let mut client = connect(&server, 0);
        client.write_all(sent.as_bytes()).unwrap();
        let (reply, end) = read_out(&mut client);
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
        assert_eq!(end, Ok(()));
    }
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks_and_a_client_that_asks_for_it_a_closed_connection() {
    let server = serve(|_| plan(EAST, Ending::Clean, &[(0, "a"), (1, "b")]));
    for (request, framing, text) in [
        ("GET / HTTP/1.0\r\n\r\n", "none", "ab"),
        (
            "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
            "transfer-encoding: chunked",
            "1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
        ),
    ] {
        let mut client = connect(&server, 0);
        client.write_all(request.as_bytes()).unwrap();
        let (reply, end) = read_out(&mut client);
        assert_eq!(
            (framing_of(reply.split_once("\r\n\r\n").unwrap().0), body(&reply), end),
            (framing, text, Ok(()))
        );
        assert!(reply.contains("\r\nconnection: close\r\n"), "{reply}");
    }
}

#[test]
fn a_refusing_deployment_refuses_and_comes_back_on_the_same_port() {
    let server = serve(|ask| match ask.body {
        b"hang" => plan(EAST, Ending::Hang, &[]),
        _ => echo(ask),
    });
    let (mut idle, mut busy) = (connect(&server, 0), connect(&server, 0));
    send(&mut idle, "hi");
    read_until(&mut idle, "hi");
    send(&mut busy, "hang");
    wait(&server, |view| view.counters("east").unwrap().in_flight == 1);

    let address = server.address(0).unwrap();
    server.set_death(EAST, Some(Death::Refuse)).unwrap();
    assert_eq!(
        TcpStream::connect(address).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    let thief = std::net::TcpListener::bind(address);
    assert_eq!(thief.unwrap_err().kind(), ErrorKind::AddrInUse, "the port is kept");
    assert_eq!(read_out(&mut idle).1, Err(ErrorKind::ConnectionReset));
    assert_eq!(read_out(&mut busy).1, Err(ErrorKind::ConnectionReset));
    wait(&server, |view| view.totals().connections_open == 0);
    assert_eq!(server.journal().entries()[1].end, End::Killed);
    server.set_death(EAST, Some(Death::Refuse)).unwrap();

    server.set_death(EAST, None).unwrap();
    let mut client = connect(&server, 0);
    send(&mut client, "again");
    assert_eq!(body(&read_until(&mut client, "again")), "POST /ask again");
    let mut other = connect(&server, 1);
    send(&mut other, "there");
    read_until(&mut other, "there");
}

#[test]
fn a_dead_deployment_of_a_shared_resource_does_not_take_the_others_along() {
    for death in [Death::Refuse, Death::Reset] {
        let server = serve(|ask| match ask.body {
            b"north" => plan(2, Ending::Clean, &[(0, "north")]),
            _ => echo(ask),
        });
        server.set_death(WEST, Some(death)).unwrap();
        let mut client = connect(&server, 1);
        send(&mut client, "west");
        assert_eq!(read_out(&mut client), (String::new(), Err(ErrorKind::ConnectionReset)));
        assert_eq!(only_entry(&server).fault, Some("dead"));
        let mut client = connect(&server, 1);
        send(&mut client, "north");
        read_until(&mut client, "north");
        server.set_death(WEST, None).unwrap();
        send(&mut client, "west");
        read_until(&mut client, "west");
    }
}

#[test]
fn a_deployment_that_hangs_from_now_on_stops_replies_under_way_and_does_not_resume_them() {
    let hour = 3_600_000;
    let server = serve(move |ask| match ask.body {
        b"slow" => plan(EAST, Ending::Clean, &[(0, "first"), (hour, "never")]),
        _ => echo(ask),
    });
    let (mut slow, mut late) = (connect(&server, 0), connect(&server, 0));
    send(&mut slow, "slow");
    read_until(&mut slow, "first\r\n");
    server.set_death(EAST, Some(Death::Hang)).unwrap();
    send(&mut late, "late");
    wait(&server, |view| view.counters("east").unwrap().in_flight == 2);
    server.set_death(EAST, None).unwrap();
    let mut fresh = connect(&server, 0);
    send(&mut fresh, "fresh");
    read_until(&mut fresh, "fresh");
    assert_eq!(counters(&server, "east").in_flight, 2);
    drop((slow, late));
    wait(&server, |view| view.counters("east").unwrap().client_left == 2);
}

#[test]
fn a_death_by_reset_breaks_off_replies_under_way() {
    let server = serve(|_| plan(EAST, Ending::Hang, &[]));
    let mut client = connect(&server, 0);
    send(&mut client, "");
    wait(&server, |view| view.counters("east").unwrap().in_flight == 1);
    server.set_death(EAST, Some(Death::Reset)).unwrap();
    assert_eq!(read_out(&mut client).1, Err(ErrorKind::ConnectionReset));
    assert_eq!(only_entry(&server).end, End::Killed);
}

#[test]
fn two_hundred_connections_are_served_at_once_and_every_request_is_counted() {
    let (clients, each) = (200, 5);
    let server = serve(echo);
    std::thread::scope(|scope| {
        for client in 0..clients {
            let server = &server;
            scope.spawn(move || {
                let mut socket = connect(server, client % 2);
                for n in 0..each {
                    let text = format!("id:{client}-{n}");
                    send(&mut socket, &text);
                    assert!(read_until(&mut socket, &text).starts_with("HTTP/1.1 200 "));
                }
                // All of them stay open until the last one is answered.
                wait(server, |view| view.totals().requests == (clients * each) as u64);
            });
        }
    });
    let (east, west) = (counters(&server, "east"), counters(&server, "west"));
    assert_eq!((east.requests, east.completed, east.succeeded), (500, 500, 500));
    assert_eq!((west.requests, west.completed, west.charged), (500, 500, 3500));
    wait(&server, |view| view.totals().connections_open == 0);
    assert_eq!(server.journal().view(|view| view.totals().most_connections_open), 200);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let script = Script {
        answer: echo,
        finished: vec![],
    };
    let error = Server::start(script, vec![], &[port], &FleetSettings::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("listening on 127.0.0.1:{port} for the simulator")
    );
}

#[test]
fn a_dropped_server_lets_go_of_its_clients() {
    let server = serve(|_| plan(EAST, Ending::Hang, &[]));
    let address = server.address(0).unwrap();
    let mut client = connect(&server, 0);
    send(&mut client, "");
    wait(&server, |view| view.counters("east").unwrap().in_flight == 1);
    drop(server);
    assert_eq!(read_out(&mut client).0, "");
    assert!(TcpStream::connect(address).is_err());
}
