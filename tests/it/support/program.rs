//! Runs the program as a child process with an empty environment.

use std::process::{Child, Command, Output, Stdio};

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

/// A run of the program that has ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts for every run that no secret shows and nothing panicked. The secrets of the tests start
    /// with `canary-`, the emulator's tokens with `eyJ`.
    #[track_caller]
    pub fn new(output: Output) -> Self {
        let ended = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!ended.stdout.contains("canary-secret"), "{}", ended.stdout);
        for forbidden in ["canary-", "eyJ", "panicked"] {
            assert!(!ended.stderr.contains(forbidden), "{}", ended.stderr);
        }
        ended
    }

    /// Asserts that the program failed with an error that has these words, and wrote no token.
    #[track_caller]
    pub fn failed_with(&self, code: i32, words: &[&str]) {
        let stderr = &self.stderr;
        assert_eq!(self.code, Some(code), "{stderr}");
        assert_eq!(self.stdout, "", "{stderr}");
        assert!(stderr.contains("error: "), "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is missing: {stderr}");
        }
    }

    /// The same, and that the error is one line without control characters.
    #[track_caller]
    pub fn failed_with_one_line(&self, code: i32, words: &[&str]) {
        self.failed_with(code, words);
        let stderr = &self.stderr;
        let line = stderr.strip_suffix('\n').unwrap_or_default();
        assert!(line.starts_with("error: "), "{stderr:?}");
        assert!(!line.contains(is_terminal_control), "{stderr:?}");
    }

    #[track_caller]
    pub fn succeeded(&self) {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
    }
}

/// Returns whether a character is a control character or changes the text direction.
pub fn is_terminal_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
