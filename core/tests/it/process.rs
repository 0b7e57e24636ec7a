//! Runs a test in a process of its own.

use std::any::type_name;
use std::env;
use std::process::Command;

const ALONE: &str = "TEST_ALONE";

/// Returns the name of a test for the test harness: its path without the crate.
fn name_of<T>() -> &'static str {
    let path = type_name::<T>();
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// Returns whether this process runs only `test`. If not, runs it in a process of its own, which has to
/// succeed.
///
/// It is for tests that change global state, such as a logger, or a subscriber, which a thread without
/// one can disable by reaching an event first.
pub(crate) fn runs_alone<T>(_test: T) -> bool {
    let name = name_of::<T>();
    if env::var_os(ALONE).is_some_and(|alone| alone == name) {
        return true;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, name)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && stdout.contains("1 passed");
    assert!(passed, "{name}, alone: {stdout}\n{stderr}");
    false
}
