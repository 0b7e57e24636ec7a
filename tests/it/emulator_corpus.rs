//! Replays what the fuzzer of the emulator starts from and what it once found, on any toolchain.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use meshconnect_auth::emulator::Issuer;
use meshconnect_auth_properties::emulator::{emulator, request};

const GOOD: &str = r#"{"clientId":"canary-client","clientSecret":"canary-secret-7fQ2xW"}"#;

#[test]
fn every_seed_keeps_the_property() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds = fs::read_dir(package.join("fuzz/seeds/emulator")).unwrap();
    let seeds: Vec<PathBuf> = seeds.map(|entry| entry.unwrap().path()).collect();
    assert!(!seeds.is_empty());
    let broken = |file: &&PathBuf| {
        let data = fs::read(file).unwrap();
        catch_unwind(|| emulator(&data)).is_err()
    };
    let broken: Vec<_> = seeds.iter().filter(broken).collect();
    assert!(broken.is_empty(), "the property is broken by {broken:#?}");
}

#[test]
fn a_good_request_keeps_it_cut_at_every_byte_and_with_every_byte_changed() {
    let whole =
        format!("POST /admin/api/v1/Token HTTP/1.1\nContent-Type: application/json\n\n{GOOD}");
    assert_eq!(request(whole.as_bytes()).body(), GOOD);
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
fn the_limit_of_a_body_is_where_it_is_said_to_be() {
    for size in [Issuer::MAX_BODY - 1, Issuer::MAX_BODY, Issuer::MAX_BODY + 1] {
        let padded = format!("{GOOD}{}", " ".repeat(size - GOOD.len()));
        emulator(padded.as_bytes());
        emulator("x".repeat(size).as_bytes());
    }
}
