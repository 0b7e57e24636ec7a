//! Tests that need a process of their own, and child processes.

use std::any::type_name;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread;
use std::time::{Duration, Instant};

const OWN_PROCESS: &str = "TEST_IN_OWN_PROCESS";

/// Returns a command that runs this binary with one test only, even if that test is ignored.
pub fn own_process<T>(_test: T) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", name_of::<T>()])
        .args(["--include-ignored", "--nocapture"]);
    command
}

/// Returns a command like that of [`own_process`], as a user without privileges: the limit on processes
/// does not hold for root. `binary` is a copy of this binary that such a user can read; see
/// [`copy_of_this_binary`]. Returns why not if root has no `setpriv`.
pub fn own_process_without_privileges<T>(test: T, binary: &Path) -> Result<Command, &'static str> {
    const USER: &str = "64999";
    let status = fs::read_to_string("/proc/self/status").map_err(|_| "there is no /proc")?;
    if !status.contains("\nUid:\t0\t") {
        return Ok(own_process(test));
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        return Err("setpriv is missing (the package is called util-linux)");
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
        .arg(binary)
        .args(own_process(test).get_args());
    Ok(command)
}

/// Copies this binary into `directory` and returns the path of the copy.
pub fn copy_of_this_binary(directory: &Path) -> PathBuf {
    let copy = directory.join("tests");
    // Not by this process: a child that another test starts would inherit the descriptor, and a file
    // that is open for writing cannot be executed.
    let copied = Command::new("cp")
        .arg(env::current_exe().unwrap())
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    copy
}

/// Returns the name of a test as the test harness prints it: the path without the crate.
fn name_of<T>() -> &'static str {
    let path = type_name::<T>();
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// Returns whether this process runs `test` and nothing else. If not, runs `test` in a child
/// process and asserts that it passes.
///
/// Tests use it if they change process-wide state such as a logger or a `tracing` subscriber.
/// Another thread that reaches a callsite first could disable it for such a test.
pub fn in_own_process<T>(test: T) -> bool {
    let name = name_of::<T>();
    if env::var_os(OWN_PROCESS).is_some_and(|own| own == name) {
        return true;
    }
    let output = own_process(test).env(OWN_PROCESS, name).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let ran = output.status.success() && stdout.contains("1 passed");
    assert!(ran, "{name} failed in its own process: {stdout}\n{stderr}");
    false
}

/// Polls until `done` returns true. Panics after 20 s.
#[track_caller]
pub fn wait_until(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        let waited = started.elapsed();
        assert!(
            waited < Duration::from_secs(20),
            "the condition did not become true within {waited:?}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for a child and returns its output. Kills the child and returns `None` if it runs longer
/// than `time`, because `std` has no wait with a limit.
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

/// Returns the processor time that this process has used, in steps of 10 ms, or `None` if the
/// platform does not tell it.
pub fn processor_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, can contain blanks. Fields 14 and 15 are the ticks in
    // user mode and in the kernel.
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Some(Duration::from_millis(ticks * 10))
}

/// Sends a signal to a child. `signal` is an argument of `kill`, such as `-TERM`.
pub fn kill(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(sent.success());
}
