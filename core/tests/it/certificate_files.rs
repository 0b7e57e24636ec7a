//! How [`CertificateFiles`] finds and reads the platform's certificates: files as data, no file system.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use meshconnect_auth_core::{CertificateFiles, TransportError, TransportErrorKind};

const ONE: &str = "-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----\n";
const TWO: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQI=\n-----END CERTIFICATE-----\n";
const REFUSED: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQk=\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

const EMFILE: i32 = 24;
const EACCES: i32 = 13;
const EIO: i32 = 5;

/// The content of a file, or the number of the error that reading it causes.
type Content = Result<Vec<u8>, i32>;

/// Returns the last byte of each certificate, which is its number, with what was not read.
fn read(
    variables: &[(&str, &str)],
    files: &[(&str, Content)],
) -> Result<(Vec<u8>, Option<String>), TransportError> {
    let files: BTreeMap<_, _> = files.iter().cloned().collect();
    let variable = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name)?;
        Some(OsString::from(found.1))
    };
    let places = CertificateFiles::locate(variable, || {
        (Some("/default/ca.pem".into()), vec!["/default/dir".into()])
    });
    let error = |path: &Path| match files.get(path.to_str().unwrap()) {
        Some(Err(code)) => io::Error::from_raw_os_error(*code),
        _ => io::Error::from_raw_os_error(2),
    };
    let list = |directory: &Path| {
        let within: Vec<_> = files
            .keys()
            .map(PathBuf::from)
            .filter(|path| path.parent() == Some(directory))
            .collect();
        if within.is_empty() {
            return Err(error(directory));
        }
        Ok(within)
    };
    let open = |path: &Path| match files.get(path.to_str().unwrap()) {
        Some(Ok(content)) => Ok(content.clone()),
        _ => Err(error(path)),
    };
    let mut numbers = Vec::new();
    let unread = places.read(list, open, |der| {
        let number = *der.last().unwrap();
        if number == 9 {
            return Err("refused by the test");
        }
        numbers.push(number);
        Ok(())
    })?;
    Ok((numbers, unread))
}

fn content(text: impl AsRef<[u8]>) -> Content {
    Ok(text.as_ref().to_vec())
}

#[test]
fn reads_every_certificate_of_a_bundle_that_can_be_read() {
    let joined = format!("{}{TWO}", ONE.trim_end());
    let torn = format!("{ONE}{TWO}{}", &ONE[..40]);
    let lost_end = TWO.replace("-----END CERTIFICATE-----\n", "");
    let many = REFUSED.repeat(9);
    for (name, pem, expected, unread) in [
        ("two", format!("{ONE}{TWO}"), &[1, 2][..], &[][..]),
        ("repeated", format!("{ONE}{TWO}{ONE}"), &[1, 2], &[]),
        (
            "byte order mark",
            format!("\u{feff}{ONE}{TWO}"),
            &[1, 2],
            &[],
        ),
        ("joined", joined, &[1, 2], &[]),
        (
            "torn",
            torn,
            &[1, 2],
            &["/ca.pem: block 3 (line 8) is cut off"],
        ),
        (
            "a block without an end",
            format!("{lost_end}{ONE}"),
            &[1],
            &["block 1 (line 1) has no END line before the next"],
        ),
        (
            "no base64",
            format!("{}{TWO}", ONE.replace("MAMC", "MA!C")),
            &[2],
            &["block 1 (line 1) is not valid base64"],
        ),
        (
            "refused",
            format!("{REFUSED}{TWO}"),
            &[2],
            &["block 1 (line 1) cannot be read: refused by the test"],
        ),
        (
            "other blocks",
            format!("{KEY}{ONE}{}{TWO}", ONE.replace("CERT", "TRUSTED CERT")),
            &[1, 2],
            &[
                "block 1 (line 1) is a private key",
                "is a trusted certificate",
            ],
        ),
        (
            "a prefix",
            format!("ca: {ONE}{TWO}"),
            &[2],
            &["in line 1 is not a line of its own"],
        ),
        (
            "a NUL byte",
            format!("{ONE}\0\n{TWO}"),
            &[1, 2],
            &["contain a NUL byte"],
        ),
        (
            "many faults",
            format!("{many}{TWO}"),
            &[2],
            &["block 3 (line 7) cannot be read: refused by the test; and more"],
        ),
    ] {
        let variables = [("SSL_CERT_FILE", "/ca.pem")];
        let (numbers, words) = read(&variables, &[("/ca.pem", content(&pem))]).expect(name);
        assert_eq!(numbers, expected, "{name}");
        let words = words.unwrap_or_default();
        assert_eq!(words.is_empty(), unread.is_empty(), "{name}: {words}");
        for part in unread {
            assert!(words.contains(part), "{name}: {words}");
        }
        assert_quotes_nothing(name, &words);
    }
}

#[test]
fn looks_where_the_variables_say() {
    let files = [
        ("/default/ca.pem", content(ONE)),
        ("/default/dir/a", content(TWO)),
        (
            "/set/ca.pem",
            content("-----BEGIN CERTIFICATE-----\nMAMCAQM=\n-----END CERTIFICATE-----"),
        ),
        (
            "/a/one",
            content("-----BEGIN CERTIFICATE-----\nMAMCAQQ=\n-----END CERTIFICATE-----"),
        ),
        (
            "/b/one",
            content("-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----"),
        ),
        ("/b/readme", content("no certificate")),
    ];
    for (file, directories, expected) in [
        ("", "", &[1, 2][..]),
        ("/set/ca.pem", "", &[3]),
        ("", "/a", &[4]),
        ("", "/a:/b", &[4, 5]),
        ("", ":/b:", &[5]),
        ("/set/ca.pem", "/a:/nowhere", &[4, 3]),
        // OpenSSL, too, uses what there is.
        ("/nowhere", "/a", &[4]),
    ] {
        let set = [("SSL_CERT_FILE", file), ("SSL_CERT_DIR", directories)];
        let (numbers, unread) = read(&set, &files).unwrap();
        assert_eq!(numbers, expected, "{set:?}");
        let missing = file == "/nowhere" || directories.contains("/nowhere");
        assert_eq!(unread.is_some(), missing, "{set:?}: {unread:?}");
    }
}

#[test]
fn tells_what_keeps_certificates_from_being_read() {
    use TransportErrorKind::{Certificate, Client};
    let file = ("SSL_CERT_FILE", "/ca.pem");
    let directory = ("SSL_CERT_DIR", "/dir");
    for (name, variable, files, kind, text) in [
        (
            "descriptors",
            file,
            vec![("/ca.pem", Err(EMFILE))],
            Client,
            "Too many open files (os error 24); while reading /ca.pem",
        ),
        (
            "descriptors, after a certificate was read",
            directory,
            vec![("/dir/a", content(ONE)), ("/dir/b", Err(EMFILE))],
            Client,
            "Too many open files (os error 24); while reading /dir/b",
        ),
        (
            "descriptors for the directory",
            directory,
            vec![("/dir", Err(EMFILE))],
            Client,
            "Too many open files (os error 24); while reading /dir",
        ),
        (
            "permission",
            file,
            vec![("/ca.pem", Err(EACCES))],
            Client,
            "/ca.pem: Permission denied",
        ),
        (
            "a broken disk",
            directory,
            vec![("/dir", Err(EIO))],
            Client,
            "/dir: Input/output error",
        ),
        (
            "a missing file",
            file,
            vec![],
            Certificate,
            "no CA certificate was found in /ca.pem: /ca.pem: No such file or directory",
        ),
        (
            "an empty file",
            file,
            vec![("/ca.pem", content(""))],
            Certificate,
            "no CA certificate was found in /ca.pem",
        ),
        (
            "a file of another kind",
            file,
            vec![("/ca.pem", content(KEY))],
            Certificate,
            "/ca.pem: block 1 (line 1) is a private key",
        ),
        (
            "the defaults",
            ("", ""),
            vec![],
            Certificate,
            "in /default/ca.pem /default/dir",
        ),
    ] {
        let error = read(&[variable], &files).expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        let error = error.to_string();
        assert!(error.contains(text), "{name}: {error}");
        assert_quotes_nothing(name, &error);
    }
    // A readable certificate is no outage for an unreadable one.
    let files = [("/dir/a", content(ONE)), ("/dir/b", Err(EACCES))];
    let (numbers, unread) = read(&[directory], &files).unwrap();
    assert_eq!(numbers, [1]);
    assert!(unread.unwrap().contains("/dir/b: Permission denied"));
}

#[test]
fn finds_exhausted_resources_in_the_chain() {
    let os = io::Error::from_raw_os_error;
    for (error, exhausted) in [
        (os(EMFILE), true),
        (os(23), true),
        (os(12), true),
        (os(11), true),
        (io::Error::other(io::Error::other(os(EMFILE))), true),
        (io::ErrorKind::OutOfMemory.into(), true),
        // Only the operating system's own code counts: a time-out has this kind, too.
        (io::ErrorKind::WouldBlock.into(), false),
        (os(EACCES), false),
        (os(111), false),
        (io::Error::other("Too many open files"), false),
    ] {
        let found = TransportError::exhausted(&error);
        assert_eq!(found.is_some(), exhausted, "{error}");
        if let Some(found) = found {
            assert_eq!(found.kind(), TransportErrorKind::Client);
            assert_eq!(found.to_string(), error.to_string());
        }
    }
}

fn assert_quotes_nothing(name: &str, words: &str) {
    for quoted in ["c2VjcmV0", "MAMC", "MA!C"] {
        assert!(!words.contains(quoted), "{name} quotes its input: {words}");
    }
}
