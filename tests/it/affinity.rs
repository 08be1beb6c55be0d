//! Conversations that stay where their prompt is cached, and responses where they are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::api::{ChatMessage, ChatRequest, Operation, RawRequest};
use azure_openai_blaster::config::{BlasterConfig, Strategy};
use azure_openai_blaster::error::Error;
use azure_openai_blaster::sim::{FaultKind, Latency, RefusalFamily, RetryAfter, SimFault, SimFleet};
use serde_json::{Value, json};

use crate::support::{arrived, ask, blaster, config, fleet, pool, state, terse, wait, wait_all};

const NAMES: [&str; 3] = ["east", "north", "west"];
const CONVERSATIONS: usize = 20;
const TURNS: usize = 5;

/// How the requests of a conversation, given by its number, are tied together.
type Tie = fn(ChatRequest, String) -> ChatRequest;

/// The ways in which a chat can be.
const TIES: [Tie; 4] = [
    |request, key| request.session(key),
    |request, key| request.prompt_cache_key(key),
    |request, key| request.user(key),
    // What all have in common does not count beside what is more to the point.
    |request, key| request.session(key).prompt_cache_key("app").user("app"),
];

const LOOSE: [Tie; 2] = [|request, _| request, |request, key| request.user(key).session("")];

fn three() -> SimFleet {
    fleet(NAMES.map(terse))
}

/// A client that uses the surface on which responses are.
fn v1(fleet: &SimFleet) -> Blaster {
    let mut config = config(fleet);
    for deployment in &mut config.deployments {
        "v1".clone_into(&mut deployment.api_version);
    }
    Blaster::builder().config(config).seed(1).build().unwrap()
}

/// A turn of a conversation, which begins with 1,024 tokens of its own and more; `id:c<number>` is its mark.
fn turn(number: usize, turn: usize, tie: Tie) -> ChatRequest {
    let system = format!("id:c{number}. {}", format!("Rule {number}: be brief. ").repeat(250));
    let mut messages = vec![ChatMessage::system(system)];
    for earlier in 0..turn {
        messages.push(ChatMessage::user(format!("Question {earlier}?")));
        messages.push(ChatMessage::assistant("An answer."));
    }
    messages.push(ChatMessage::user(format!("Question {turn}?")));
    tie(ChatRequest::new(messages), format!("conversation {number}"))
}

/// Has a turn of each conversation, one after another. Returns how many tokens of their prompts were cached.
fn have_turns(blaster: &Blaster, number: usize, tie: Tie) -> u64 {
    let cached = |conversation| {
        let completion = blaster.chat(turn(conversation, number, tie)).unwrap();
        completion.usage().unwrap().cached_tokens()
    };
    (0..CONVERSATIONS).map(cached).sum()
}

/// Where the requests of each conversation were answered, by the journal.
fn places(fleet: &SimFleet) -> BTreeMap<String, BTreeSet<String>> {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in fleet.journal().iter().filter(|entry| entry.status == Some(200)) {
        let place = entry.deployment.as_ref().unwrap().to_string();
        places.entry(entry.id().unwrap().to_owned()).or_default().insert(place);
    }
    assert_eq!(places.len(), CONVERSATIONS);
    places
}

/// The one place of each conversation.
fn homes(fleet: &SimFleet) -> BTreeMap<String, String> {
    let one = |(conversation, mut places): (String, BTreeSet<String>)| {
        assert_eq!(places.len(), 1, "{conversation} was at {places:?}");
        (conversation, places.pop_first().unwrap())
    };
    places(fleet).into_iter().map(one).collect()
}

#[test]
fn a_conversation_stays_where_its_prompt_is_cached() {
    let all_turns = |config: BlasterConfig, tie| {
        let blaster = Blaster::builder().config(config).seed(1).build().unwrap();
        (0..TURNS).map(|number| have_turns(&blaster, number, tie)).sum::<u64>()
    };
    let cached = |tie| {
        let fleet = three();
        (all_turns(config(&fleet), tie), fleet)
    };
    let (without, loose) = cached(LOOSE[0]);
    assert!(places(&loose).values().all(|places| places.len() == 3));
    let (freed, loose) = cached(LOOSE[1]);
    assert!(places(&loose).values().all(|places| places.len() == 3));
    assert_eq!(freed, without);
    for tie in TIES {
        let (with, fleet) = cached(tie);
        let homes = homes(&fleet);
        assert_eq!(
            homes.values().map(String::as_str).collect::<BTreeSet<_>>(),
            NAMES.into()
        );
        // Each turn but the first finds at least 1,024 tokens; without it that begins with the fourth.
        assert!(with >= (CONVERSATIONS * (TURNS - 1) * 1024) as u64, "{with}");
        assert!(with > without * 3 / 2, "{with} with, {without} without");
    }
    let fleet = three();
    all_turns(config(&fleet).strategy(Strategy::Failover), TIES[0]);
    assert!(homes(&fleet).values().all(|home| home == "east"), "the first takes all");
}

#[test]
fn conversations_that_are_had_at_once_mostly_stay_and_leave_nobody_idle() {
    let hits = |tie: Tie| {
        let fleet = fleet(NAMES.map(|name| terse(name).latency(Latency::fixed(20.0))));
        let blaster = pool(&fleet, 6);
        let mut cached = 0;
        for number in 0..TURNS {
            // In another order each time, so that others are under way with it.
            let order = (0..CONVERSATIONS).map(|place| (place * [1, 3, 7, 11, 13][number]) % CONVERSATIONS);
            let handles = order.map(|conversation| blaster.submit(turn(conversation, number, tie)).unwrap());
            let results = wait_all(handles.collect::<Vec<_>>());
            let usages = results.iter().map(|result| result.as_ref().unwrap().usage().unwrap());
            cached += usages.map(|usage| usage.cached_tokens()).sum::<u64>();
        }
        for name in NAMES {
            let share = arrived(&fleet, name).len();
            assert!(share >= CONVERSATIONS * TURNS / 6, "{name} had {share}");
        }
        cached
    };
    let (with, without) = (hits(TIES[0]), hits(LOOSE[0]));
    assert!(with > without * 5 / 4, "{with} with, {without} without");
}

#[test]
fn conversations_of_a_deployment_that_refuses_move_and_stay() {
    let fleet = three();
    let blaster = blaster(&fleet);
    have_turns(&blaster, 0, TIES[0]);
    let before = homes(&fleet);
    let kind = FaultKind::Throttle {
        family: RefusalFamily::Gateway,
        retry_after: RetryAfter::Seconds(60),
        wait_ms: 60_000,
    };
    fleet.inject("east", SimFault::next(1, kind)).unwrap();
    fleet.clear_journal();
    (1..TURNS).for_each(|number| assert!(have_turns(&blaster, number, TIES[0]) > 0));
    check_moved(&before, &homes(&fleet), "east");
}

#[test]
fn conversations_that_have_moved_do_not_return() {
    let fleet = three();
    let blaster = blaster(&fleet);
    have_turns(&blaster, 0, TIES[0]);
    let before = homes(&fleet);
    state(&blaster, "west").cool_down(Duration::from_secs(3600));
    fleet.clear_journal();
    have_turns(&blaster, 1, TIES[0]);
    let during = homes(&fleet);
    check_moved(&before, &during, "west");
    state(&blaster, "west").enable();
    fleet.clear_journal();
    (2..TURNS).for_each(|number| assert!(have_turns(&blaster, number, TIES[0]) > 0));
    assert_eq!(homes(&fleet), during, "their prompts are cached there now");
    let free = (0..3).map(|id| blaster.chat(ask(id)).unwrap());
    let places: BTreeSet<String> = free
        .map(|one| one.ledger().last().unwrap().endpoint.to_string())
        .collect();
    assert!(places.contains("west"), "whatever belongs nowhere goes there");
}

/// The conversations of one place, and no others, have another one now.
fn check_moved(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, from: &str) {
    assert!(before.values().any(|home| home == from), "nobody was there");
    for (conversation, home) in before {
        assert_eq!(home == from, *home != after[conversation], "{conversation} of {home}");
    }
}

#[test]
fn a_raw_body_is_tied_by_its_own_members() {
    for member in ["prompt_cache_key", "user"] {
        for operation in [Operation::Responses, Operation::ChatCompletions, Operation::Completions] {
            let fleet = three();
            let blaster = v1(&fleet);
            for number in 0..30 {
                let mark = number % 6;
                let text = format!("id:{mark}");
                let mut body = json!({ "input": text, "prompt": text });
                if operation == Operation::ChatCompletions {
                    body = json!({ "messages": [{ "role": "user", "content": text }] });
                }
                body[member] = json!(format!("conversation {mark}"));
                let request = RawRequest::post(operation.clone(), body.to_string());
                wait(blaster.submit_raw(request).unwrap()).unwrap();
            }
            let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for entry in fleet.journal() {
                let place = entry.deployment.as_ref().unwrap().to_string();
                places.entry(entry.id().unwrap().to_owned()).or_default().insert(place);
            }
            assert!(
                places.values().all(|places| places.len() == 1),
                "{operation} {member}: {places:?}"
            );
        }
    }
}

fn respond(body: &Value) -> RawRequest {
    RawRequest::post(Operation::Responses, body.to_string())
}

/// Asks for a response that nothing is tied to, in one of the ways there are. Returns its id.
fn begin(blaster: &Blaster, way: &str) -> String {
    if way == "stream" {
        let request = respond(&json!({ "input": "x", "stream": true }));
        let pieces = blaster.stream_raw(request).unwrap();
        return id_in(&pieces.flat_map(Result::unwrap).collect::<Vec<u8>>());
    }
    let body = json!({ "input": "x", "stream": way == "stream, taken whole" });
    id_in(&wait(blaster.submit_raw(respond(&body)).unwrap()).unwrap().body)
}

/// The first id of a response in a reply.
fn id_in(reply: &[u8]) -> String {
    let text = std::str::from_utf8(reply).unwrap();
    let from = text.find("resp_").unwrap();
    text[from..].split('"').next().unwrap().to_owned()
}

#[test]
fn what_continues_a_response_goes_where_that_is_stored_even_when_others_are_idle() {
    for way in ["whole", "stream, taken whole", "stream"] {
        let fleet = three();
        let blaster = v1(&fleet);
        let id = begin(&blaster, way);
        let holder = fleet.journal()[0].deployment.as_ref().unwrap().to_string();
        let next = |id: &str| respond(&json!({ "input": "y", "previous_response_id": id }));
        let endpoint = |request| {
            let reply = wait(blaster.submit_raw(request).unwrap()).unwrap();
            let endpoint = reply.ledger().last().unwrap().endpoint.to_string();
            (endpoint, id_in(&reply.body))
        };
        let mut last = id.clone();
        for _ in 0..6 {
            // Each continues the one before, and all are stored in one place.
            let (place, new) = endpoint(next(&last));
            assert_eq!(place, holder, "{way}");
            assert_ne!(new, last);
            last = new;
        }
        let others: BTreeSet<String> = (0..6).map(|_| endpoint(next("resp_unknown")).0).collect();
        assert_eq!(others.len(), 3, "nobody is known to hold it");
        let read = RawRequest::get(Operation::other(&format!("responses/{id}")).unwrap());
        let error = wait(blaster.submit_raw(read).unwrap()).unwrap_err();
        let ledger = error.ledger().unwrap();
        assert!(
            !ledger.is_empty() && ledger.attempts().iter().all(|attempt| *attempt.endpoint == holder),
            "{error}"
        );

        state(&blaster, &holder).cool_down(Duration::from_secs(3600));
        let waiting = blaster.submit_raw(next(&id)).unwrap();
        let elsewhere = endpoint(next("resp_unknown")).0;
        assert_ne!(elsewhere, holder);
        assert_eq!(blaster.waiting(), 1, "it waits although others are idle");
        state(&blaster, &holder).enable();
        assert_eq!(*wait(waiting).unwrap().ledger().last().unwrap().endpoint, holder);

        state(&blaster, &holder).disable("maintenance");
        let Err(Error::NoEndpoint { endpoints, .. }) = wait(blaster.submit_raw(next(&id)).unwrap()) else {
            panic!("{way}: it cannot be served")
        };
        let reasons: Vec<_> = endpoints
            .iter()
            .map(|(name, reason)| (name.as_ref(), reason.as_str()))
            .collect();
        assert_eq!(reasons, [(holder.as_str(), "maintenance")]);
    }
}
