//! Other processes: tests that need one of their own, and children that are waited for.

use std::any::type_name;
use std::env;
use std::process::{Child, Command, Output};
use std::thread;
use std::time::{Duration, Instant};

const ALONE: &str = "TEST_ALONE";

/// This binary again, to run one test and nothing else. A test that is ignored is run, too.
pub fn alone<T>(_test: T) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", name_of::<T>()])
        .args(["--include-ignored", "--nocapture"]);
    command
}

/// What the test harness calls a test, which is its path without the crate.
fn name_of<T>() -> &'static str {
    let path = type_name::<T>();
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// Whether this process runs `test` and nothing else. If not, one that does is started and has to
/// end well. For tests that change what belongs to the process: a logger, or a subscriber, which
/// other threads that reach one of its events first can switch off.
pub fn runs_alone<T>(test: T) -> bool {
    let name = name_of::<T>();
    if env::var_os(ALONE).is_some_and(|alone| alone == name) {
        return true;
    }
    let output = alone(test).env(ALONE, name).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    let ran = output.status.success() && said.contains("1 passed");
    assert!(ran, "{name}, alone: {said}\n{failed}");
    false
}

/// Waits for what another process does, of which nothing tells but what it has done.
#[track_caller]
pub fn until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(20), "it takes too long");
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a child put out, unless it has to be killed: `std` waits for a child without a limit or not
/// at all.
pub fn output_within(time: Duration, mut child: Child) -> Option<Output> {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > time {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Some(child.wait_with_output().unwrap())
}

/// Sends a signal, named as for `kill`: `-TERM`.
pub fn kill(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(sent.success());
}
