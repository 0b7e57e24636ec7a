//! The small programs beside this one, each built on its own so that no other's features get in.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// This package's directory.
pub const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Cargo, in this package's directory, silent but for errors.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(HERE).stdin(Stdio::null());
    cargo
}

/// Builds a program in a profile into a directory; gives its path.
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

/// Builds a program as this one was built.
pub fn build(program: &str) -> PathBuf {
    build_in(&target(), "release", program)
}

/// Where this program was built.
pub fn target() -> PathBuf {
    let own = env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().to_owned()
}

/// A command with nothing in its environment that could attempt it elsewhere, such as a proxy.
pub fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    if let Some(path) = env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}
