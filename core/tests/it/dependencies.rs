//! The core's dependency tree: a short list of known packages that do no IO.

use std::collections::BTreeSet;
use std::process::Command;

/// The dependencies of the core on any platform. A new one needs a reason, because every user builds
/// it: something that the standard library and the others lack.
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

/// The dependencies of the feature `shared`: waiters for tasks and threads.
const SHARED: [&str; 3] = ["event-listener", "parking", "pin-project-lite"];

/// The dependencies that the feature `tracing` adds to `shared`.
const TRACING: [&str; 2] = ["tracing", "tracing-core"];

/// Prefixes of the names of runtimes, clients, sockets and TLS providers, which are never allowed.
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

/// The platforms whose dependencies count. `--target all` would add those of `--cfg loom`.
const PLATFORMS: [&str; 4] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "wasm32-unknown-unknown",
];

fn packages(features: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal,build",
            "--features",
            features,
        ])
        .args(PLATFORMS.iter().flat_map(|platform| ["--target", platform]))
        .args(["--prefix", "none", "--format", "{p}", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let (lines, errors) = (
        String::from_utf8(tree.stdout).unwrap(),
        String::from_utf8_lossy(&tree.stderr),
    );
    assert!(tree.status.success(), "cargo tree: {errors}");
    lines
        .lines()
        .filter_map(|line| line.split(' ').next().filter(|name| !name.is_empty()))
        .map(str::to_owned)
        .collect()
}

/// Checks that the tree is exactly `known`, and that no package in it does IO.
fn is_known(features: &str, known: &[&[&str]]) {
    let known = known.concat();
    let mut packages = packages(features);
    assert!(
        packages.remove("meshconnect-auth-core"),
        "cargo tree listed {packages:?}"
    );
    assert!(packages.contains("http"), "cargo tree listed {packages:?}");
    for name in &packages {
        assert!(
            !NEVER.iter().any(|never| name.starts_with(never)),
            "{name} does IO, waits or calls the system; only transports do"
        );
        assert!(
            known.contains(&name.as_str()),
            "{name} is new in the core's dependency tree: justify it at the top of this file, or \
             remove it"
        );
    }
    for name in known {
        assert!(
            packages.contains(name),
            "{name} is no longer needed: remove it from this file"
        );
    }
}

#[test]
fn the_tree_is_known_and_does_no_io() {
    is_known("", &[&KNOWN]);
    assert!(KNOWN.len() < 20);
}

#[test]
fn the_trees_of_the_features_are_known_and_do_no_io() {
    is_known("shared", &[&KNOWN, &SHARED]);
    is_known("tracing", &[&KNOWN, &SHARED, &TRACING]);
}
