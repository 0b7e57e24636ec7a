//! The core's dependency tree: few packages, each of them known, and none that could do IO.

use std::collections::BTreeSet;
use std::process::Command;

/// What the core is built from, on any platform. A new name needs a reason that is worth a place
/// in every build of every user: what it does that the standard library and these do not.
const KNOWN: [&str; 17] = [
    "base64",
    "bytes",
    // Jitter: small, no dependencies, and seeded by the caller.
    "fastrand",
    "http",
    "httpdate",
    "itoa",
    "memchr",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "syn",
    "unicode-ident",
    "zeroize",
    "zmij",
];

/// What the feature `shared` adds: waiters that a task can await and a thread can block on.
const SHARED: [&str; 3] = ["event-listener", "parking", "pin-project-lite"];

/// What the feature `tracing` adds to `shared`.
const TRACING: [&str; 2] = ["tracing", "tracing-core"];

/// Beginnings of the names of runtimes, clients, sockets and TLS providers. No reason is good enough
/// for one of these in here.
const NEVER: [&str; 20] = [
    "async-io",
    "async-std",
    "aws-lc",
    "curl",
    "getrandom",
    "h2",
    "hyper",
    "isahc",
    "libc",
    "mio",
    "native-tls",
    "openssl",
    "polling",
    "reqwest",
    "ring",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "ureq",
];

fn packages(features: &str, on_any_platform: bool) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal,build",
            "--features",
            features,
        ])
        .args(on_any_platform.then_some("--target=all"))
        .args(["--prefix", "none", "--format", "{p}", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let (lines, complaints) = (
        String::from_utf8(tree.stdout).unwrap(),
        String::from_utf8_lossy(&tree.stderr),
    );
    assert!(tree.status.success(), "cargo tree: {complaints}");
    lines
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// The tree is what `known` says, and nothing in it could do IO.
fn is_known(features: &str, on_any_platform: bool, known: &[&[&str]]) {
    let known = known.concat();
    let mut packages = packages(features, on_any_platform);
    assert!(
        packages.remove("meshconnect-auth-core"),
        "cargo tree listed {packages:?}"
    );
    assert!(packages.contains("http"), "cargo tree listed {packages:?}");
    for name in &packages {
        assert!(
            !NEVER.iter().any(|never| name.starts_with(never)),
            "{name} does IO, waits or asks the system; that is for the transports"
        );
        assert!(
            known.contains(&name.as_str()),
            "{name} is new in the core's dependency tree: justify it at the top of this file, or \
             do without"
        );
    }
    for name in known {
        assert!(
            packages.contains(name),
            "{name} is no longer needed: take it out of this file"
        );
    }
}

#[test]
fn the_tree_is_small_and_known_and_does_no_io() {
    is_known("", true, &[&KNOWN]);
    assert!(KNOWN.len() < 20);
}

#[test]
fn so_are_the_trees_of_its_features() {
    is_known("shared", true, &[&KNOWN, &SHARED]);
    is_known("tracing", true, &[&KNOWN, &SHARED, &TRACING]);
}
