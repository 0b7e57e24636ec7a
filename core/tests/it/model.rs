//! Compares the machine with the reference model.

use std::env;
use std::time::Duration;

use meshconnect_auth_core::{Event, Need, TransportErrorKind};
use meshconnect_auth_properties::machine::{
    self, Answer, BEGINNING, Clock, Edge, Move, Nudge, Op, Which, World,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn setting(name: &str, default: u32) -> u32 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Returns the length of the sequences of the exhaustive test.
fn depth() -> u32 {
    setting("MACHINE_DEPTH", 5)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(setting("MACHINE_CASES", 500))
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_sequences_agree_with_the_model(
        seed in any::<u64>(),
        data in vec(any::<[u8; 3]>(), 1..60),
    ) {
        machine::run(&machine::operations(data.as_flattened()), seed);
    }
}

/// The operations of the exhaustive tests.
const ALPHABET: [Op; 21] = [
    Op::Call(Need::Usable),
    Op::Call(Need::Newer),
    Op::Call(Need::For(Duration::from_secs(3_600))),
    Op::Poll(0),
    Op::Poll(1),
    Op::Refresh,
    Op::Answer(0, Answer::Token(Which::New, Some(100))),
    Op::Answer(1, Answer::Token(Which::New, Some(20))),
    Op::Answer(0, Answer::Token(Which::CachedToken, Some(100))),
    Op::Answer(0, Answer::Status(500, None)),
    Op::Answer(0, Answer::Status(403, Some(3))),
    Op::Abandon(0),
    Op::Reject(Which::CachedToken),
    Op::NewCredentials { same_id: true },
    Op::Set(Clock::Both, Move::To(Edge::MayRefresh, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::Unusable, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::FlightOver, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::BackOffOver, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::CooldownOver, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::IntervalOver, Nudge::At)),
    Op::Set(Clock::Wall, Move::On(Duration::from_secs(31))),
];

/// Runs every sequence that extends `ops` by up to `depth` operations, and returns their number. An
/// operation that does not apply changes nothing, so the sequences after it are not new. All but the
/// longest end with a last caller.
fn explore(start: &World, ops: &mut Vec<Op>, depth: u32) -> u64 {
    let replay = || {
        let mut world = start.anew();
        for op in &*ops {
            world.step(*op);
        }
        world
    };
    if depth == 0 {
        return 1;
    }
    replay().settle();
    let new: Vec<Op> = ALPHABET
        .into_iter()
        .filter(|op| replay().step(*op).is_some())
        .collect();
    let mut sequences = 1;
    for op in new {
        ops.push(op);
        sequences += explore(start, ops, depth - 1);
        ops.pop();
    }
    sequences
}

#[test]
fn all_short_sequences_agree_with_the_model() {
    let sequences = explore(&World::new(1), &mut Vec::new(), depth());
    assert!(sequences > 100_000, "only {sequences} sequences were new");
}

/// The sequences are two operations shorter, but start in states that the short ones do not reach.
#[test]
fn short_sequences_from_later_states_agree_with_the_model() {
    let to = |edge| Op::Set(Clock::Both, Move::To(edge, Nudge::At));
    let call = Op::Call(Need::Usable);
    let token = Op::Answer(0, Answer::Token(Which::New, Some(100)));
    let granted = [call, token];
    let next = [to(Edge::BackOffOver), Op::Poll(0)];
    // The first flight is not answered.
    let lost = [&[call, to(Edge::FlightOver), Op::Poll(0)], &next[..]].concat();
    let refreshing = [&lost[..], &[token, to(Edge::MayRefresh), Op::Refresh]].concat();
    let expired = [&refreshing[..], &[to(Edge::Unusable)]].concat();
    let failed = [Op::Answer(0, Answer::Status(503, None)), next[0], next[1]];
    let last_attempt = [&[call], &failed[..], &failed[..]].concat();
    let cooldown = [call, Op::Answer(0, Answer::Status(403, Some(20)))];
    let probing = [&cooldown[..], &[to(Edge::CooldownOver), call]].concat();
    let reject = Op::Reject(Which::CachedToken);
    let rejected = [&granted[..], &[reject], &granted[..]].concat();
    let kept = [&rejected[..], &[reject]].concat();
    let scheduled = [&kept[..], &[to(Edge::MayRefresh), Op::Refresh]].concat();
    let dropped = [&granted[..], &[reject, call]].concat();
    let restored = [&dropped[..], &[failed[0], next[0], next[1], cooldown[1]]].concat();
    let handed_in = [
        call,
        Op::HandIn(Which::New, Duration::from_secs(50)),
        Op::Begin(Need::Newer),
    ];
    for start in [
        &refreshing,
        &expired,
        &last_attempt,
        &probing,
        &rejected,
        &kept,
        &scheduled,
        &dropped,
        &restored,
        &handed_in.to_vec(),
    ] {
        let sequences = explore(&World::new(1), &mut start.clone(), depth() - 2);
        assert!(
            sequences > 1_000,
            "only {sequences} sequences after {start:?} were new"
        );
    }
}

/// The model accepts any random value within its range. This test checks that the values fill it.
#[test]
fn random_delays_fill_their_ranges() {
    let call = Op::Call(Need::Usable);
    let answer = |status, retry_after| Op::Answer(0, Answer::Status(status, retry_after));
    let again = [
        Op::Set(Clock::Both, Move::To(Edge::CooldownOver, Nudge::At)),
        call,
    ];
    let broken = Op::Answer(0, Answer::Wire(TransportErrorKind::Broken));
    let refused = answer(403, None);
    let granted = [call, Op::Answer(0, Answer::Token(Which::New, Some(1_000)))];
    for (ops, least, most) in [
        // Equal jitter of a back-off, and of the second cooldown.
        (&[call, broken][..], 250, 500),
        (&[call, answer(500, None)], 500, 1_000),
        (
            &[&[call, refused], &again[..], &[refused]].concat(),
            1_000,
            2_000,
        ),
        // `Retry-After`, plus up to a tenth or a second.
        (&[call, answer(503, Some(20))], 20_000, 22_000),
        (&[call, answer(503, Some(3))], 3_000, 4_000),
        (&[call, answer(403, Some(100))], 100_000, 110_000),
        // The interval after an accepted rejection.
        (
            &[&granted[..], &[Op::Reject(Which::CachedToken)]].concat(),
            500,
            1_000,
        ),
        // The refresh point: a quarter of the lifetime before its end, or a tenth earlier.
        (&granted, 650_000, 750_000),
    ] {
        let drawn = (0..200).map(|seed| {
            let mut world = World::new(seed);
            let events = ops.iter().filter_map(|op| world.step(*op)).last().unwrap();
            let delay = events.iter().find_map(|event| match event {
                Event::Retry { delay, .. }
                | Event::Failed { delay, .. }
                | Event::Rejected { delay, .. } => Some(*delay),
                _ => None,
            });
            let next_refresh = || world.machine().cached_token().unwrap().next_refresh().mono;
            let time = delay.unwrap_or_else(|| next_refresh().saturating_sub(BEGINNING.mono));
            time.as_millis()
        });
        let drawn: Vec<u128> = drawn.collect();
        let (shortest, longest) = (*drawn.iter().min().unwrap(), *drawn.iter().max().unwrap());
        let tenth = (most - least) / 10;
        assert!(
            (least..=least + tenth).contains(&shortest),
            "{ops:?}: {shortest} ms"
        );
        assert!(
            (most - tenth..=most).contains(&longest),
            "{ops:?}: {longest} ms"
        );
    }
}
