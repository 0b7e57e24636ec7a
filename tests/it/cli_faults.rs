//! The program among everything that a Unix system can do to it: streams that are closed, full or
//! given up, signals at any moment, secret files that are none. Whatever it is, the program ends
//! in time with a clear line and the right exit code, and writes a token whole or not at all.
//!
//! What it cannot help, and what is pinned here all the same:
//!
//! - With a closed stdout (`>&-`) it exits with 0, and the token is gone: before `main`, Rust's
//!   runtime opens `/dev/null` where one of the first three descriptors is closed. It is what
//!   keeps the token from being written into a socket that got the number 1.
//! - A token longer than `PIPE_BUF` (4,096 bytes on Linux) can be cut by a signal while a pipe's
//!   reader is slow. It then lacks the line break at its end, and the exit code is not 0.
//! - A file-size limit (`ulimit -f`) ends any process by SIGXFSZ.

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
use crate::support::program::{PROGRAM, SIGNALS, TRANSPORTS, program, start};

const ID: &str = "me";
const SECRET: &str = "canary-secret-0123456789";

/// The program's own time-outs are far longer; what ends within this did not wait for one.
const SOON: Duration = Duration::from_secs(4);

fn emulator() -> Emulator {
    builder().start().unwrap()
}

fn builder() -> meshconnect_auth::emulator::EmulatorBuilder {
    Emulator::builder().credentials(Credentials::new(ID, SECRET).unwrap())
}

/// `meshconnect-auth token` against `base_url`, with good credentials.
fn token(base_url: &str, transport: &str) -> Command {
    let mut command = program(&["token", "--transport", transport]);
    command
        .env("MESHCONNECT_BASE_URL", base_url)
        .env("MESHCONNECT_CLIENT_ID", ID)
        .env("MESHCONNECT_CLIENT_SECRET", SECRET);
    command
}

/// `meshconnect-auth token` with a secret from this file.
fn token_with_file(emulator: &Emulator, file: impl AsRef<OsStr>) -> Command {
    let mut command = token(&emulator.endpoint().to_string(), "async");
    command.arg("--client-secret-file").arg(file);
    command
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command) -> Ended {
    Ended::new(command.output().unwrap())
}

impl Ended {
    /// Whatever a test is about: stdout has one whole line or nothing, no secret shows, and
    /// nothing panicked.
    #[track_caller]
    fn new(output: Output) -> Self {
        let ended = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        let (stdout, stderr) = (&ended.stdout, &ended.stderr);
        assert!(
            stdout.is_empty() || stdout.find('\n') == Some(stdout.len().saturating_sub(1)),
            "half a token: {stdout:?}"
        );
        for canary in ["canary-secret", "eyJ", "panicked"] {
            assert!(!stderr.contains(canary), "{stderr}");
        }
        assert!(!stdout.contains("canary-secret"), "{stdout}");
        ended
    }

    /// It failed, wrote no token, and said why in one line without a control character.
    #[track_caller]
    fn failed_with(&self, code: i32, words: &[&str]) {
        let stderr = &self.stderr;
        assert_eq!(self.code, Some(code), "{stderr}");
        assert_eq!(self.stdout, "", "{stderr}");
        let line = stderr.strip_suffix('\n').unwrap_or_default();
        assert!(line.starts_with("error: "), "{stderr:?}");
        assert!(!line.contains(drives_a_terminal), "{stderr:?}");
        for word in words {
            assert!(line.contains(word), "no {word:?} in: {stderr}");
        }
    }

    #[track_caller]
    fn succeeded(&self) {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
    }
}

/// Control characters, and those that turn the direction of text around.
fn drives_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

mod streams {
    use super::*;

    /// The program with streams that the shell closes or attempts elsewhere.
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

    /// See the top of this file. That no socket ever gets the number 1 shows in the emulator's
    /// view: one good request, and no connection that got a token sent to it.
    #[test]
    fn a_closed_stdout_is_dev_null_and_the_token_is_gone() {
        for transport in TRANSPORTS {
            let emulator = emulator();
            let ended = run(&mut redirected(&emulator, ">&-", transport));
            ended.succeeded();
            assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
            assert_eq!((emulator.requests(), emulator.grants()), (1, 1));
        }
    }

    #[test]
    fn closed_streams_that_carry_no_token_are_not_missed() {
        let emulator = emulator();
        for redirections in ["2>&-", "<&-", "<&- 2>&-", "2>/dev/full"] {
            if redirections.contains("full") && !Path::new("/dev/full").exists() {
                continue;
            }
            let ended = run(&mut redirected(&emulator, redirections, "async"));
            ended.succeeded();
            assert_eq!(ended.stdout.matches('.').count(), 2, "{redirections}");
            // It fails as it should, too, where nobody can be told.
            let gone = format!("--base-url http://127.0.0.1:1 --max-attempts 1 {redirections}");
            let ended = run(&mut redirected(&emulator, &gone, "async"));
            assert_eq!(ended.code, Some(4), "{redirections}");
        }
        let ended = run(&mut redirected(
            &emulator,
            "--client-secret-file - <&-",
            "async",
        ));
        ended.failed_with(2, &["the client secret on stdin is empty"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_for_whatever_is_written() {
        let emulator = emulator();
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let words = ["stdout could not be written to", "No space left"];
        for args in [&["--help"][..], &["--version"], &["emulator", "--help"]] {
            run(program(args).stdout(full())).failed_with(1, &words);
        }
        let base_url = emulator.endpoint().to_string();
        for transport in TRANSPORTS {
            for format in ["text", "header", "json"] {
                let mut command = token(&base_url, transport);
                run(command.args(["--format", format]).stdout(full())).failed_with(1, &words);
            }
        }
    }

    /// As in `meshconnect-auth token | head -c0`: nobody reads any more when the token is there.
    #[test]
    fn a_reader_that_goes_away_in_mid_request_is_told_and_no_sigpipe_kills() {
        for transport in TRANSPORTS {
            let emulator = emulator();
            emulator.script([Reply::token().delay(Duration::from_millis(200))]);
            let (reader, writer) = io::pipe().unwrap();
            let mut command = token(&emulator.endpoint().to_string(), transport);
            let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
            // The command would hold the writer open.
            drop(command);
            let child = child.unwrap();
            wait_until(|| emulator.requests() == 1);
            drop(reader);
            let ended = Ended::new(child.wait_with_output().unwrap());
            ended.failed_with(1, &["stdout could not be written to", "Broken pipe"]);
        }
    }

    #[test]
    fn a_reader_of_stderr_that_goes_away_costs_no_token() {
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

    /// An emulator is there for others; it goes on where nobody listens to what it says.
    #[test]
    fn an_emulator_serves_with_all_of_its_streams_closed() {
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

    /// Sends each signal, to each transport, once `begun` says that it is in the middle of it.
    fn ends_at_once(base_url: &str, mut begun: impl FnMut(&mut Child)) {
        for transport in TRANSPORTS {
            for (signal, code, name) in SIGNALS {
                let mut child = start(&mut token(base_url, transport));
                begun(&mut child);
                let sent = Instant::now();
                kill(&child, signal);
                let ended = Ended::new(child.wait_with_output().unwrap());
                assert!(sent.elapsed() < SOON, "{transport} {signal}");
                assert_eq!(ended.code, Some(code), "{transport}: {}", ended.stderr);
                assert_eq!(ended.stdout, "");
                let last = ended.stderr.lines().last();
                assert_eq!(last, Some(&*format!("error: stopped by {name}")));
            }
        }
    }

    #[test]
    fn a_signal_ends_a_request_that_nobody_answers() {
        let emulator = emulator();
        emulator.script(vec![Reply::stalled(); 4]);
        let mut asked = 0;
        ends_at_once(&emulator.endpoint().to_string(), |_| {
            asked += 1;
            wait_until(|| emulator.requests() == asked);
        });
        assert_eq!(
            emulator.requests(),
            4,
            "a signal attempts to no other request"
        );
    }

    /// The token is there but for its last byte.
    #[test]
    fn a_signal_in_mid_answer_leaves_no_half_token() {
        let emulator = emulator();
        let length = r#"{"status":"ok","content":{"id_token":"abc","expires_in":60}}"#.len();
        let reply = Reply::status(StatusCode::OK)
            .body(r#"{"status":"ok","content":{"id_token":"abc","expires_in":60}}"#)
            .drip(length.saturating_sub(1), Duration::from_secs(60));
        emulator.script(vec![reply; 4]);
        let mut asked = 0;
        ends_at_once(&emulator.endpoint().to_string(), |_| {
            asked += 1;
            wait_until(|| emulator.requests() == asked);
            // Nothing tells when the first piece of the body has reached the program.
            thread::sleep(Duration::from_millis(100));
        });
    }

    #[test]
    fn a_signal_ends_the_wait_before_a_retry() {
        let emulator = emulator();
        let busy = Reply::status(StatusCode::SERVICE_UNAVAILABLE).header(RETRY_AFTER, 20);
        emulator.script(vec![busy; 4]);
        ends_at_once(&emulator.endpoint().to_string(), |child| {
            // Told before the wait begins. What was read of it is not read again below.
            let mut told = [0; 16];
            child
                .stderr
                .as_mut()
                .unwrap()
                .read_exact(&mut told)
                .unwrap();
            assert_eq!(&told, b"attempt 1 failed");
        });
        assert_eq!(emulator.requests(), 4);
    }

    /// hyper reads such a flood without giving way to anything else in its runtime, so that what
    /// listens for signals must not be there.
    #[test]
    fn a_signal_ends_a_flood_of_informational_answers() {
        let (flooding, floods) = mpsc::channel();
        let base_url = flood(1000, Duration::ZERO, flooding);
        for (signal, code, name) in SIGNALS {
            // ureq ends it by itself, at its limit for headers.
            let child = start(&mut token(&base_url, "async"));
            floods.recv().unwrap();
            let sent = Instant::now();
            kill(&child, signal);
            let ended = Ended::new(child.wait_with_output().unwrap());
            assert!(sent.elapsed() < SOON, "{signal}");
            ended.failed_with(code, &[name]);
        }
        let (flooding, floods) = mpsc::channel();
        let base_url = flood(1, Duration::from_millis(20), flooding);
        ends_at_once(&base_url, |_| floods.recv().unwrap());
    }

    /// So many informational answers at once, with a pause between; tells when the third time was.
    fn flood(count: usize, pause: Duration, flooding: mpsc::Sender<()>) -> String {
        let flood = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
        serve(move |mut stream| {
            read_request(&mut stream);
            for round in 1.. {
                if stream.write_all(&flood).is_err() {
                    break;
                }
                if round == 3 {
                    let _ = flooding.send(());
                }
                // How fast it comes is what the test is about.
                thread::sleep(pause);
            }
        })
    }

    #[test]
    fn a_signal_ends_a_handshake_that_stalls() {
        let (shaking, handshakes) = mpsc::channel();
        let base_url = serve(move |mut stream| {
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).unwrap();
            assert_eq!(hello[0], 22, "a TLS handshake record");
            shaking.send(()).unwrap();
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        let base_url = base_url.replace("http:", "https:");
        ends_at_once(&base_url, |_| handshakes.recv().unwrap());
    }

    /// Nobody has opened the other end, so that the program hangs in opening it.
    #[test]
    fn a_signal_ends_the_wait_for_a_fifo_without_a_writer() {
        let directory = Directory::new("signal-fifo");
        let (emulator, fifo) = (emulator(), directory.fifo());
        for (signal, code, name) in SIGNALS {
            let child = start(&mut token_with_file(&emulator, &fifo));
            listens_for_signals(&child);
            kill(&child, signal);
            Ended::new(child.wait_with_output().unwrap()).failed_with(code, &[name]);
        }
        assert_eq!(emulator.requests(), 0);
    }

    #[test]
    fn a_signal_cuts_an_emulators_connections() {
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
        // The head is answered only after the body, which does not come.
        write!(waiting, "GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n").unwrap();
        kill(&child, "-INT");
        let cut = waiting.read(&mut [0]);
        assert!(matches!(cut, Ok(0) | Err(_)), "{cut:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    /// Serves each connection on a thread, for as long as the tests run, and gives the base URL.
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
    fn a_file_that_holds_no_secret_is_refused_in_one_line() {
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
            (b"c\0a\0n\0a\0r\0y\0", "holds a NUL byte; save it as plain"),
            (b"canary-secret\0", "holds a NUL byte"),
            (b"\0", "holds a NUL byte"),
            (b"canary-secret\xFC", "is not valid UTF-8"),
            (
                &b"canary-secret".repeat(6000),
                "more than 64 KiB; name a file that holds",
            ),
        ] {
            let file = directory.file("secret", content);
            run(&mut token_with_file(&emulator, file)).failed_with(2, &[words]);
        }
        assert_eq!(emulator.requests(), 0);
    }

    #[test]
    fn the_line_ends_of_windows_are_dropped_with_the_last_line() {
        let directory = Directory::new("crlf");
        let emulator = emulator();
        let file = directory.file("secret", format!("{SECRET}\r\n"));
        run(&mut token_with_file(&emulator, file)).succeeded();
        // Within a secret they are a part of it, and the server gets to see them.
        for content in [format!("{SECRET}\r\n\r\n"), format!("{SECRET}\r")] {
            let file = directory.file("secret", content);
            let ended = run(&mut token_with_file(&emulator, file));
            assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        }
    }

    #[test]
    fn a_name_that_is_no_file_is_refused_in_one_line() {
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
            run(&mut token_with_file(&emulator, path)).failed_with(2, &[words]);
        }
        drop(socket);
        let _ = fs::remove_file(short_path("socket"));
        assert_eq!(emulator.requests(), 0);
    }

    /// A socket's path has 107 bytes at most.
    fn short_path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("meshconnect-auth-{}-{name}", std::process::id()))
    }

    /// Whatever is in a name stays in its quotes, on its line, in its direction.
    #[test]
    fn a_name_cannot_forge_a_line_or_drive_a_terminal() {
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
                .failed_with(2, &[shown, "does not exist"]);
            let empty = directory.file(name, "");
            run(&mut token_with_file(&emulator, empty)).failed_with(2, &[shown, "is empty"]);
            // And of course such a file can be used.
            let good = directory.file(name, SECRET);
            run(&mut token_with_file(&emulator, good)).succeeded();
        }
    }

    /// Root may read everything, and so is somebody else for this one.
    #[test]
    fn a_file_that_may_not_be_read_is_refused_in_one_line() {
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
                Ended::new(output).failed_with(2, &words);
                assert_eq!(emulator.requests(), 0);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                eprintln!("skipped: root, and nobody else may run {PROGRAM}: {error}");
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_fifo_is_read_to_its_end_and_no_further_than_a_secret_goes() {
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
                // So that most of them are read one by one.
                thread::sleep(Duration::from_millis(1));
            }
        })
        .succeeded();
        read(&drop).failed_with(2, &["fifo\" is empty"]);
        // The writer has a pipe's buffer more to give than is read, and then nobody reads.
        read(&|mut fifo| while fifo.write_all(&[b'x'; 4096]).is_ok() {})
            .failed_with(2, &["has more than 64 KiB"]);
        assert_eq!(emulator.requests(), 1);
    }

    /// What a run has read, and how much memory it had at most, at the moment at which it tells
    /// of its failure: stderr is a pipe that is full, so that it can be looked at.
    #[cfg(target_os = "linux")]
    fn watched(command: &mut Command) -> (u64, u64, Ended) {
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
        listens_for_signals(&child);
        let read = || number("io", "rchar:");
        let (mut before, mut quiet_since) = (0, Instant::now());
        while quiet_since.elapsed() < Duration::from_millis(500) {
            // Nothing tells that a program reads no more but that its count stands still.
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
        (read, peak, Ended::new(output))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn of_ten_gibibytes_no_more_is_read_than_shows_that_they_are_no_secret() {
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
        let (usual, usual_peak, ended) = watched(&mut token_with_file(&emulator, empty));
        ended.failed_with(2, &["is empty"]);
        for endless in [sparse, PathBuf::from("/dev/zero")] {
            let (read, peak, ended) = watched(&mut token_with_file(&emulator, &endless));
            ended.failed_with(2, &["has more than 64 KiB"]);
            let more = read.saturating_sub(usual);
            assert!(more <= 66 * 1024, "{endless:?}: {more} bytes were read");
            let more = peak.saturating_sub(usual_peak);
            assert!(more < 1024, "{endless:?}: {more} KiB more than usual");
        }
        assert_eq!(emulator.requests(), 0);
    }
}

/// What a person or a script typed is repeated where it is wrong, and then it could hold anything.
#[test]
fn an_argument_that_is_repeated_cannot_forge_a_line_or_drive_a_terminal() {
    let odd = "\u{202e}x\u{1b}[2J\nerror: forged";
    for args in [
        &["token", "--format", odd][..],
        &["token", "--timeout", odd],
        &["token", "--max-attempts", odd],
        &["token", "--base-url", odd],
        &["token", "--transport", odd],
        &["emulator", "--listen", odd],
        &["emulator", "--mode", odd],
        &["emulator", "--expires-in", odd],
        &["token", odd],
        &[odd],
        &[&format!("--{odd}")],
    ] {
        let ended = run(&mut program(args));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        let stderr = &ended.stderr;
        assert!(!stderr.contains("\nerror: "), "{args:?}: {stderr:?}");
        let odd = |c| c != '\n' && drives_a_terminal(c);
        assert!(!stderr.contains(odd), "{args:?}: {stderr:?}");
    }
}

/// An answer that comes too late is none, and nothing of it is written.
#[test]
fn a_slow_server_is_given_up_in_time_with_nothing_written() {
    let emulator = emulator();
    for transport in TRANSPORTS {
        emulator.script([Reply::token().delay(Duration::from_secs(2))]);
        let mut command = token(&emulator.endpoint().to_string(), transport);
        let begun = Instant::now();
        let ended = run(command.args(["--timeout", "300ms"]));
        assert!(begun.elapsed() < Duration::from_millis(1500));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""));
    }
}

/// Waits until a signal does not simply kill it.
fn listens_for_signals(child: &Child) {
    const TERM: u64 = 1 << 14;

    let status = format!("/proc/{}/status", child.id());
    if !Path::new(&status).exists() {
        // Without /proc nothing tells, and a program is long up by then.
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
