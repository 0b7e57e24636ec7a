//! The integration tests, as one binary: `cargo test --test it hostile::` runs one topic.
//!
//! All of them share a process. A test that changes or measures what belongs to the process runs in
//! one of its own; see [`support::process`].

#![allow(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::format_collect,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "a test fails by panicking, prints what it skips or measures, and its tables are long"
)]

#[macro_use]
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each set of features compiles other tests, which use other helpers"
)]
mod support;

#[cfg(all(feature = "async", feature = "blocking"))]
mod allocations;
#[cfg(all(
    feature = "async",
    feature = "blocking",
    feature = "emulator",
    feature = "webpki-roots"
))]
mod behaviour;
#[cfg(feature = "cli")]
mod cli;
#[cfg(all(feature = "cli", unix))]
mod cli_faults;
#[cfg(all(feature = "async", feature = "blocking", feature = "emulator"))]
mod clocks;
#[cfg(feature = "emulator")]
mod emulator_corpus;
#[cfg(all(feature = "cli", feature = "webpki-roots", unix))]
mod environment;
#[cfg(all(feature = "async", feature = "blocking", feature = "webpki-roots"))]
mod faults;
#[cfg(feature = "emulator")]
mod fleet;
#[cfg(all(feature = "async", feature = "blocking", feature = "webpki-roots"))]
mod growth;
#[cfg(all(
    feature = "async",
    feature = "blocking",
    feature = "emulator",
    feature = "webpki-roots"
))]
mod hostile;
#[cfg(all(
    feature = "async",
    feature = "blocking",
    feature = "emulator",
    feature = "webpki-roots"
))]
mod lifecycle;
#[cfg(all(feature = "async", feature = "blocking"))]
mod live;
#[cfg(all(
    feature = "async",
    feature = "blocking",
    feature = "emulator",
    feature = "tracing",
    feature = "webpki-roots"
))]
mod secrets;
#[cfg(all(
    feature = "async",
    feature = "blocking",
    feature = "emulator",
    feature = "tracing",
    feature = "webpki-roots"
))]
mod tracing;
