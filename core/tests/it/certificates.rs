//! How [`read_pem_certificates`] reads root certificates, and what it refuses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshconnect_auth_core::{ErrorKind, read_pem_certificates};

const ONE: &str = "-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----\n";
const TWO: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQI=\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

/// Returns the last byte of each certificate, which is its number, or the error.
fn read(pem: &[u8]) -> Result<Vec<u8>, String> {
    let mut numbers = Vec::new();
    let add = |der: &[u8]| {
        let number = *der.last().unwrap();
        numbers.push(number);
        if number == 9 {
            Err("refused by the test")
        } else {
            Ok(())
        }
    };
    match read_pem_certificates(pem, add) {
        Ok(()) => Ok(numbers),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Configuration);
            Err(error.to_string())
        }
    }
}

/// Returns `der` as the only certificate of a PEM.
fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
}

#[test]
fn reads_every_certificate() {
    let old_name = ONE.replace("CERTIFICATE", "X509 CERTIFICATE");
    let indented = format!("  ca: |\n    {}", ONE.replace('\n', "\n    \t"));
    let long = format!(
        "-----BEGIN CERTIFICATE-----\nMIGA{}AAI=\n-----END CERTIFICATE-----",
        "A".repeat(168)
    );
    for (name, pem, expected) in [
        ("one", ONE.to_owned(), &[1][..]),
        ("two", format!("{ONE}{TWO}"), &[1, 2]),
        ("byte order mark", format!("\u{feff}{ONE}{TWO}"), &[1, 2]),
        (
            "byte order mark of a second file",
            format!("{ONE}\u{feff}{TWO}"),
            &[1, 2],
        ),
        ("CRLF", format!("{ONE}{TWO}").replace('\n', "\r\n"), &[1, 2]),
        ("CR", format!("{ONE}{TWO}").replace('\n', "\r"), &[1, 2]),
        ("indentation", format!("{indented}\n{TWO}"), &[1, 2]),
        (
            "blank lines",
            format!("{ONE}{TWO}").replace('\n', "\n\n"),
            &[1, 2],
        ),
        (
            "no last line ending",
            format!("{ONE}{}", TWO.trim_end()),
            &[1, 2],
        ),
        ("white space behind", ONE.replace('\n', " \t\n"), &[1]),
        ("OpenSSL's old name", old_name, &[1]),
        (
            "text around",
            format!(
                "Company CA\n=====\n---- begin of list ----\nBEGIN CERTIFICATE\n{ONE}Issuer: CN=b\n{TWO}-- end --"
            ),
            &[1, 2],
        ),
        (
            "a length of two bytes",
            pem(&[&[0x30, 0x82, 1, 0], &[3; 256][..]].concat()),
            &[3],
        ),
        ("a longer length", long, &[2]),
    ] {
        assert_eq!(read(pem.as_bytes()).as_deref(), Ok(expected), "{name}");
    }
    let latin = [b"Autorit\xE9\n", ONE.as_bytes()].concat();
    assert_eq!(read(&latin), Ok(vec![1]));
}

#[test]
fn refuses_other_blocks() {
    let trusted = TWO.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
    refuse_all([
        ("empty", String::new(), "contain no certificate"),
        ("no PEM", "c2VjcmV0".to_owned(), "contain no certificate"),
        (
            "UTF-16 after UTF-8",
            ONE.chars()
                .fold(ONE.to_owned(), |pem, c| pem + &format!("{c}\0")),
            "contain a NUL byte, as UTF-16 does",
        ),
        (
            "a key first",
            format!("{KEY}{ONE}"),
            "block 1 (line 1) is a private key",
        ),
        (
            "a key last",
            format!("{ONE}{KEY}"),
            "block 2 (line 5) is a private key",
        ),
        (
            "an EC key",
            format!("{ONE}{}", KEY.replace("PRIVATE", "EC PRIVATE")),
            "is a private key",
        ),
        (
            "a trusted certificate",
            format!("{ONE}{trusted}"),
            "block 2 (line 5) is a trusted certificate",
        ),
        (
            "PKCS #7",
            ONE.replace("CERTIFICATE", "PKCS7"),
            "block 1 (line 1) is not a certificate",
        ),
        (
            "a request",
            ONE.replace("CERTIFICATE", "CERTIFICATE REQUEST"),
            "is not a certificate",
        ),
    ]);
}

#[test]
fn refuses_misplaced_markers() {
    let joined = format!("{}{TWO}", ONE.trim_end());
    let escaped = format!("{KEY}{ONE}").replace('\n', "\\n");
    refuse_all([
        (
            "joined",
            joined,
            "block 1 (line 1) has a BEGIN or END in line 4",
        ),
        (
            "one line with escapes",
            escaped,
            "in line 1 is not a line of its own",
        ),
        (
            "a prefix",
            format!("{ONE}ca: {TWO}"),
            "in line 5 is not a line of its own",
        ),
        ("a quote", format!("\"{ONE}\""), "in line 1 is not"),
        (
            "a comment sign",
            format!("{ONE}{}", TWO.replace("-----", "# -----")),
            "in line 5",
        ),
        (
            "nested",
            ONE.replace("MAMC\n", &format!("MAMC\n{TWO}")),
            "has no END line before the next",
        ),
        (
            "no end",
            format!("{ONE}{}", TWO.replace("-----END CERTIFICATE-----\n", "")),
            "block 2 (line 5) is cut off",
        ),
        (
            "no begin",
            format!("{ONE}{}", TWO.replace("-----BEGIN CERTIFICATE-----\n", "")),
            "END in line 6 has no BEGIN",
        ),
        (
            "another end",
            ONE.replace("END CERTIFICATE", "END PRIVATE KEY"),
            "ends as another kind",
        ),
        (
            "four dashes at the end",
            ONE.replace("-----END", "----END"),
            "in line 4",
        ),
        ("four dashes", ONE.replace("-----", "----"), "in line 1"),
        (
            "typographic dashes",
            ONE.replace("-----", "\u{2013}\u{2013}"),
            "in line 1",
        ),
        ("lower case", ONE.to_lowercase(), "in line 1"),
    ]);
}

#[test]
fn refuses_broken_contents() {
    refuse_all([
        (
            "no base64",
            ONE.replace("MAMC", "MA!C"),
            "block 1 (line 1) is not valid base64",
        ),
        (
            "a header",
            ONE.replace("MAMC", "Proc-Type: 4\n\nMAMC"),
            "is not valid base64",
        ),
        (
            "a lost line",
            format!("{TWO}{}", ONE.replace("MAMC\n", "")),
            "block 2 (line 4) is not one whole",
        ),
        (
            "half a line",
            ONE.replace("AQE=", ""),
            "is not one whole DER",
        ),
        (
            "nothing in it",
            ONE.replace("MAMC\nAQE=", ""),
            "is not one whole DER",
        ),
        (
            "too much",
            ONE.replace("MAMC\nAQE=", "MAMCAQEC"),
            "is not one whole DER",
        ),
        (
            "an indefinite length",
            pem(&[&[0x30, 0x80], &[3; 128][..]].concat()),
            "is not one whole DER",
        ),
        (
            "a length without end",
            ONE.replace("MAMC\nAQE=", "MIA="),
            "is not one whole DER",
        ),
        (
            "refused",
            format!("{ONE}{}", TWO.replace("MAMCAQI=", "MAMCAQk=")),
            "block 2 (line 5) cannot be read: refused by the test",
        ),
    ]);
}

fn refuse_all<const N: usize>(cases: [(&str, String, &str); N]) {
    for (name, pem, text) in cases {
        let error = read(pem.as_bytes()).expect_err(name);
        assert!(error.contains(text), "{name}: {error}");
        for quoted in ["c2VjcmV0", "MAMC", "Proc", "REQUEST", "99, 50"] {
            assert!(!error.contains(quoted), "{name} quotes its input: {error}");
        }
    }
}
