//! Runs the program as a child process with an empty environment against the emulator.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use meshconnect_auth::Credentials;
use meshconnect_auth::emulator::{Emulator, Reply};
use serde_json::{Value, json};

use crate::support::files::Directory;
#[cfg(unix)]
use crate::support::process::{kill, wait_until};
#[cfg(unix)]
use crate::support::program::SIGNALS;
use crate::support::program::{Ended, TRANSPORTS, program, start};

const BASE_URL: &str = "MESHCONNECT_BASE_URL";
const CLIENT_ID: &str = "MESHCONNECT_CLIENT_ID";
const CLIENT_SECRET: &str = "MESHCONNECT_CLIENT_SECRET";

const ID: &str = "me";
const SECRET: &str = "canary-secret-\u{e9}";
const TOKEN: &str = "canary-token";

fn emulator() -> Emulator {
    let credentials = Credentials::new(ID, SECRET).unwrap();
    Emulator::builder()
        .credentials(credentials)
        .start()
        .unwrap()
}

/// Starts an emulator that repeats `reply` more often than the program retries.
fn serving(reply: Reply) -> Emulator {
    let emulator = emulator();
    emulator.script(vec![reply; 8]);
    emulator
}

fn reply(status: u16, body: &str) -> Reply {
    Reply::status(status.try_into().unwrap()).body(body.to_owned())
}

fn grant_reply() -> Reply {
    let content = json!({ "id_token": TOKEN, "expires_in": 60 });
    reply(
        200,
        &json!({ "status": "ok", "content": content }).to_string(),
    )
}

/// Returns a `meshconnect-auth token` command that succeeds against `emulator`.
fn token(emulator: &Emulator, args: &[&str]) -> Command {
    let mut command = program(&["token"]);
    command
        .args(args)
        .env(BASE_URL, emulator.endpoint().to_string())
        .env(CLIENT_ID, ID)
        .env(CLIENT_SECRET, SECRET);
    command
}

fn run(command: &mut Command) -> Ended {
    Ended::new(command.output().unwrap())
}

#[test]
fn prints_every_format_over_every_transport() {
    let emulator = serving(grant_reply());
    for transport in TRANSPORTS {
        let formatted = |format| {
            let args = ["--transport", transport, "--format", format];
            let ended = run(&mut token(&emulator, &args));
            ended.succeeded();
            assert_eq!(ended.stderr, "");
            ended.stdout
        };
        assert_eq!(formatted("text"), format!("{TOKEN}\n"));
        assert_eq!(
            formatted("header"),
            format!("Authorization: Bearer {TOKEN}\n")
        );
        let line = formatted("json");
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["id_token"], TOKEN);
        assert_eq!(object["authorization"], format!("Bearer {TOKEN}"));
        assert_eq!(object["status"], Value::Null);
        let expires_at = object["expires_at"].as_str().unwrap();
        assert!(
            expires_at.len() == 20 && expires_at.ends_with('Z'),
            "{expires_at}"
        );
        assert_eq!(object.as_object().unwrap().len(), 4);
    }
}

#[test]
fn prints_the_bare_token_by_default() {
    let emulator = emulator();
    let ended = run(&mut token(&emulator, &[]));
    ended.succeeded();
    let segments = ended.stdout.strip_suffix('\n').unwrap().split('.');
    assert_eq!(segments.count(), 3);

    let ended = run(&mut token(&emulator, &["--format=json"]));
    let object: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(object["status"], "available");
}

/// Introduces one mistake into a valid command.
type Mistake = fn(&mut Command) -> &mut Command;
/// Mistakes, with the words that the error message must contain.
const MISTAKES: &[(Mistake, &[&str])] = &[
    // Credentials.
    (
        |c| c.env_remove(CLIENT_ID).env_remove(CLIENT_SECRET),
        &[
            CLIENT_ID,
            CLIENT_SECRET,
            "--client-id",
            "--client-secret-file",
            "--emulator",
        ],
    ),
    (
        |c| c.env_remove(CLIENT_ID),
        &["no client id", CLIENT_ID, "--client-id"],
    ),
    (
        |c| c.env_remove(CLIENT_SECRET),
        &["no client secret", CLIENT_SECRET, "--client-secret-file"],
    ),
    (|c| c.env(CLIENT_ID, ""), &[CLIENT_ID, "empty"]),
    (|c| c.env(CLIENT_SECRET, ""), &[CLIENT_SECRET, "empty"]),
    (|c| c.args(["--client-id", ""]), &["--client-id is empty"]),
    (
        |c| c.args(["--client-id", ""]).arg("--emulator"),
        &["--client-id is empty"],
    ),
    (
        |c| c.env_remove(CLIENT_ID).arg("--emulator"),
        &["no client id"],
    ),
    (
        |c| c.args(["--client-secret", "canary-secret"]),
        &["--client-secret-file"],
    ),
    (
        |c| c.arg("--client-secret=canary-secret"),
        &["--client-secret-file"],
    ),
    // The base URL.
    (|c| c.env(BASE_URL, ""), &[BASE_URL, "empty"]),
    (|c| c.args(["--base-url", ""]), &["--base-url", "empty"]),
    (
        |c| c.args(["--base-url", "http://example.com"]),
        &["--base-url: ", "plain http", "use https"],
    ),
    (
        |c| c.env(BASE_URL, "http://example.com"),
        &["MESHCONNECT_BASE_URL: ", "use https"],
    ),
    (
        |c| c.args(["--base-url", "https://user:canary-secret@h"]),
        &["userinfo"],
    ),
    (
        |c| c.args(["--base-url", "https://h/a\u{1b}[2J"]),
        &["\\u{1b}"],
    ),
    (
        |c| c.args(["--emulator", "--base-url", "https://u:canary-secret@h"]),
        &["--emulator", "--base-url", "cannot be used"],
    ),
    // Other options.
    (
        |c| c.args(["--timeout", "soon"]),
        &["--timeout", "good ones are 30s"],
    ),
    (
        |c| c.args(["--timeout", "30"]),
        &["--timeout", "good ones are 30s"],
    ),
    (
        |c| c.args(["--timeout", "0s"]),
        &["--timeout", "a good one is 30s"],
    ),
    (
        |c| c.args(["--timeout", "25h"]),
        &["--timeout", "a good one is 30s"],
    ),
    (|c| c.args(["--format", "xml"]), &["text", "header", "json"]),
    (
        |c| c.args(["--transport", "pigeon"]),
        &["async", "blocking"],
    ),
    (|c| c.arg("surplus"), &["surplus"]),
];

#[test]
fn invalid_usage_exits_with_2_and_sends_nothing() {
    let emulator = emulator();
    for (introduce, words) in MISTAKES {
        run(introduce(&mut token(&emulator, &[]))).failed_with(2, words);
    }
    assert_eq!(emulator.requests(), 0);
}

#[test]
fn file_without_a_secret_exits_with_2_and_sends_nothing() {
    let directory = Directory::new("no-secret");
    directory.file("empty", "");
    directory.file("newline", "\r\n");
    directory.file("bom", "\u{feff}canary-secret");
    directory.file("nul", "canary-secret\0");
    directory.file("latin", b"canary-secret-\xE9");
    directory.file("large", "canary-secret".repeat(10_000));
    let sparse = File::create(directory.0.join("sparse")).unwrap();
    sparse.set_len(10 * 1024 * 1024 * 1024).unwrap();
    let emulator = emulator();
    for (name, words) in [
        ("none", &["\"none\"", "does not exist", "check"][..]),
        ("", &["\"\"", "does not exist"]),
        ("\u{1b}[2J", &[r#""\u{1b}[2J""#]),
        (".", &["is a directory", "name the file"]),
        ("empty", &["is empty", "write the secret"]),
        ("newline", &["is empty", "write the secret"]),
        ("bom", &["byte order mark", "save it"]),
        ("nul", &["NUL", "save it"]),
        ("latin", &["UTF-8", "save it"]),
        ("large", &["more than 64 KiB"]),
        ("sparse", &["more than 64 KiB"]),
        ("-", &["on stdin", "is empty"]),
    ] {
        let mut command = token(&emulator, &["--client-secret-file", name]);
        run(command.current_dir(&directory.0)).failed_with(2, words);
    }
    assert_eq!(emulator.requests(), 0);
}

#[cfg(unix)]
#[test]
fn invalid_unix_values_exit_with_2() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let emulator = emulator();
    for name in [BASE_URL, CLIENT_ID, CLIENT_SECRET] {
        let mut command = token(&emulator, &[]);
        command.env(name, OsStr::from_bytes(b"canary-\xFF"));
        run(&mut command).failed_with(2, &[name, "UTF-8"]);
    }
    let endless = ["--client-secret-file", "/dev/zero"];
    run(&mut token(&emulator, &endless)).failed_with(2, &["\"/dev/zero\"", "64 KiB"]);
    assert_eq!(emulator.requests(), 0);
}

#[test]
fn secret_from_file_or_stdin_takes_precedence_over_the_variable() {
    let directory = Directory::new("secret");
    let emulator = emulator();
    for (name, ending) in [("bare", ""), ("lf", "\n"), ("crlf", "\r\n")] {
        directory.file(name, format!("{SECRET}{ending}"));
        let mut command = token(
            &emulator,
            &["--client-secret-file", name, "--client-id", ID],
        );
        command
            .current_dir(&directory.0)
            .env(CLIENT_ID, "")
            .env(CLIENT_SECRET, "another");
        run(&mut command).succeeded();
    }
    directory.file("two", format!("{SECRET}\n\n"));
    let mut command = token(&emulator, &["--client-secret-file", "two"]);
    let words = [
        "permissionDenied",
        "the client secret ends with a line feed (U+000A)",
    ];
    run(command.current_dir(&directory.0)).failed_with(3, &words);

    let mut command = token(&emulator, &["--client-secret-file", "-"]);
    let mut child = start(command.stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{SECRET}").unwrap();
    drop(stdin);
    Ended::new(child.wait_with_output().unwrap()).succeeded();
}

#[test]
fn responses_map_to_exit_codes() {
    let refused = json!({ "status": "permissionDenied", "message": "no such client" }).to_string();
    let conflict = json!({ "status": "conflict" }).to_string();
    let throttled = json!({ "status": "tooManyRequest" }).to_string();
    let failure = json!({ "status": "serverFailure" }).to_string();
    let content = |status| json!({ "status": "ok", "content": { "status": status } }).to_string();
    let bad_token = json!({ "status": "ok", "content": { "id_token": "canary-\n" } }).to_string();
    let cases = [
        (reply(403, &refused), 3, "no such client"),
        (reply(404, "<html>"), 3, "404"),
        (reply(307, ""), 3, "307"),
        (reply(600, ""), 3, "600"),
        (reply(200, &conflict), 3, "conflict"),
        (reply(429, ""), 6, "429"),
        (reply(408, ""), 6, "408"),
        (reply(425, ""), 6, "425"),
        (reply(500, ""), 6, "500"),
        (reply(501, ""), 6, "501"),
        (reply(503, "<html>"), 6, "503"),
        (reply(200, &throttled), 6, "tooManyRequest"),
        (reply(200, &failure), 6, "serverFailure"),
        (reply(200, &content("failed")), 3, "failed"),
        (reply(200, &content("mfaRequired")), 3, "second factor"),
        (reply(200, "<html>"), 5, "html"),
        (reply(200, &content("available")), 5, "id_token"),
        (reply(200, &bad_token), 5, "id_token"),
        (grant_reply().torn_after(20), 4, "broke off"),
        (Reply::hung_up(), 4, "broke off"),
        (Reply::stalled(), 4, "in time"),
    ];
    for (reply, code, word) in cases {
        let emulator = serving(reply);
        for transport in TRANSPORTS {
            let args = [
                "--transport",
                transport,
                "--timeout",
                "1s",
                "--max-attempts",
                "1",
            ];
            let place = format!(" ({})", emulator.endpoint());
            run(&mut token(&emulator, &args)).failed_with(code, &[word, &place]);
        }
    }
    // Nothing listens on port 1, and only root could bind it.
    for transport in TRANSPORTS {
        let args = ["--transport", transport, "--base-url", "http://127.0.0.1:1"];
        run(&mut token(&emulator(), &args))
            .failed_with(4, &["no connection", " (http://127.0.0.1:1)"]);
    }
}

/// As Kubernetes secrets, `.env` files and editors leave them.
#[test]
fn refusal_tells_of_stray_characters_in_credentials() {
    let emulator = emulator();
    for (secret, says) in [
        (format!("{SECRET}\n"), "ends with a line feed (U+000A)"),
        (
            format!("{SECRET}\r"),
            "ends with a carriage return (U+000D)",
        ),
        (
            format!("{SECRET}\u{a0}"),
            "ends with a no-break space (U+00A0)",
        ),
        (
            format!("\u{feff}{SECRET}"),
            "begins with a byte order mark (U+FEFF)",
        ),
        (format!(" {SECRET}"), "begins with a space (U+0020)"),
        (
            format!("\"{SECRET}\""),
            "begins and ends with a double quote (U+0022)",
        ),
    ] {
        for transport in TRANSPORTS {
            let mut command = token(&emulator, &["--transport", transport]);
            let ended = run(command.env(CLIENT_SECRET, &secret));
            ended.failed_with(3, &["403 Forbidden", "the client secret ", says]);
        }
    }
    let mut command = token(&emulator, &[]);
    let ended = run(command.env(CLIENT_ID, format!("{ID}\n")));
    ended.failed_with(
        3,
        &[
            "403 Forbidden",
            "the client id ends with a line feed (U+000A)",
        ],
    );
}

#[test]
fn retries_are_reported_and_can_be_disabled() {
    for transport in TRANSPORTS {
        let run_with = |args: &[&str]| {
            let emulator = emulator();
            emulator.script([reply(503, "")]);
            let args = [&["--transport", transport], args].concat();
            let ended = run(&mut token(&emulator, &args));
            (ended, emulator.requests())
        };
        let (ended, requests) = run_with(&[]);
        ended.succeeded();
        assert_eq!(requests, 2);
        let first_line = "attempt 1 failed, next attempt in ";
        assert!(ended.stderr.starts_with(first_line), "{}", ended.stderr);
        assert!(ended.stderr.contains("503 Service Unavailable"));
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);

        let (ended, requests) = run_with(&["--max-attempts", "1"]);
        ended.failed_with(6, &["503 Service Unavailable"]);
        assert_eq!(requests, 1);

        let (ended, _) = run_with(&["-v"]);
        ended.succeeded();
        let expected_lines = [
            "requesting a token, attempt 1",
            first_line,
            "requesting a token, attempt 2",
            "obtained a token",
        ];
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(lines.len(), expected_lines.len(), "{lines:?}");
        for (line, words) in lines.iter().zip(expected_lines) {
            assert!(line.starts_with(words), "{lines:?}");
        }
    }
}

#[test]
fn server_messages_are_escaped_and_masked() {
    let message = format!("a\u{1b}[2J\nerror: b\u{202e}c {SECRET}");
    let envelope = json!({ "status": "badRequest", "message": message, "errorType": message });
    for body in [envelope.to_string(), format!("<p>{message}")] {
        let emulator = serving(reply(400, &body));
        for transport in TRANSPORTS {
            let ended = run(&mut token(&emulator, &["--transport", transport]));
            ended.failed_with(3, &[r"\u{1b}[2J\nerror: b\u{202e}c"]);
            let forbidden = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!ended.stderr.contains(forbidden), "{}", ended.stderr);
            assert_eq!(
                ended.stderr.matches("\nerror:").count(),
                0,
                "{}",
                ended.stderr
            );
        }
    }
}

/// hyper reads such responses for seconds without yielding, so the runtime's timer does not fire.
#[test]
fn flood_of_informational_responses_times_out() {
    for transport in TRANSPORTS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let flood = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            while stream.write_all(&flood).is_ok() {}
        });
        let args = [
            "--transport",
            transport,
            "--base-url",
            &base_url,
            "--timeout",
            "200ms",
        ];
        let started = Instant::now();
        run(&mut token(&emulator(), &args)).failed_with(4, &[]);
        assert!(started.elapsed() < Duration::from_secs(5), "{transport}");
    }
}

#[test]
fn embedded_emulator_works_with_and_without_credentials() {
    for transport in TRANSPORTS {
        let mut command = program(&["token", "--emulator", "--transport", transport]);
        run(&mut command).succeeded();

        let ended = run(command
            .env(CLIENT_ID, ID)
            .env(CLIENT_SECRET, SECRET)
            .env(BASE_URL, "?"));
        ended.succeeded();
        assert!(ended.stderr.starts_with("note: "), "{}", ended.stderr);
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for args in [&["--help"][..], &["token", "--help"], &["token", "-h"]] {
        let ended = run(&mut program(args));
        ended.succeeded();
        for word in ["Exit codes:", BASE_URL, CLIENT_ID, CLIENT_SECRET] {
            assert!(ended.stdout.contains(word), "{args:?}: {}", ended.stdout);
        }
    }
    let help = run(&mut program(&["token", "--help"])).stdout;
    assert!(help.contains("process lists"), "{help}");
    let version = run(&mut program(&["--version"])).stdout;
    assert_eq!(
        version,
        concat!("meshconnect-auth ", env!("CARGO_PKG_VERSION"), "\n")
    );

    let ended = run(&mut program(&[]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("Usage: "), "{}", ended.stderr);
}

#[test]
fn closed_pipe_exits_with_1() {
    for args in [&["token", "--emulator", "--format=json"][..], &["--help"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let ended = run(program(args).stdout(writer));
        ended.failed_with(1, &["stdout could not be written to"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_exits_with_1() {
    for format in ["text", "header", "json"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = run(program(&["token", "--emulator", "--format", format]).stdout(full));
        ended.failed_with(1, &["stdout could not be written to", "No space left"]);
    }
}

/// On Linux 0.0.0.0 reaches this machine but is not a loopback address.
#[cfg(target_os = "linux")]
#[test]
fn plain_http_to_other_hosts_needs_a_flag_and_warns() {
    let emulator = emulator();
    let base_url = format!("http://0.0.0.0:{}", emulator.address().port());
    for transport in TRANSPORTS {
        let args = [
            "--transport",
            transport,
            "--base-url",
            &base_url,
            "--allow-plaintext",
        ];
        let ended = run(&mut token(&emulator, &args));
        ended.succeeded();
        assert!(ended.stderr.starts_with("warning: "), "{}", ended.stderr);
        assert!(ended.stderr.contains("plain http"), "{}", ended.stderr);
    }
    let args = [
        "--base-url",
        &emulator.endpoint().to_string(),
        "--allow-plaintext",
    ];
    assert_eq!(run(&mut token(&emulator, &args)).stderr, "");
}

/// A running emulator and what it printed at its start.
struct Serving {
    child: Child,
    announced: String,
}

impl Serving {
    fn start(command: &mut Command) -> Self {
        let mut child = start(command);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut announced = String::new();
        while !announced.contains("meshconnect-auth token") {
            assert_ne!(stderr.read_line(&mut announced).unwrap(), 0, "{announced}");
        }
        Self { child, announced }
    }

    /// Returns the announced command with the announced variables.
    fn announced_command(&self) -> Command {
        let mut lines = self.announced.lines();
        let command = lines
            .rfind(|line| line.starts_with("meshconnect-auth "))
            .unwrap();
        let args: Vec<&str> = command.split(' ').skip(1).collect();
        let mut command = program(&args);
        for line in self.announced.lines() {
            if let Some((name, value)) =
                line.strip_prefix("export ").and_then(|v| v.split_once('='))
            {
                command.env(name, value);
            }
        }
        command
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn emulator_announces_a_working_command() {
    let serving = Serving::start(&mut program(&["emulator", "--listen", "127.0.0.1:0"]));
    run(&mut serving.announced_command()).succeeded();

    let mut own = program(&["emulator", "--listen=127.0.0.1:0", "--expires-in=2m"]);
    let serving = Serving::start(own.env(CLIENT_ID, ID).env(CLIENT_SECRET, SECRET));
    assert!(
        !serving.announced.contains("canary-"),
        "{}",
        serving.announced
    );
    assert!(
        serving.announced.contains(CLIENT_SECRET),
        "{}",
        serving.announced
    );
    run(serving.announced_command().env(CLIENT_SECRET, SECRET)).succeeded();
    run(serving.announced_command().env(CLIENT_SECRET, "wrong"))
        .failed_with(3, &["permissionDenied"]);
}

#[cfg(target_os = "linux")]
#[test]
fn emulator_on_a_public_address_needs_a_flag_and_warns() {
    let others = ["emulator", "--listen", "0.0.0.0:0"];
    run(&mut program(&others)).failed_with(2, &["0.0.0.0", "--dangerously-allow-non-loopback"]);

    let allowed = ["--dangerously-allow-non-loopback"];
    let serving = Serving::start(program(&others).args(allowed));
    assert!(
        serving.announced.contains("warning: "),
        "{}",
        serving.announced
    );
    run(&mut serving.announced_command()).succeeded();
}

#[test]
fn emulator_with_invalid_options_exits_with_2() {
    let emulator = emulator();
    let taken = emulator.address().to_string();
    for (args, words) in [
        (
            &["--listen", &taken][..],
            &[&taken[..], "in use", "--listen"][..],
        ),
        (&["--listen", "localhost"], &["--listen", "127.0.0.1:8080"]),
        (
            &["--expires-in", "999ms"],
            &["--expires-in", "a good one is 1h"],
        ),
        (
            &["--expires-in", "x"],
            &["--expires-in", "good ones are 30s"],
        ),
        (&["--client-id", ID], &["no client secret"]),
    ] {
        run(program(&["emulator"]).args(args)).failed_with(2, words);
    }
}

#[cfg(unix)]
mod signals {
    use super::*;

    #[test]
    fn signal_ends_a_request() {
        let dripping = grant_reply().drip(1, Duration::from_secs(10));
        for reply in [Reply::stalled(), dripping] {
            for transport in TRANSPORTS {
                for (signal, code, name) in SIGNALS {
                    let emulator = serving(reply.clone());
                    let child = start(&mut token(&emulator, &["--transport", transport]));
                    wait_until(|| emulator.requests() > 0);
                    kill(&child, signal);
                    let ended = Ended::new(child.wait_with_output().unwrap());
                    ended.failed_with(code, &[name]);
                }
            }
        }
    }

    #[test]
    fn signal_ends_the_wait_for_a_secret() {
        let directory = Directory::new("fifo");
        let fifo = directory.fifo();
        for subcommand in ["token", "emulator"] {
            for (signal, code, name) in SIGNALS {
                let mut command = program(&[subcommand, "--client-id=me"]);
                let child = start(command.arg("--client-secret-file").arg(&fifo));
                // The open returns once the program has opened the other end.
                let writer = File::options().write(true).open(&fifo).unwrap();
                kill(&child, signal);
                let ended = Ended::new(child.wait_with_output().unwrap());
                ended.failed_with(code, &[name]);
                drop(writer);
            }
        }
    }

    /// The pipe is full, so the program blocks when it writes the token.
    #[test]
    fn signal_ends_the_wait_for_a_reader() {
        let (reader, writer) = io::pipe().unwrap();
        let mut filler = writer.try_clone().unwrap();
        let (progress, filling) = std::sync::mpsc::channel();
        thread::spawn(
            move || {
                while filler.write_all(&[0; 4096]).is_ok() && progress.send(()).is_ok() {}
            },
        );
        // The pipe is full once the filler makes no progress.
        while filling.recv_timeout(Duration::from_millis(500)).is_ok() {}
        let emulator = emulator();
        let mut command = token(&emulator, &[]);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
        let child = child.unwrap();
        wait_until(|| emulator.requests() > 0);
        kill(&child, "-TERM");
        let ended = Ended::new(child.wait_with_output().unwrap());
        ended.failed_with(143, &["SIGTERM"]);
        drop(reader);
    }

    #[test]
    fn signal_ends_an_emulator_with_0() {
        for (signal, ..) in SIGNALS {
            let mut serving = Serving::start(&mut program(&["emulator", "--listen=127.0.0.1:0"]));
            kill(&serving.child, signal);
            assert_eq!(serving.child.wait().unwrap().code(), Some(0));
            // A second attempt could reach another server on that port.
            run(serving.announced_command().arg("--max-attempts=1"))
                .failed_with(4, &["no connection"]);
        }
    }
}
