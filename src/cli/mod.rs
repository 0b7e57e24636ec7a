//! The command line over the library: arguments in, an exit code out.
//!
//! stdout carries the token and nothing else; everything for people goes to stderr. No subscriber
//! for logs is installed: at their finest level the HTTP clients log what they send.

mod args;
mod credentials;
mod emulator;
mod environment;
mod failure;
mod output;
mod secret_file;
mod stop;
mod token;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::panic;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ContextValue;
use tokio::runtime::{self, Runtime};

use self::args::{Args, Command};
use self::failure::Failure;
use self::stop::Signals;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let outcome = match Args::try_parse() {
        Ok(args) => execute(args.command),
        Err(message) => return print_usage(message),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(format_args!("error: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    let runtime = start_runtime()?;
    let outcome = runtime.block_on(run(command));
    // After a signal a thread may still hang in a request or a read; the process takes it along.
    runtime.shutdown_background();
    outcome
}

fn start_runtime() -> Result<Runtime, Failure> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Setup(format!("tokio cannot be started: {error}")))
}

async fn run(command: Command) -> Result<(), Failure> {
    let mut signals = Signals::listen()
        .map_err(|error| Failure::Setup(format!("signals cannot be listened for: {error}")))?;
    match command {
        Command::Token(args) => unless_stopped(&mut signals, token::run(args)).await,
        Command::Emulator(args) => {
            let emulator = unless_stopped(&mut signals, emulator::start(args)).await?;
            // To be stopped is how an emulator ends, and no failure.
            signals.next().await;
            drop(emulator);
            Ok(())
        }
    }
}

async fn unless_stopped<T>(
    signals: &mut Signals,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        // What is done is done: a signal that comes with the end changes nothing.
        biased;
        outcome = work => outcome,
        stop = signals.next() => Err(Failure::Stopped(stop)),
    }
}

/// Runs what may block on a thread of its own, so that nothing keeps a signal waiting.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => panic::resume_unwind(error.into_panic()),
    }
}

/// Shows what clap has to say: help on stdout, a mistake on stderr. It repeats arguments, which may
/// hold what forges a line or drives a terminal.
fn print_usage(mut message: clap::Error) -> ExitCode {
    let escaped = |text: &String| text.escape_debug().to_string();
    let repeated: Vec<_> = message
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(escaped(text)))),
            ContextValue::Strings(texts) => {
                let texts = texts.iter().map(escaped).collect();
                Some((kind, ContextValue::Strings(texts)))
            }
            _ => None,
        })
        .collect();
    for (kind, value) in repeated {
        message.insert(kind, value);
    }
    match message.print() {
        Ok(()) => ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(Failure::USAGE)),
        Err(error) => {
            let failure = Failure::Output(error);
            tell(format_args!("error: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Tells people something. Where stderr is closed, nobody wants to know.
fn tell(message: impl Display) {
    let _ = io::stderr().write_all(format!("{message}\n").as_bytes());
}
