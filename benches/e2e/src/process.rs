//! Measures from the start of a process to its exit with a token on its standard output.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::programs;
use crate::rounds::{Row, measure};
use crate::server::{self, Ca, CaFile, Server, TOKEN};

const BODY: &str = r#"{"clientId":"id","clientSecret":"secret"}"#;

pub fn table(rounds: usize) {
    let names = [
        "token-async",
        "token-blocking",
        "bare-reqwest",
        "bare-ureq",
        "gca",
    ];
    let built = names.map(|name| (name, programs::build(name)));
    let curl = Command::new("curl").arg("--version").output().is_ok();
    let ca = Ca::new();
    let one = CaFile::new("one.pem");
    ca.write(&one.0, "");
    let many = server::platform().map(|platform| {
        let many = CaFile::new("many.pem");
        ca.write(&many.0, &platform);
        many
    });

    println!("## Process start to token: {rounds} rounds\n");
    println!(
        "| server | program | median | middle half | relative to token-async | relative to token-blocking |\n\
         |---|---|--:|--:|--:|--:|"
    );
    let mut servers = vec![
        ("http", Server::http(), &one),
        ("https, one CA", Server::https(&ca), &one),
    ];
    if let Some(many) = &many {
        servers.push((
            "https, the platform's CAs and one",
            Server::https(&ca),
            many,
        ));
    }
    for (name, server, file) in &servers {
        let url = &server.url;
        let mut rows: Vec<Row<'_>> = built
            .iter()
            .map(|(program, path)| {
                let mut command = programs::clean(path);
                command.env("SSL_CERT_FILE", &file.0).arg(url);
                row(program, command)
            })
            .collect();
        if curl {
            let mut command = programs::clean(Path::new("curl"));
            command.args(["--silent", "--show-error", "--fail", "--cacert"]);
            command.arg(&file.0).args(["--data-binary", BODY]);
            command.args(["--header", "content-type: application/json"]);
            command.args(["--header", "accept: application/json"]);
            command.arg(format!("{url}/admin/api/v1/Token"));
            rows.push(row("curl", command));
        }
        let times = measure(&mut rows, rounds);
        for (row, times_of) in rows.iter().zip(&times) {
            let [one, two] = [0, 1].map(|ours| times_of.median() / times[ours].median());
            let cells = times_of.cells();
            println!("| {name} | {} | {cells} | {one:.2} | {two:.2} |", row.name);
        }
    }
    if !curl {
        println!("\ncurl: skipped, not installed");
    }
    if many.is_none() {
        println!("\nthe platform's CAs: skipped, there is no bundle");
    }
    println!();
}

fn row(name: &'static str, mut command: Command) -> Row<'static> {
    Row::new(name, move || {
        let start = Instant::now();
        let output = command.output().unwrap();
        let time = start.elapsed();
        let (text, errors) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(text.contains(TOKEN), "{name} printed no token: {errors}");
        time
    })
}
