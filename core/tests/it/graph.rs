//! Checks the state graph at the top of `machine.rs` against the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshconnect_auth_core::{Event, Need, Phase};
use meshconnect_auth_properties::machine::{
    self, Answer, Clock, Edge, Move, Nudge, Op, Which, World,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const SOURCE: &str = include_str!("../../src/lifecycle/machine.rs");

type Edges = BTreeSet<(String, String)>;

/// The edges in the first `text` block of the module's documentation.
fn documented() -> Edges {
    let lines = SOURCE
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim);
    let block = lines.skip_while(|line| *line != "```text").skip(1);
    let edges = block.take_while(|line| *line != "```").map(|line| {
        let (from, rest) = line
            .split_once("->")
            .unwrap_or_else(|| panic!("no edge: {line}"));
        let to = rest.split_whitespace().next().unwrap();
        (from.trim().to_owned(), to.to_owned())
    });
    edges.collect()
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "Idle",
        Phase::Refreshing => "Refreshing",
        Phase::Acquiring { .. } => "Acquiring",
        Phase::BackingOff { .. } => "BackingOff",
        other => panic!("the graph has no state {other:?}"),
    }
}

/// Returns the state after this event.
fn reached(event: &Event) -> Option<&'static str> {
    match event {
        Event::Attempt { ahead: true, .. } => Some("Refreshing"),
        Event::Attempt { ahead: false, .. } => Some("Acquiring"),
        Event::Retry { .. } => Some("BackingOff"),
        Event::Refreshed { .. } | Event::NotRenewed { .. } | Event::Failed { .. } => Some("Idle"),
        _ => None,
    }
}

/// The observed transitions, each with the first operation that caused it.
#[derive(Default)]
struct Walked(BTreeMap<(String, String), Op>);

impl Walked {
    /// Applies one operation. It may cause two transitions, because a poll that notices a deadline can
    /// also send. The events in between separate them. A transition to the same state does not count.
    fn step(&mut self, world: &mut World, op: Op) -> bool {
        let mut from = name(world.phase());
        let Some(events) = world.step(op) else {
            return false;
        };
        let reached = events.iter().filter_map(reached);
        for to in reached.chain([name(world.phase())]) {
            if from != to {
                self.0.entry((from.to_owned(), to.to_owned())).or_insert(op);
            }
            from = to;
        }
        true
    }

    fn explore(&mut self, start: &World, ops: &mut Vec<Op>, depth: u32) {
        for op in ALPHABET {
            let mut world = start.anew();
            for op in &*ops {
                world.step(*op);
            }
            if self.step(&mut world, op) && depth > 1 {
                ops.push(op);
                self.explore(start, ops, depth - 1);
                ops.pop();
            }
        }
    }
}

/// Operations that cause every transition within a few steps.
const ALPHABET: [Op; 13] = [
    Op::Call(Need::Usable),
    Op::Call(Need::Newer),
    Op::Poll(0),
    Op::Refresh,
    Op::Answer(0, Answer::Token(Which::New, Some(3_600))),
    Op::Answer(0, Answer::Status(500, None)),
    Op::Answer(0, Answer::Status(403, None)),
    Op::Abandon(0),
    Op::NewCredentials { same_id: true },
    Op::Set(Clock::Both, Move::To(Edge::MayRefresh, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::Unusable, Nudge::At)),
    Op::Set(Clock::Both, Move::To(Edge::BackOffOver, Nudge::At)),
    Op::Set(Clock::Both, Move::On(Duration::from_secs(31))),
];

#[test]
fn the_documented_graph_is_that_of_the_machine() {
    let mut walked = Walked::default();
    walked.explore(&World::new(1), &mut Vec::new(), 3);
    // The first token expires within the acquisition that its refresh becomes; the second outlives it.
    for lifetime in [100, 3_600] {
        let mut refreshable = vec![
            Op::Call(Need::Usable),
            Op::Answer(0, Answer::Token(Which::New, Some(lifetime))),
            Op::Set(Clock::Both, Move::To(Edge::MayRefresh, Nudge::At)),
        ];
        walked.explore(&World::new(1), &mut refreshable, 4);
    }
    let mut runner = TestRunner::deterministic();
    for seed in 0..1_000 {
        let data = vec(any::<[u8; 3]>(), 60)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut world = World::new(seed);
        for op in machine::operations(data.as_flattened()) {
            walked.step(&mut world, op);
        }
    }

    let documented = documented();
    assert!(documented.len() > 4, "found no graph: {documented:?}");
    for (edge, op) in &walked.0 {
        assert!(
            documented.contains(edge),
            "{edge:?}, by {op:?}, is not in the graph"
        );
    }
    for edge in &documented {
        assert!(
            walked.0.contains_key(edge),
            "{edge:?} is in the graph, but never happened"
        );
    }
}
