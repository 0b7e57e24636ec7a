//! The program `meshconnect-auth`: a token for a script, and an emulator to try it against.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
