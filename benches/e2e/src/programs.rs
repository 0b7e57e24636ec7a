//! The small programs of this workspace, each built separately so that Cargo does not unify their
//! features.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The directory of this package.
pub const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Returns a Cargo command in this package's directory.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(HERE).stdin(Stdio::null());
    cargo
}

/// Builds a program with a profile into a directory, and returns its path.
pub fn build_in(target: &Path, profile: &str, program: &str) -> PathBuf {
    let mut cargo = cargo();
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "--profile",
        profile,
        "-p",
        program,
    ]);
    cargo.arg("--target-dir").arg(target);
    assert!(
        cargo.status().unwrap().success(),
        "{program} does not build"
    );
    target.join(profile).join(program)
}

/// Builds a program with the `release` profile.
pub fn build(program: &str) -> PathBuf {
    build_in(&target(), "release", program)
}

/// Returns the target directory of this program.
pub fn target() -> PathBuf {
    let own = env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().to_owned()
}

/// Returns a command without environment variables such as proxies, except `PATH`.
pub fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    if let Some(path) = env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}
