//! Integration tests, in one binary. `cargo test --test it hostile::` runs one module.
//!
//! All tests share one process. A test that changes or measures process-wide state runs in a
//! process of its own; see [`support::process`].

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
    reason = "tests panic on failure, print measurements and skips, and contain long tables"
)]

#[macro_use]
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the enabled features decide which tests, and so which helpers, are compiled"
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
#[cfg(all(feature = "cli", feature = "webpki-roots"))]
mod proxies;
#[cfg(all(feature = "async", feature = "blocking", target_os = "linux"))]
mod resources;
#[cfg(all(feature = "async", feature = "emulator"))]
mod runtimes;
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
#[cfg(all(
    feature = "async",
    feature = "blocking",
    feature = "webpki-roots",
    unix
))]
mod trust;
