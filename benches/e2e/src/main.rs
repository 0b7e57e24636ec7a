//! Prints the tables `exchange`, `construction`, `process` and `weight`, or one of them. See
//! README.md.

mod construction;
mod exchange;
mod process;
mod programs;
mod rounds;
mod server;
mod weight;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let rounds = |default| match arguments.get(1) {
        None => Some(default),
        Some(rounds) => rounds.parse().ok().filter(|rounds| *rounds > 0),
    };
    match (arguments.as_slice(), rounds(500), rounds(50)) {
        ([], ..) => {
            exchange::table(500);
            construction::table(50);
            process::table(50);
            weight::table();
        }
        (["exchange"] | ["exchange", _], Some(rounds), _) => exchange::table(rounds),
        (["construction"] | ["construction", _], _, Some(rounds)) => construction::table(rounds),
        (["process"] | ["process", _], _, Some(rounds)) => process::table(rounds),
        (["weight"], ..) => weight::table(),
        // The child processes of `exchange` and `construction`.
        (["exchange-child", _], Some(rounds), _) => exchange::child(rounds),
        (["construct", which], ..) => construction::child(which),
        (["traced", which], ..) => construction::traced(which),
        _ => {
            eprintln!(
                "usage: meshconnect-auth-e2e \
                 [exchange [ROUNDS] | construction [ROUNDS] | process [ROUNDS] | weight]"
            );
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
