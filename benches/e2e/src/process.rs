//! From the start of a process to a token on its standard output, and its end.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::programs;
use crate::rounds::{Row, measure};
use crate::server::{self, Ca, TOKEN};

/// Where Linux distributions keep the CAs that the platform trusts.
const BUNDLES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

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
    let one = ca.file("one.pem", "");
    let platform = BUNDLES
        .iter()
        .find_map(|path| fs::read_to_string(path).ok());
    let many = platform.map(|platform| ca.file("many.pem", &platform));

    println!("## Process start to token: {rounds} rounds\n");
    println!(
        "| server | program | median | middle half | beside token-async | beside token-blocking |\n\
         |---|---|--:|--:|--:|--:|"
    );
    let mut servers = vec![
        ("http", server::http(), &one),
        ("https, one CA", server::https(&ca), &one),
    ];
    if let Some(many) = &many {
        servers.push((
            "https, the platform's CAs and one",
            server::https(&ca),
            many,
        ));
    }
    for (server, url, file) in &servers {
        let mut rows: Vec<Row<'_>> = built
            .iter()
            .map(|(name, program)| {
                let mut command = programs::clean(program);
                command.env("SSL_CERT_FILE", &file.0).arg(url);
                row(name, command)
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
            println!(
                "| {server} | {} | {cells} | {one:.2} | {two:.2} |",
                row.name
            );
        }
    }
    if !curl {
        println!("\ncurl: skipped, it is not there");
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
