//! Replays the seeds and findings of the emulator's fuzz target on any toolchain.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use meshconnect_auth::emulator::Issuer;
use meshconnect_auth_properties::emulator::{emulator, request};

const VALID: &str = r#"{"clientId":"canary-client","clientSecret":"canary-secret-7fQ2xW"}"#;

#[test]
fn seeds_satisfy_the_property() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds = fs::read_dir(package.join("fuzz/seeds/emulator")).unwrap();
    let seeds: Vec<PathBuf> = seeds.map(|entry| entry.unwrap().path()).collect();
    assert!(!seeds.is_empty());
    let violating = |file: &&PathBuf| {
        let data = fs::read(file).unwrap();
        catch_unwind(|| emulator(&data)).is_err()
    };
    let violating: Vec<_> = seeds.iter().filter(violating).collect();
    assert!(
        violating.is_empty(),
        "these seeds violate the property: {violating:#?}"
    );
}

#[test]
fn truncated_and_mutated_requests_satisfy_the_property() {
    let whole =
        format!("POST /admin/api/v1/Token HTTP/1.1\nContent-Type: application/json\n\n{VALID}");
    assert_eq!(request(whole.as_bytes()).body(), VALID);
    for at in 0..=whole.len() {
        emulator(&whole.as_bytes()[..at]);
    }
    for at in 0..whole.len() {
        for byte in [b' ', b'"', b'\\', b'\n', b'0', b'}', 0, 0xff] {
            let mut changed = whole.clone().into_bytes();
            changed[at] = byte;
            emulator(&changed);
        }
    }
}

#[test]
fn bodies_around_the_limit_satisfy_the_property() {
    for size in [Issuer::MAX_BODY - 1, Issuer::MAX_BODY, Issuer::MAX_BODY + 1] {
        let padded = format!("{VALID}{}", " ".repeat(size - VALID.len()));
        emulator(padded.as_bytes());
        emulator("x".repeat(size).as_bytes());
    }
}
