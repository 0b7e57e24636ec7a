//! Reads every root certificate in a PEM, or refuses the PEM.

use std::convert::Infallible;
use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use crate::error::Error;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Passes every certificate in `pem` to `add` as DER. `add` returns an error if it cannot use one.
///
/// A byte order mark, LF or CRLF, or only CR, indentation, and text around the blocks are accepted.
///
/// # Errors
///
/// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration), with the number and the line of
/// the block that cannot be used, and why: a private key, a trusted certificate of OpenSSL or any
/// other block that is not a certificate; a block that is cut off, or whose `BEGIN` or `END` is not
/// a line of its own; a certificate that `add` refuses; a PEM with a NUL byte, as in UTF-16; a PEM without
/// a certificate. No error quotes the input, unless one of `add` does.
///
/// ```
/// # use meshconnect_auth_core::read_pem_certificates;
/// let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
/// let mut found = Vec::new();
/// read_pem_certificates(pem.as_bytes(), |der| Ok::<_, String>(found.push(der.to_vec())))?;
/// assert_eq!(found, [[0x30, 0x00]]);
/// # Ok::<_, meshconnect_auth_core::Error>(())
/// ```
pub fn read_pem_certificates<E: Display>(
    pem: &[u8],
    add: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), Error> {
    let blocks = scan(pem, false, add, |what| Err(refuse(&what)))?;
    if blocks == 0 {
        return Err(Error::configuration(
            "the root certificates contain no certificate (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(())
}

/// Passes the certificate in `der` to `add`, which returns an error if it cannot use it.
///
/// # Errors
///
/// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if `add` fails.
///
/// ```
/// # use meshconnect_auth_core::read_der_certificate;
/// let error = read_der_certificate(b"none", |_| Err("no X.509")).unwrap_err();
/// assert!(error.to_string().contains("cannot be read: no X.509"));
/// ```
pub fn read_der_certificate<E: Display>(
    der: &[u8],
    add: impl FnOnce(&[u8]) -> Result<(), E>,
) -> Result<(), Error> {
    add(der).map_err(|error| {
        Error::configuration(format!(
            "the root certificate cannot be read: {error}; pass one X.509 certificate in DER"
        ))
    })
}

/// Passes every certificate in `pem` that can be read to `add` as DER, and describes the rest to
/// `problem` without quoting it. Other kinds of blocks are skipped, and blocks that are joined in one
/// line are separated.
pub(super) fn read_what_can_be_read<E: Display>(
    pem: &[u8],
    add: impl FnMut(&[u8]) -> Result<(), E>,
    mut problem: impl FnMut(String),
) -> usize {
    let problem = |what| {
        problem(what);
        Ok::<_, Infallible>(())
    };
    let Ok(blocks) = scan(pem, true, add, problem);
    blocks
}

/// Returns the number of blocks. An error of `problem` ends the reading.
fn scan<E: Display, R>(
    pem: &[u8],
    separates: bool,
    mut add: impl FnMut(&[u8]) -> Result<(), E>,
    mut problem: impl FnMut(String) -> Result<(), R>,
) -> Result<usize, R> {
    let mut blocks: usize = 0;
    let mut open: Option<Block> = None;
    if is_one_sequence(pem) {
        problem("they are DER, not PEM".to_owned())?;
    } else if pem.contains(&0) {
        problem("they contain a NUL byte, as UTF-16 does; save them as UTF-8".to_owned())?;
    }
    for (at, line) in numbered_lines(pem, separates) {
        match (Line::read(line), open.take()) {
            (Line::Text(_), None) => {}
            (Line::Text(text), Some(mut block)) => {
                block
                    .base64
                    .extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
                open = Some(block);
            }
            (Line::Begin(label), before) => {
                if let Some(block) = before {
                    problem(block.describe("has no END line before the next BEGIN line"))?;
                }
                blocks = blocks.saturating_add(1);
                let mut block = Block {
                    number: blocks,
                    line: at,
                    base64: Vec::new(),
                    is_certificate: true,
                };
                if let Err(why) = check_label(label) {
                    problem(block.describe(why))?;
                    block.is_certificate = false;
                }
                open = Some(block);
            }
            (Line::End(_), Some(block)) if !block.is_certificate => {}
            (Line::End(label), Some(block)) => {
                let read = match check_label(label) {
                    Err(_) => Err("ends as another kind of block".to_owned()),
                    Ok(()) => block.der().map_err(str::to_owned).and_then(|der| {
                        add(&der).map_err(|error| format!("cannot be read: {error}"))
                    }),
                };
                if let Err(why) = read {
                    problem(block.describe(&why))?;
                }
            }
            (Line::End(_), None) => {
                problem(format!("the END in line {at} has no BEGIN before it"))?;
            }
            (Line::Malformed, Some(block)) => {
                problem(block.describe(&format!(
                    "has a BEGIN or END in line {at} that is not a line of its own"
                )))?;
            }
            (Line::Malformed, None) => {
                problem(format!(
                    "the BEGIN or END in line {at} is not a line of its own, or is misspelled"
                ))?;
            }
        }
    }
    if let Some(block) = open {
        problem(block.describe("is cut off: it has no END line"))?;
    }
    Ok(blocks)
}

/// A certificate while it is read.
struct Block {
    number: usize,
    line: usize,
    base64: Vec<u8>,
    /// Whether it is a certificate. Other blocks are skipped up to their end.
    is_certificate: bool,
}

impl Block {
    fn der(&self) -> Result<Vec<u8>, &'static str> {
        let der = STANDARD
            .decode(&self.base64)
            .map_err(|_| "is not valid base64, or is cut off")?;
        if !is_one_sequence(&der) {
            return Err("is not one whole DER structure");
        }
        Ok(der)
    }

    fn describe(&self, why: &str) -> String {
        format!("block {} (line {}) {why}", self.number, self.line)
    }
}

fn refuse(what: &str) -> Error {
    Error::configuration(format!(
        "the root certificates cannot be used: {what}; give certificates in PEM and nothing else"
    ))
}

/// Refuses every other kind of block: it may be secret or contain certificates.
fn check_label(label: &[u8]) -> Result<(), &'static str> {
    match label {
        // OpenSSL's old name is the second one.
        b"CERTIFICATE" | b"X509 CERTIFICATE" => Ok(()),
        b"TRUSTED CERTIFICATE" => {
            Err("is a trusted certificate of OpenSSL; convert it with `openssl x509 -in FILE`")
        }
        _ if label.ends_with(b"PRIVATE KEY") => Err("is a private key"),
        _ => Err("is not a certificate"),
    }
}

/// Returns whether `der` is exactly one DER sequence.
fn is_one_sequence(der: &[u8]) -> bool {
    let Some((&[0x30, length], rest)) = der.split_first_chunk() else {
        return false;
    };
    if length < 0x80 {
        return rest.len() == usize::from(length);
    }
    let Some((length, rest)) = rest.split_at_checked(usize::from(length & 0x7F)) else {
        return false;
    };
    // Four bytes of length are enough for every certificate.
    length.len() <= 4
        && !length.is_empty()
        && length
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
            == rest.len() as u64
}

/// One line of a PEM.
enum Line<'a> {
    Begin(&'a [u8]),
    End(&'a [u8]),
    /// A misspelled or misplaced `BEGIN` or `END`.
    Malformed,
    Text(&'a [u8]),
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Self {
        // Each of several concatenated files may begin with a byte order mark.
        let line = line.trim_ascii();
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        let line = line.trim_ascii();
        let label = |begin: &[u8]| {
            let label = line.strip_prefix(begin)?.strip_suffix(DASHES)?;
            (!label.contains(&b'-')).then_some(label)
        };
        if let Some(label) = label(BEGIN) {
            Self::Begin(label)
        } else if let Some(label) = label(END) {
            Self::End(label)
        } else if is_malformed(line) {
            Self::Malformed
        } else {
            Self::Text(line)
        }
    }
}

/// Returns whether the line contains a misspelled or misplaced `BEGIN` or `END`.
fn is_malformed(line: &[u8]) -> bool {
    if [&b"-----BEGIN"[..], b"-----END"]
        .iter()
        .any(|marker| memmem::find(line, marker).is_some())
    {
        return true;
    }
    // Too few dashes, typographic ones, or lower case.
    let line = String::from_utf8_lossy(line).to_ascii_uppercase();
    let words = line.trim_matches(|c: char| {
        c.is_whitespace()
            || "-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{FE63}\u{FF0D}"
                .contains(c)
    });
    words.len() < line.len()
        && (words.starts_with("BEGIN ") || words.starts_with("END "))
        && (words.ends_with("CERTIFICATE") || words.ends_with("PRIVATE KEY"))
}

/// Returns the lines, which may end in LF, CRLF or CR, and their numbers from 1. `separates` makes two
/// lines of an `END` and a `BEGIN` that are joined.
fn numbered_lines(pem: &[u8], separates: bool) -> impl Iterator<Item = (usize, &[u8])> {
    const JOINED: &[u8] = b"----------BEGIN ";
    let end = if pem.contains(&b'\n') { b'\n' } else { b'\r' };
    (1..)
        .zip(pem.split(move |&byte| byte == end))
        .flat_map(move |(number, line)| {
            let joined = separates.then(|| memmem::find(line, JOINED)).flatten();
            let first_end = joined.and_then(|at| at.checked_add(DASHES.len()));
            let (first, second) = match first_end.and_then(|at| line.split_at_checked(at)) {
                Some((first, second)) => (first, Some(second)),
                None => (line, None),
            };
            [Some(first), second]
                .into_iter()
                .flatten()
                .map(move |line| (number, line))
        })
}
