//! Scenarios: the decisions of the machine, step by step, as files that a port to another language can
//! run too.
//!
//! Each `scenarios/*.json` shows one rule in virtual time, with its reason under `documentation`.
//! `scenarios/schema.json` describes the format. They run on the real machine, with real responses,
//! under many seeds, because no scenario may depend on one random generator.

mod format;
mod output;
mod schema;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use format::Scenario;
use world::World;

/// The number of seeds for each file.
const SEEDS: u64 = 64;

#[test]
fn the_machine_follows_every_scenario() {
    let mut failures = Vec::new();
    for (name, text) in files() {
        let scenario: Scenario =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Err(why) = run(&scenario) {
            let because = scenario.documentation;
            failures.push(format!("{name}, {why}\n  because: {because}"));
        }
    }
    let count = failures.len();
    assert!(count == 0, "{count} failed:\n{}", failures.join("\n"));
}

#[test]
fn the_schema_describes_every_file_and_no_unused_word() {
    let schema = schema();
    let files = files();
    assert!(
        files.len() >= 179,
        "only {} scenarios are left",
        files.len()
    );
    let mut used = BTreeSet::new();
    for (name, text) in files {
        let file: Value = serde_json::from_str(&text).unwrap();
        schema::check(&schema, &file).unwrap_or_else(|why| panic!("{name}{why}"));
        schema::words(&file, &mut used);
    }
    let mut known = BTreeSet::new();
    schema::vocabulary(&schema, &mut known);
    let idle: Vec<_> = known.difference(&used).collect();
    assert!(idle.is_empty(), "no scenario uses {idle:?}");
}

#[test]
fn invalid_scenarios_are_refused() {
    let schema = schema();
    let file = |step: &Value| json!({"documentation": "A test of the reader.", "steps": [step]});
    let accepted = |file: &Value| {
        let read = serde_json::from_value::<Scenario>(file.clone()).is_ok();
        assert_eq!(schema::check(&schema, file).is_ok(), read, "{file}");
        read
    };
    let good = json!({"at": 1, "do": "poll", "ticket": "a", "expect": {"wait": 2}});
    assert!(accepted(&file(&good)));
    for (key, value) in [
        ("at", json!("soon")),
        ("do", json!("ask")),
        ("else", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!accepted(&file(&bad)));
    }
    for key in ["at", "do", "ticket", "expect"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(key);
        assert!(!accepted(&file(&bad)));
    }
    for bad in [
        json!({"do": "ticket", "name": "a", "need": "usable", "at": 1}),
        json!({"do": "ticket", "name": "a", "need": "old"}),
        json!({"do": "ticket", "name": "a", "need": {"for": "long"}}),
        json!({"do": "abandon", "flight": 1}),
        json!({"do": "time_left", "flight": "a", "expect": 1}),
        json!({"at": {"mono": 1}, "do": "reject", "token": "a", "expect": true}),
        json!({"at": 1, "do": "reject", "token": "a", "expect": "yes"}),
        json!({"at": 1, "do": "answer", "flight": "a", "response": {"status": 200, "body": "x"}}),
        json!({"at": 1, "do": "answer", "flight": "a", "response": {"status": 200, "headers": [["a"]]}}),
        json!({"do": "repeat", "times": 2, "steps": [{"do": "run_attempt"}]}),
    ] {
        assert!(!accepted(&file(&bad)));
    }
    let mut bad = file(&good);
    bad["given"] = json!({"token": "a"});
    assert!(!accepted(&bad));
}

/// Returns the name and the text of each scenario. Unknown files in the folder are an error.
fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => continue,
            Some("json") if name == "schema.json" => continue,
            Some("json") => {}
            _ => panic!("{name} is not a scenario"),
        }
        files.insert(name, fs::read_to_string(path).unwrap());
    }
    files
}

fn schema() -> Value {
    let text = fs::read_to_string(folder().join("schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Runs the steps under every seed. A value with two bounds has to be between them each time, and close
/// to each of them at least once: a range documents the amount of jitter.
fn run(scenario: &Scenario) -> Result<(), String> {
    let mut ranges: Vec<world::Range> = Vec::new();
    for seed in 0..SEEDS {
        let mut world = World::new(&scenario.given, seed)?;
        world.steps(&scenario.steps)?;
        if ranges.is_empty() {
            ranges = world.ranges;
            continue;
        }
        for (range, other) in ranges.iter_mut().zip(world.ranges) {
            range.least = range.least.min(other.least);
            range.most = range.most.max(other.most);
        }
    }
    for range in ranges {
        let near = (range.at_most - range.at_least) / 5.0;
        let (step, least, most) = (range.step, range.least, range.most);
        if least > range.at_least + near || most < range.at_most - near {
            return Err(format!(
                "step {step}: the value was only ever between {least} and {most}"
            ));
        }
    }
    Ok(())
}
