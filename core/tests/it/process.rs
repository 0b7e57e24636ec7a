//! Tests that need a process of their own.

use std::any::type_name;
use std::env;
use std::process::Command;

const ALONE: &str = "TEST_ALONE";

/// What the test harness calls a test, which is its path without the crate.
fn name_of<T>() -> &'static str {
    let path = type_name::<T>();
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// Whether this process runs `test` and nothing else. If not, one that does is started and has to
/// end well. For tests that change what belongs to the process: a logger, or a subscriber, which
/// other threads that reach one of its events first can switch off.
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
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    let ran = output.status.success() && said.contains("1 passed");
    assert!(ran, "{name}, alone: {said}\n{failed}");
    false
}
