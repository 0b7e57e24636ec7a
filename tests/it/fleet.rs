//! The four days of `examples/fleet` with a fleet that is small enough for every test run, held
//! to the same goals. How its bounds follow from its size is derived in `examples/fleet/goals.rs`.

#[path = "../../examples/fleet/goals.rs"]
mod goals;
#[path = "../../examples/fleet/simulation.rs"]
mod simulation;

use goals::QUIET;
use meshconnect_auth::Config;

/// Enough for a fleet without jitter to stand out from chance.
const INSTANCES: u32 = 200;
/// Any other will do: of a million, a few may miss a bound.
const SEED: u64 = 1;

#[test]
fn a_fleet_keeps_to_the_goals_and_its_callers_notice_only_the_disturbances() {
    let record = simulation::run(INSTANCES, &Config::default(), SEED).unwrap();
    for goal in goals::judge(&record) {
        assert!(goal.is_met(), "{goal}");
    }
    for quiet in &QUIET {
        let failed: u32 = record.failed_calls.within(quiet).iter().sum();
        assert_eq!(failed, 0, "calls failed within {quiet:?}");
    }
}

/// Only the goals for quiet times are about this jitter. Those for the outage are kept by that of
/// holds and back-offs, which stays.
#[test]
fn without_jitter_the_same_bounds_are_missed() {
    let mut config = Config::default();
    config.refresh_jitter_percent = 0;
    let record = simulation::run(INSTANCES, &config, SEED).unwrap();
    let [before, outage, second, after] = goals::judge(&record);
    for goal in [before, after] {
        assert!(!goal.is_met(), "{goal}");
    }
    for goal in [outage, second] {
        assert!(goal.is_met(), "{goal}");
    }
}

/// Nor would the outage be quiet by itself. (Of the busiest second, no setting makes a bad one: the
/// jitter of cooldowns is not for users to switch off, and has its tests in the core.)
#[test]
fn with_holds_that_do_not_grow_the_outage_is_a_hammer() {
    let mut config = Config::default();
    config.max_cooldown = config.first_cooldown;
    let record = simulation::run(INSTANCES, &config, SEED).unwrap();
    let [before, outage, _, after] = goals::judge(&record);
    assert!(!outage.is_met(), "{outage}");
    for goal in [before, after] {
        assert!(goal.is_met(), "{goal}");
    }
}
