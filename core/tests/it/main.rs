//! The integration tests, as one binary: `cargo test --test it golden::` runs one topic.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::print_stderr,
    clippy::unchecked_time_subtraction,
    clippy::unnecessary_wraps,
    clippy::unwrap_used,
    reason = "a test fails by panicking, reads files, starts threads and reads the clock"
)]

#[cfg(target_os = "linux")]
mod certificate_files;
mod certificates;
mod config;
mod corpus;
mod dependencies;
mod endpoint;
mod error;
mod golden;
mod graph;
mod hints;
mod json_suite;
mod mask;
mod model;
#[cfg(feature = "tracing")]
mod process;
mod properties;
mod proxy;
mod rejections;
mod retry_after;
mod scenarios;
mod secrets;
#[cfg(feature = "shared")]
mod shared;
#[cfg(feature = "shared")]
mod stress;
mod token;
#[cfg(feature = "tracing")]
mod tracing;
mod values;
mod wire;
