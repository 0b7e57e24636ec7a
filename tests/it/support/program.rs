//! Runs the program as a child process with an empty environment.

use std::process::{Child, Command, Stdio};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_meshconnect-auth");

pub const TRANSPORTS: [&str; 2] = ["async", "blocking"];

/// A signal as an argument of `kill`, the exit code after it, and its name in a message.
#[cfg(unix)]
pub const SIGNALS: [(&str, i32, &str); 2] = [("-INT", 130, "SIGINT"), ("-TERM", 143, "SIGTERM")];

pub fn program(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().args(args).stdin(Stdio::null());
    command
}

pub fn start(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}
