//! The program `meshconnect-auth`: prints tokens for scripts and serves an emulator of the token
//! endpoint.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
