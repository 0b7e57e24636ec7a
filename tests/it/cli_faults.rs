//! The program under faults of a Unix system: closed, full or abandoned streams, signals at any
//! time, and unusable secret files. In each case the program ends in time, with a clear line and
//! the right exit code, and writes either a whole token or none.
//!
//! The tests also pin these limitations:
//!
//! - With a closed stdout (`>&-`) the program exits with 0 and the token is lost: before `main`,
//!   Rust's runtime opens `/dev/null` for a closed standard descriptor. That keeps the token from
//!   being written to a socket that got descriptor 1.
//! - A signal can cut a token longer than `PIPE_BUF` (4,096 bytes on Linux) if the reader of the
//!   pipe is slow. Such a token lacks its final line break, and the exit code is not 0.
//! - A file-size limit (`ulimit -f`) kills any process with SIGXFSZ.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::RETRY_AFTER;
use meshconnect_auth::Credentials;
use meshconnect_auth::emulator::{Emulator, Reply};

use crate::support::files::Directory;
use crate::support::process::{kill, wait_until};
use crate::support::program::{
    Ended, PROGRAM, SIGNALS, TRANSPORTS, is_terminal_control, program, start,
};

const ID: &str = "me";
const SECRET: &str = "canary-secret-0123456789";

/// A limit far below the program's own time-outs, to show that it did not wait for one.
const PROMPT_LIMIT: Duration = Duration::from_secs(4);

fn emulator() -> Emulator {
    builder().start().unwrap()
}

fn builder() -> meshconnect_auth::emulator::EmulatorBuilder {
    Emulator::builder().credentials(Credentials::new(ID, SECRET).unwrap())
}

/// Returns a `meshconnect-auth token` command against `base_url` with valid credentials.
fn token(base_url: &str, transport: &str) -> Command {
    let mut command = program(&["token", "--transport", transport]);
    command
        .env("MESHCONNECT_BASE_URL", base_url)
        .env("MESHCONNECT_CLIENT_ID", ID)
        .env("MESHCONNECT_CLIENT_SECRET", SECRET);
    command
}

/// Returns a `meshconnect-auth token` command that reads its secret from `file`.
fn token_with_file(emulator: &Emulator, file: impl AsRef<OsStr>) -> Command {
    let mut command = token(&emulator.endpoint().to_string(), "async");
    command.arg("--client-secret-file").arg(file);
    command
}

fn run(command: &mut Command) -> Ended {
    ended(command.output().unwrap())
}

/// Asserts for every run that stdout has one whole line or nothing.
#[track_caller]
fn ended(output: Output) -> Ended {
    let ended = Ended::new(output);
    let stdout = &ended.stdout;
    assert!(
        stdout.is_empty() || stdout.find('\n') == Some(stdout.len().saturating_sub(1)),
        "partial token: {stdout:?}"
    );
    ended
}

mod streams {
    use super::*;

    /// Returns a command that runs the program in a shell with `redirections`.
    fn redirected(emulator: &Emulator, redirections: &str, transport: &str) -> Command {
        let token = token(&emulator.endpoint().to_string(), transport);
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!(r#"exec "$0" "$@" {redirections}"#))
            .arg(token.get_program())
            .args(token.get_args())
            .env_clear()
            .stdin(Stdio::null());
        let set = |(name, value): (_, Option<_>)| Some((name, value?));
        command.envs(token.get_envs().filter_map(set));
        command
    }

    /// See the top of this file. The emulator sees one valid request and no other connection, so
    /// the token was not written to a socket.
    #[test]
    fn closed_stdout_loses_the_token_and_exits_with_0() {
        for transport in TRANSPORTS {
            let emulator = emulator();
            let ended = run(&mut redirected(&emulator, ">&-", transport));
            ended.succeeded();
            assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
            assert_eq!((emulator.requests(), emulator.grants()), (1, 1));
        }
    }

    #[test]
    fn closed_stdin_and_stderr_do_not_matter() {
        let emulator = emulator();
        for redirections in ["2>&-", "<&-", "<&- 2>&-", "2>/dev/full"] {
            if redirections.contains("full") && !Path::new("/dev/full").exists() {
                continue;
            }
            let ended = run(&mut redirected(&emulator, redirections, "async"));
            ended.succeeded();
            assert_eq!(ended.stdout.matches('.').count(), 2, "{redirections}");
            // The exit code is the same if stderr is closed.
            let failing = format!("--base-url http://127.0.0.1:1 --max-attempts 1 {redirections}");
            let ended = run(&mut redirected(&emulator, &failing, "async"));
            assert_eq!(ended.code, Some(4), "{redirections}");
        }
        let ended = run(&mut redirected(
            &emulator,
            "--client-secret-file - <&-",
            "async",
        ));
        ended.failed_with_one_line(2, &["the client secret on stdin is empty"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_disk_is_reported_for_every_output() {
        let emulator = emulator();
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let words = ["stdout could not be written to", "No space left"];
        for args in [&["--help"][..], &["--version"], &["emulator", "--help"]] {
            run(program(args).stdout(full())).failed_with_one_line(1, &words);
        }
        let base_url = emulator.endpoint().to_string();
        for transport in TRANSPORTS {
            for format in ["text", "header", "json"] {
                let mut command = token(&base_url, transport);
                run(command.args(["--format", format]).stdout(full()))
                    .failed_with_one_line(1, &words);
            }
        }
    }

    /// As in `meshconnect-auth token | head -c0`: the reader is gone before the token arrives.
    #[test]
    fn closed_stdout_reader_is_reported_without_sigpipe() {
        for transport in TRANSPORTS {
            let emulator = emulator();
            emulator.script([Reply::token().delay(Duration::from_millis(200))]);
            let (reader, writer) = io::pipe().unwrap();
            let mut command = token(&emulator.endpoint().to_string(), transport);
            let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
            // The command keeps the writer open until it is dropped.
            drop(command);
            let child = child.unwrap();
            wait_until(|| emulator.requests() == 1);
            drop(reader);
            let ended = ended(child.wait_with_output().unwrap());
            ended.failed_with_one_line(1, &["stdout could not be written to", "Broken pipe"]);
        }
    }

    #[test]
    fn closed_stderr_reader_does_not_lose_the_token() {
        for transport in TRANSPORTS {
            let emulator = emulator();
            emulator.script([Reply::status(StatusCode::SERVICE_UNAVAILABLE)]);
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            let mut command = token(&emulator.endpoint().to_string(), transport);
            let ended = run(command.arg("-v").stderr(writer));
            ended.succeeded();
            assert_eq!(ended.stdout.matches('.').count(), 2);
        }
    }

    /// An emulator keeps serving even if nothing reads its output.
    #[test]
    fn emulator_serves_with_all_streams_closed() {
        let port = free_port();
        let mut command = Command::new("sh");
        let mut child = command
            .arg("-c")
            .arg(r#"exec "$0" emulator --listen "$1" <&- >&- 2>&-"#)
            .args([PROGRAM, &format!("127.0.0.1:{port}")])
            .env_clear()
            .spawn()
            .unwrap();
        wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        let ended = run(
            program(&["token", "--base-url", &format!("http://127.0.0.1:{port}")])
                .env("MESHCONNECT_CLIENT_ID", Emulator::CLIENT_ID)
                .env("MESHCONNECT_CLIENT_SECRET", Emulator::CLIENT_SECRET),
        );
        kill(&child, "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        ended.succeeded();
    }

    fn free_port() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    }
}

mod signals {
    use super::*;

    /// Sends each signal to the program over each transport, once `started` returns.
    fn ends_promptly(base_url: &str, mut started: impl FnMut(&mut Child)) {
        for transport in TRANSPORTS {
            for (signal, code, name) in SIGNALS {
                let mut child = start(&mut token(base_url, transport));
                started(&mut child);
                let sent = Instant::now();
                kill(&child, signal);
                let ended = ended(child.wait_with_output().unwrap());
                assert!(sent.elapsed() < PROMPT_LIMIT, "{transport} {signal}");
                assert_eq!(ended.code, Some(code), "{transport}: {}", ended.stderr);
                assert_eq!(ended.stdout, "");
                let last = ended.stderr.lines().last();
                assert_eq!(last, Some(&*format!("error: stopped by {name}")));
            }
        }
    }

    #[test]
    fn signal_ends_a_stalled_request() {
        let emulator = emulator();
        emulator.script(vec![Reply::stalled(); 4]);
        let mut requests = 0;
        ends_promptly(&emulator.endpoint().to_string(), |_| {
            requests += 1;
            wait_until(|| emulator.requests() == requests);
        });
        assert_eq!(emulator.requests(), 4, "a signal caused another request");
    }

    /// The body arrives except for its last byte.
    #[test]
    fn signal_during_the_response_writes_no_partial_token() {
        let emulator = emulator();
        let length = r#"{"status":"ok","content":{"id_token":"abc","expires_in":60}}"#.len();
        let reply = Reply::status(StatusCode::OK)
            .body(r#"{"status":"ok","content":{"id_token":"abc","expires_in":60}}"#)
            .drip(length.saturating_sub(1), Duration::from_secs(60));
        emulator.script(vec![reply; 4]);
        let mut requests = 0;
        ends_promptly(&emulator.endpoint().to_string(), |_| {
            requests += 1;
            wait_until(|| emulator.requests() == requests);
            // The test cannot observe when the first piece of the body reaches the program.
            thread::sleep(Duration::from_millis(100));
        });
    }

    #[test]
    fn signal_ends_the_wait_before_a_retry() {
        let emulator = emulator();
        let busy = Reply::status(StatusCode::SERVICE_UNAVAILABLE).header(RETRY_AFTER, 20);
        emulator.script(vec![busy; 4]);
        ends_promptly(&emulator.endpoint().to_string(), |child| {
            // The program prints this before the wait. `Ended` does not see the bytes read here.
            let mut start_of_stderr = [0; 16];
            child
                .stderr
                .as_mut()
                .unwrap()
                .read_exact(&mut start_of_stderr)
                .unwrap();
            assert_eq!(&start_of_stderr, b"attempt 1 failed");
        });
        assert_eq!(emulator.requests(), 4);
    }

    /// hyper reads such a flood without yielding, so the signal handler must not run in its
    /// runtime.
    #[test]
    fn signal_ends_a_flood_of_informational_responses() {
        let (sender, floods) = mpsc::channel();
        let base_url = flood(1000, Duration::ZERO, sender);
        for (signal, code, name) in SIGNALS {
            // ureq stops the flood at its limit for headers.
            let child = start(&mut token(&base_url, "async"));
            floods.recv().unwrap();
            let sent = Instant::now();
            kill(&child, signal);
            let ended = ended(child.wait_with_output().unwrap());
            assert!(sent.elapsed() < PROMPT_LIMIT, "{signal}");
            ended.failed_with_one_line(code, &[name]);
        }
        let (sender, floods) = mpsc::channel();
        let base_url = flood(1, Duration::from_millis(20), sender);
        ends_promptly(&base_url, |_| floods.recv().unwrap());
    }

    /// Starts a server that sends `count` informational responses at a time, with a pause in
    /// between, and reports the third round.
    fn flood(count: usize, pause: Duration, sender: mpsc::Sender<()>) -> String {
        let flood = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
        serve(move |mut stream| {
            read_request(&mut stream);
            for round in 1.. {
                if stream.write_all(&flood).is_err() {
                    break;
                }
                if round == 3 {
                    let _ = sender.send(());
                }
                // The test depends on the rate of the flood.
                thread::sleep(pause);
            }
        })
    }

    #[test]
    fn signal_ends_a_stalled_handshake() {
        let (sender, handshakes) = mpsc::channel();
        let base_url = serve(move |mut stream| {
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).unwrap();
            assert_eq!(hello[0], 22, "a TLS handshake record");
            sender.send(()).unwrap();
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        let base_url = base_url.replace("http:", "https:");
        ends_promptly(&base_url, |_| handshakes.recv().unwrap());
    }

    /// Without a writer the program blocks when it opens the FIFO.
    #[test]
    fn signal_ends_the_wait_for_a_fifo_without_a_writer() {
        let directory = Directory::new("signal-fifo");
        let (emulator, fifo) = (emulator(), directory.fifo());
        for (signal, code, name) in SIGNALS {
            let child = start(&mut token_with_file(&emulator, &fifo));
            wait_for_signal_handlers(&child);
            kill(&child, signal);
            ended(child.wait_with_output().unwrap()).failed_with_one_line(code, &[name]);
        }
        assert_eq!(emulator.requests(), 0);
    }

    #[test]
    fn signal_closes_the_connections_of_an_emulator() {
        let mut child = start(&mut program(&[
            "emulator",
            "--listen=127.0.0.1:0",
            "--mode=same-token",
        ]));
        let stderr = child.stderr.as_mut().unwrap();
        let mut announced = String::new();
        while !announced.ends_with("meshconnect-auth token\n") {
            let mut byte = [0];
            stderr.read_exact(&mut byte).unwrap();
            announced.push(char::from(byte[0]));
        }
        assert!(announced.contains("\nmode same-token: "), "{announced}");
        let (_, address) = announced.split_once("http://").unwrap();
        let address = address.split_once('\n').unwrap().0;
        let mut waiting = TcpStream::connect(address).unwrap();
        // The emulator responds only after the body, which is never sent.
        write!(waiting, "GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n").unwrap();
        kill(&child, "-INT");
        let cut = waiting.read(&mut [0]);
        assert!(matches!(cut, Ok(0) | Err(_)), "{cut:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    /// Serves each connection on its own thread until the process ends, and returns the base URL.
    fn serve(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        base_url
    }

    fn read_request(stream: &mut TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
    }
}

mod secret_files {
    use super::*;

    #[test]
    fn file_without_a_secret_is_refused_in_one_line() {
        let directory = Directory::new("contents");
        let emulator = emulator();
        for (content, words) in [
            (&b""[..], "is empty; write the secret into it"),
            (b"\r\n", "is empty"),
            (
                b"\xEF\xBB\xBFcanary-secret\r\n",
                "byte order mark; save it as UTF-8 without",
            ),
            (b"\xFF\xFEc\0a\0n\0", "byte order mark"),
            (b"\xFE\xFF\0c\0a\0n", "byte order mark"),
            (
                b"c\0a\0n\0a\0r\0y\0",
                "contains a NUL byte; save it as plain",
            ),
            (b"canary-secret\0", "contains a NUL byte"),
            (b"\0", "contains a NUL byte"),
            (b"canary-secret\xFC", "is not valid UTF-8"),
            (
                &b"canary-secret".repeat(6000),
                "more than 64 KiB; name a file that contains",
            ),
        ] {
            let file = directory.file("secret", content);
            run(&mut token_with_file(&emulator, file)).failed_with_one_line(2, &[words]);
        }
        assert_eq!(emulator.requests(), 0);
    }

    #[test]
    fn final_crlf_is_stripped() {
        let directory = Directory::new("crlf");
        let emulator = emulator();
        let file = directory.file("secret", format!("{SECRET}\r\n"));
        run(&mut token_with_file(&emulator, file)).succeeded();
        // Other line ends are part of the secret, and the server sees them.
        for content in [format!("{SECRET}\r\n\r\n"), format!("{SECRET}\r")] {
            let file = directory.file("secret", content);
            let ended = run(&mut token_with_file(&emulator, file));
            assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        }
    }

    #[test]
    fn unusable_path_is_refused_in_one_line() {
        let directory = Directory::new("names");
        let emulator = emulator();
        let file = directory.file("file", SECRET);
        let at = |name: &str| directory.0.join(name);
        symlink("nowhere", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let socket = UnixListener::bind(short_path("socket")).unwrap();
        for (path, words) in [
            (at("none"), "none\" does not exist; check its path"),
            (at("dangling"), "does not exist"),
            (at("loop"), "cannot be read: "),
            (at(""), "is a directory; name the file in it"),
            (file.join("below"), "cannot be read: Not a directory"),
            (at(&"x".repeat(300)), "cannot be read: File name too long"),
            (PathBuf::from("/"), "is a directory"),
            (short_path("socket"), "cannot be read: "),
        ] {
            run(&mut token_with_file(&emulator, path)).failed_with_one_line(2, &[words]);
        }
        drop(socket);
        let _ = fs::remove_file(short_path("socket"));
        assert_eq!(emulator.requests(), 0);
    }

    /// Returns a path for a socket, which may have at most 107 bytes.
    fn short_path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("meshconnect-auth-{}-{name}", std::process::id()))
    }

    /// A file name is escaped, so it cannot start a new line or change the text direction.
    #[test]
    fn file_name_is_escaped_in_messages() {
        let directory = Directory::new("controls");
        let emulator = emulator();
        for (name, shown) in [
            (&b"a\nerror: b"[..], r#"/a\nerror: b""#),
            (b"a\r\x1b[2Jb", r#"/a\r\u{1b}[2Jb""#),
            ("a\u{202e}b\u{2066}c".as_bytes(), r#"/a\u{202e}b\u{2066}c""#),
            ("\u{200f}a\u{9b}b".as_bytes(), r#"/\u{200f}a\u{9b}b""#),
            (b"a\"b", r#"/a\"b""#),
            (b"a\xFFb", r#"/a\xFFb""#),
        ] {
            let name = OsStr::from_bytes(name);
            let missing = directory.0.join(name);
            run(&mut token_with_file(&emulator, missing))
                .failed_with_one_line(2, &[shown, "does not exist"]);
            let empty = directory.file(name, "");
            run(&mut token_with_file(&emulator, empty))
                .failed_with_one_line(2, &[shown, "is empty"]);
            // Such a file can be used.
            let good = directory.file(name, SECRET);
            run(&mut token_with_file(&emulator, good)).succeeded();
        }
    }

    /// Root can read every file, so as root the test runs the program as another user.
    #[test]
    fn unreadable_file_is_refused_in_one_line() {
        const NOBODY: u32 = 65534;

        let directory = Directory::new("unreadable");
        let emulator = emulator();
        let file = directory.file("secret", SECRET);
        fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
        let mut command = token_with_file(&emulator, &file);
        if fs::metadata(&directory.0).unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        match command.output() {
            Ok(output) => {
                let words = ["may not be read by this user; check its permissions"];
                ended(output).failed_with_one_line(2, &words);
                assert_eq!(emulator.requests(), 0);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                eprintln!("skipped: another user may not run {PROGRAM}: {error}");
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn fifo_is_read_to_its_end_or_the_size_limit() {
        let directory = Directory::new("fifo");
        let (emulator, fifo) = (emulator(), directory.fifo());
        let read = |write: &(dyn Fn(File) + Sync)| {
            thread::scope(|scope| {
                scope.spawn(|| write(File::options().write(true).open(&fifo).unwrap()));
                run(&mut token_with_file(&emulator, &fifo))
            })
        };
        read(&|mut fifo| {
            for byte in format!("{SECRET}\n").bytes() {
                fifo.write_all(&[byte]).unwrap();
                // The pause makes the program read most bytes one by one.
                thread::sleep(Duration::from_millis(1));
            }
        })
        .succeeded();
        read(&drop).failed_with_one_line(2, &["fifo\" is empty"]);
        // The writer sends a pipe's buffer more than the program reads, then gets an error.
        read(&|mut fifo| while fifo.write_all(&[b'x'; 4096]).is_ok() {})
            .failed_with_one_line(2, &["has more than 64 KiB"]);
        assert_eq!(emulator.requests(), 1);
    }

    /// Returns the bytes that a run has read and its peak memory when it reports its failure. A
    /// full pipe as stderr keeps the process alive for the measurement.
    #[cfg(target_os = "linux")]
    fn run_and_measure(command: &mut Command) -> (u64, u64, Ended) {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut filler = writer.try_clone().unwrap();
        let filling = thread::spawn(move || filler.write_all(&vec![b' '; 64 * 1024]).unwrap());
        wait_until(|| filling.is_finished());
        let child = command.stdout(Stdio::piped()).stderr(writer).spawn();
        command.stderr(Stdio::null());
        let child = child.unwrap();
        let number = |file: &str, name: &str| -> u64 {
            let text = fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.unwrap().trim().trim_end_matches(" kB").parse();
            number.unwrap()
        };
        wait_for_signal_handlers(&child);
        let read = || number("io", "rchar:");
        let (mut before, mut quiet_since) = (0, Instant::now());
        while quiet_since.elapsed() < Duration::from_millis(500) {
            // The program has stopped reading when its count does not change for a while.
            thread::sleep(Duration::from_millis(10));
            let now = read();
            if now != before {
                (before, quiet_since) = (now, Instant::now());
            }
        }
        let (read, peak) = (read(), number("status", "VmHWM:"));
        let mut stderr = String::new();
        reader.read_to_string(&mut stderr).unwrap();
        filling.join().unwrap();
        let mut output = child.wait_with_output().unwrap();
        output.stderr = stderr.trim_start().as_bytes().to_vec();
        (read, peak, ended(output))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn large_file_is_read_only_up_to_the_size_limit() {
        let directory = Directory::new("sparse");
        let emulator = emulator();
        let empty = directory.file("empty", "");
        let sparse = directory.file("sparse", "");
        let size = 10 * 1024 * 1024 * 1024;
        File::options()
            .write(true)
            .open(&sparse)
            .unwrap()
            .set_len(size)
            .unwrap();
        let (usual, usual_peak, ended) = run_and_measure(&mut token_with_file(&emulator, empty));
        ended.failed_with_one_line(2, &["is empty"]);
        for endless in [sparse, PathBuf::from("/dev/zero")] {
            let (read, peak, ended) = run_and_measure(&mut token_with_file(&emulator, &endless));
            ended.failed_with_one_line(2, &["has more than 64 KiB"]);
            let more = read.saturating_sub(usual);
            assert!(more <= 66 * 1024, "{endless:?}: {more} bytes were read");
            let more = peak.saturating_sub(usual_peak);
            assert!(more < 1024, "{endless:?}: {more} KiB more than usual");
        }
        assert_eq!(emulator.requests(), 0);
    }
}

/// Invalid arguments are repeated in messages and may contain anything.
#[test]
fn arguments_are_escaped_in_messages() {
    let forged = "\u{202e}x\u{1b}[2J\nerror: forged";
    for args in [
        &["token", "--format", forged][..],
        &["token", "--timeout", forged],
        &["token", "--max-attempts", forged],
        &["token", "--base-url", forged],
        &["token", "--transport", forged],
        &["emulator", "--listen", forged],
        &["emulator", "--mode", forged],
        &["emulator", "--expires-in", forged],
        &["token", forged],
        &[forged],
        &[&format!("--{forged}")],
    ] {
        let ended = run(&mut program(args));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        let stderr = &ended.stderr;
        assert!(!stderr.contains("\nerror: "), "{args:?}: {stderr:?}");
        let forbidden = |c| c != '\n' && is_terminal_control(c);
        assert!(!stderr.contains(forbidden), "{args:?}: {stderr:?}");
    }
}

/// A response after the time-out is discarded.
#[test]
fn slow_server_times_out_with_nothing_written() {
    let emulator = emulator();
    for transport in TRANSPORTS {
        emulator.script([Reply::token().delay(Duration::from_secs(2))]);
        let mut command = token(&emulator.endpoint().to_string(), transport);
        let started = Instant::now();
        let ended = run(command.args(["--timeout", "300ms"]));
        assert!(started.elapsed() < Duration::from_millis(1500));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""));
    }
}

/// Waits until the program has installed its signal handlers.
fn wait_for_signal_handlers(child: &Child) {
    const TERM: u64 = 1 << 14;

    let status = format!("/proc/{}/status", child.id());
    if !Path::new(&status).exists() {
        // Without /proc the test cannot observe it. A second is ample.
        thread::sleep(Duration::from_secs(1));
        return;
    }
    wait_until(|| {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        caught & TERM != 0
    });
}
