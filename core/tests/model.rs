//! The machine against the second one.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its size is set by the environment"
)]

use std::env;
use std::time::Duration;

use meshconnect_auth_core::Need;
use meshconnect_auth_core::invariants::machine::{
    self, Answer, Clock, Edge, Move, Nudge, Op, Which, World,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn setting(name: &str, default: u32) -> u32 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// How long the sequences of the exhaustive test are.
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
    fn any_operations_go_as_the_tables_say(
        seed in any::<u64>(),
        data in vec(any::<[u8; 3]>(), 1..60),
    ) {
        machine::run(&machine::operations(data.as_flattened()), seed);
    }
}

/// What the exhaustive tests are made of.
const ALPHABET: [Op; 20] = [
    Op::Call(Need::Usable),
    Op::Call(Need::Newer),
    Op::Call(Need::For(Duration::from_secs(3_600))),
    Op::Poll(0),
    Op::Poll(1),
    Op::Refresh,
    Op::Answer(0, Answer::Token(Which::New, Some(100))),
    Op::Answer(1, Answer::Token(Which::New, Some(20))),
    Op::Answer(0, Answer::Token(Which::Held, Some(100))),
    Op::Answer(0, Answer::Status(500, None)),
    Op::Answer(0, Answer::Status(403, Some(3))),
    Op::Abandon(0),
    Op::Reject(Which::Held),
    Op::NewCredentials { same_id: true },
    Op::Set(Clock::Both, Move::To(Edge::MayRefresh, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::Unusable, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::FlightOver, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::BackOffOver, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::HoldOver, Nudge::At)),
    Op::Set(Clock::Wall, Move::On(Duration::from_secs(31))),
];

/// Every sequence of up to `depth` operations that goes on from `ops`. An operation that finds
/// nothing to apply to changes nothing, so what goes on from there is not new. All but the longest
/// end with a last caller. Tells how many there were.
fn explore(begun: &World, ops: &mut Vec<Op>, depth: u32) -> u64 {
    let replay = || {
        let mut world = begun.anew();
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
        sequences += explore(begun, ops, depth - 1);
        ops.pop();
    }
    sequences
}

#[test]
fn every_short_sequence_goes_as_the_tables_say() {
    let sequences = explore(&World::new(1), &mut Vec::new(), depth());
    assert!(sequences > 100_000, "only {sequences} sequences were new");
}

/// The same two operations shorter, from where a short sequence does not get.
#[test]
fn every_short_sequence_that_begins_later_goes_as_the_tables_say() {
    let to = |edge| Op::Set(Clock::Both, Move::To(edge, Nudge::At));
    let call = Op::Call(Need::Usable);
    let granted = [call, Op::Answer(0, Answer::Token(Which::New, Some(100)))];
    let refreshing = [&granted[..], &[to(Edge::MayRefresh), Op::Refresh]].concat();
    let expired = [&refreshing[..], &[to(Edge::Unusable)]].concat();
    let backing_off = [call, Op::Answer(0, Answer::Status(503, None))];
    let last_attempt = [&backing_off[..], &[to(Edge::BackOffOver), Op::Poll(0)]].concat();
    let last_attempt = [&last_attempt[..], &last_attempt[1..]].concat();
    let holding = [call, Op::Answer(0, Answer::Status(403, Some(20)))];
    let probing = [&holding[..], &[to(Edge::HoldOver), call]].concat();
    let rejected = [&granted[..], &[Op::Reject(Which::Held)], &granted[..]].concat();
    for begun in [&refreshing, &expired, &last_attempt, &probing, &rejected] {
        let sequences = explore(&World::new(1), &mut begun.clone(), depth() - 2);
        assert!(
            sequences > 1_000,
            "only {sequences} sequences after {begun:?} were new"
        );
    }
}

/// A token stays rejected when an earlier flight brings it, or someone hands it in, as long as it
/// is one of the last eight.
#[test]
fn the_last_eight_rejected_tokens_are_remembered() {
    let hour = Duration::from_secs(3_600);
    for rejections in 1..=10 {
        for back in 0..rejections {
            let again = Which::Former(back);
            let answer = Op::Answer(0, Answer::Token(again, Some(100)));
            for again in [answer, Op::HandIn(again, hour)] {
                let mut ops = vec![Op::Call(Need::Usable)];
                for _ in 0..rejections {
                    ops.extend([Op::HandIn(Which::New, hour), Op::Reject(Which::Held)]);
                }
                ops.push(again);
                machine::run(&ops, 1);
            }
        }
    }
}
