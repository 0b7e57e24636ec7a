//! The command line of the program: arguments in, an exit code out.
//!
//! stdout carries only the token; every message goes to stderr. The program installs no log
//! subscriber, because at `TRACE` the HTTP clients log what they send.

mod args;
mod credentials;
mod emulator;
mod environment;
mod failure;
mod output;
mod runtime;
mod secret_file;
mod stop;
mod token;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ContextValue;

use self::args::{Args, Command};
use self::failure::Failure;
use self::output::print_message;
use self::runtime::start_runtime;
use self::stop::Signals;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let outcome = match Args::try_parse() {
        Ok(args) => execute(args.command),
        Err(message) => return print_usage(message),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    let runtime = start_runtime()?;
    let outcome = runtime.block_on(run(command));
    // After a signal, a thread may still block in a request or a read; do not wait for it.
    runtime.shutdown_background();
    outcome
}

async fn run(command: Command) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(|error| {
        Failure::Setup(format!(
            "listening for signals failed: {error}; check the limit on open files"
        ))
    })?;
    match command {
        Command::Token(args) => unless_stopped(&mut signals, token::run(args)).await,
        Command::Emulator(args) => {
            let emulator = unless_stopped(&mut signals, emulator::start(args)).await?;
            // A signal is the normal end of an emulator.
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
        // A signal that arrives together with the outcome does not discard it.
        biased;
        outcome = work => outcome,
        stop = signals.next() => Err(Failure::Stopped(stop)),
    }
}

/// Prints clap's help to stdout or its error to stderr.
///
/// Arguments in an error are escaped, because they may contain line breaks or terminal sequences.
fn print_usage(mut message: clap::Error) -> ExitCode {
    let escaped = |text: &String| text.escape_debug().to_string();
    let arguments: Vec<_> = message
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
    for (kind, value) in arguments {
        message.insert(kind, value);
    }
    match message.print() {
        Ok(()) => ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(Failure::USAGE)),
        Err(error) => fail(&Failure::Output(error)),
    }
}

/// Prints a failure to stderr, and returns its exit code.
fn fail(failure: &Failure) -> ExitCode {
    print_message(format_args!("error: {failure}"));
    ExitCode::from(failure.exit_code())
}
