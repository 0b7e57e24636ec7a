//! Replays what the fuzzers start from and what they once found, on any toolchain.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and reads its data from files"
)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use meshconnect_auth_core::invariants::{Property, TARGETS, decode};

/// The `fuzz` folder of the repository, which a published package is without.
fn fuzz() -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    if package.join("Cargo.toml.orig").exists() {
        eprintln!("skipped: a published package comes without the fuzz seeds");
        return None;
    }
    Some(package.join("../fuzz"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(files: &[PathBuf], property: Property) {
    let broken = |file: &&PathBuf| {
        let data = fs::read(file).unwrap();
        catch_unwind(|| property(&data)).is_err()
    };
    let broken: Vec<_> = files.iter().filter(broken).collect();
    assert!(broken.is_empty(), "a property is broken by {broken:#?}");
}

#[test]
fn every_seed_keeps_its_property() {
    let Some(fuzz) = fuzz() else { return };
    for (target, property) in TARGETS {
        let seeds = files(&fuzz.join("seeds").join(target));
        assert!(!seeds.is_empty(), "there are no seeds for {target}");
        replay(&seeds, property);
    }
}

#[test]
fn every_golden_answer_keeps_its_property() {
    let mut answers = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    answers.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "http")
    });
    assert!(!answers.is_empty());
    replay(&answers, decode);
}

#[test]
fn every_property_has_a_target_and_every_folder_of_seeds_a_property() {
    let Some(fuzz) = fuzz() else { return };
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stems = |folder: &str| -> BTreeSet<String> {
        let stem = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
        files(&fuzz.join(folder)).iter().map(stem).collect()
    };
    assert_eq!(stems("seeds"), targets);
    assert_eq!(stems("fuzz_targets"), targets);
}
