//! Measures the number of packages, the size of programs and the time of builds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::programs::{self, HERE};
use crate::rounds::show;

pub fn table() {
    packages();
    sizes();
    builds();
}

fn packages() {
    println!("## Packages in `cargo tree -e normal`, the crate itself included\n");
    println!("| what | packages | at most |\n|---|--:|--:|");
    let trees: [(&str, &[&str], &str); 4] = [
        (
            "meshconnect-auth-core",
            &["-p", "meshconnect-auth-core"],
            "20",
        ),
        (
            "the same with `shared`",
            &["-p", "meshconnect-auth-core", "--features", "shared"],
            "",
        ),
        ("meshconnect-auth, async", &["--features", "async"], "100"),
        (
            "meshconnect-auth, blocking",
            &["--features", "blocking"],
            "45",
        ),
    ];
    for (what, arguments, goal) in trees {
        let mut tree = programs::cargo();
        tree.current_dir(Path::new(HERE).join("../.."));
        tree.args([
            "tree",
            "--locked",
            "-e",
            "normal",
            "--prefix",
            "none",
            "--no-dedupe",
        ]);
        tree.arg("--no-default-features").args(arguments);
        let output = tree.output().unwrap();
        assert!(output.status.success(), "cargo tree failed for {what}");
        let output = String::from_utf8(output.stdout).unwrap();
        let packages: BTreeSet<&str> = output.lines().filter(|line| !line.is_empty()).collect();
        println!("| {what} | {} | {goal} |", packages.len());
    }
    println!();
}

fn sizes() {
    println!("## Size of a stripped program with fat LTO\n");
    println!("| program | size | at most |\n|---|--:|--:|");
    let programs = [
        ("token-async", "3.3 MB"),
        ("bare-reqwest", ""),
        ("token-blocking", "2.6 MB"),
        ("bare-ureq", ""),
    ];
    for (program, goal) in programs {
        let built = programs::build_in(&programs::target(), "weight", program);
        let size = fs::metadata(built).unwrap().len() as f64 / 1e6;
        println!("| {program} | {size:.2} MB | {goal} |");
    }
    println!();
}

fn builds() {
    println!("## Cold `cargo build --release`\n");
    println!("| program | time | ours / bare |\n|---|--:|--:|");
    for (ours, bare) in [
        ("token-async", "bare-reqwest"),
        ("token-blocking", "bare-ureq"),
    ] {
        // The first build reads sources from disk that the second finds in the page cache, so the
        // bare program goes first.
        let [bare_time, our_time] = [bare, ours].map(|program| {
            let target = programs::target().join("cold");
            let _ = fs::remove_dir_all(&target);
            let start = Instant::now();
            programs::build_in(&target, "release", program);
            let time = start.elapsed().as_secs_f64();
            fs::remove_dir_all(&target).unwrap();
            time
        });
        let ratio = our_time / bare_time;
        println!("| {ours} | {} | {ratio:.2} |", show(our_time));
        println!("| {bare} | {} | |", show(bare_time));
    }
    println!();
}
