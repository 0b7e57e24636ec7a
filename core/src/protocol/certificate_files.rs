//! Reads the platform's root certificates, on platforms that keep them in files.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fmt::{Display, Write};
use std::io;
use std::path::{Path, PathBuf};

use super::certificates::read_what_can_be_read;
use crate::error::{CertificateProblem, TransportError, TransportErrorKind};

/// The files and directories that hold the root certificates of a Unix platform.
///
/// The caller does the IO, so that the core does none.
///
/// ```
/// # use std::io;
/// # use std::path::Path;
/// use meshconnect_auth_core::CertificateFiles;
///
/// let files = CertificateFiles::locate(
///     |name| (name == "SSL_CERT_FILE").then(|| "/run/ca.pem".into()),
///     || unreachable!("the variable replaces the platform's places"),
/// );
/// let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
/// let mut found = Vec::new();
/// let unread = files.read(
///     |_directory: &Path| Ok(Vec::new()),
///     |file: &Path| Ok(pem.into()),
///     |der| Ok::<_, String>(found.push(der.to_vec())),
/// )?;
/// assert_eq!((found, unread), (vec![vec![0x30, 0x00]], None));
/// # Ok::<_, meshconnect_auth_core::TransportError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    file: Option<PathBuf>,
    directories: Vec<PathBuf>,
}

impl CertificateFiles {
    /// Returns the places that the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name, or `defaults` if
    /// both are unset or empty: a file, and directories.
    pub fn locate(
        variable: impl Fn(&str) -> Option<OsString>,
        defaults: impl FnOnce() -> (Option<PathBuf>, Vec<PathBuf>),
    ) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let file = set("SSL_CERT_FILE").map(PathBuf::from);
        let directories: Vec<_> = set("SSL_CERT_DIR").map_or_else(Vec::new, |value| {
            env::split_paths(&value)
                .filter(|path| !path.as_os_str().is_empty())
                .collect()
        });
        let (file, directories) = if file.is_none() && directories.is_empty() {
            defaults()
        } else {
            (file, directories)
        };
        Self { file, directories }
    }

    /// Passes every certificate that can be read to `add` as DER. `list` returns the regular files in a
    /// directory with links resolved, `read` returns the content of a file.
    ///
    /// One odd block or file is no reason to trust nothing. So this returns what could not be read, in
    /// words for the error about a certificate that is not accepted later. The words do not quote a
    /// file.
    ///
    /// # Errors
    ///
    /// - [`Client`](TransportErrorKind::Client) if a resource of this process was exhausted, such as
    ///   file descriptors ([`TransportError::exhausted`]), because what was read is not all; or if no
    ///   certificate was found and there are files that cannot be read.
    /// - [`Certificate`](TransportErrorKind::Certificate) with [`CertificateProblem::NoRoots`] if there is no
    ///   certificate.
    pub fn read<E: Display>(
        &self,
        list: impl Fn(&Path) -> io::Result<Vec<PathBuf>>,
        read: impl Fn(&Path) -> io::Result<Vec<u8>>,
        mut add: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Option<String>, TransportError> {
        let mut unread = Unread::default();
        // Links and bundles repeat files and certificates.
        let mut files = BTreeSet::new();
        let mut found = BTreeSet::new();
        files.extend(self.file.clone());
        for directory in &self.directories {
            match list(directory) {
                Ok(listed) => files.extend(listed),
                Err(error) => unread.add_io(directory, &error)?,
            }
        }
        for file in files {
            let pem = match read(&file) {
                Ok(pem) => pem,
                Err(error) => {
                    unread.add_io(&file, &error)?;
                    continue;
                }
            };
            let add = |der: &[u8]| {
                if !found.contains(der) {
                    add(der)?;
                    found.insert(der.to_vec());
                }
                Ok::<_, E>(())
            };
            let blocks = read_what_can_be_read(&pem, add, |what| unread.add(&file, &what));
            // A directory may hold other files, too.
            if blocks == 0 && self.file.as_ref() == Some(&file) {
                unread.add(&file, "it contains no certificate in PEM");
            }
        }
        if !found.is_empty() {
            return Ok(unread.words);
        }
        let places = self.file.iter().chain(&self.directories);
        let mut text = places.fold("no CA certificate was found in".to_owned(), |text, path| {
            text + " " + &path.display().to_string()
        });
        if self.file.is_none() && self.directories.is_empty() {
            text.push_str(" the usual places of this platform");
        }
        if let Some(words) = &unread.words {
            let _ = write!(text, ": {words}");
        }
        Err(if unread.unreadable {
            TransportError::with_detail(TransportErrorKind::Client, text)
        } else {
            TransportError::certificate(CertificateProblem::NoRoots, &io::Error::other(text))
        })
    }
}

/// What could not be read.
#[derive(Default)]
struct Unread {
    words: Option<String>,
    count: usize,
    /// Whether there is a file or directory that cannot be read.
    unreadable: bool,
}

impl Unread {
    const SHOWN: usize = 3;

    fn add(&mut self, path: &Path, what: &str) {
        self.count = self.count.saturating_add(1);
        let words = self.words.get_or_insert_default();
        if self.count <= Self::SHOWN {
            let separator = if words.is_empty() { "" } else { "; " };
            let _ = write!(words, "{separator}{}: {what}", path.display());
        } else if self.count == Self::SHOWN.saturating_add(1) {
            words.push_str("; and more");
        }
    }

    fn add_io(&mut self, path: &Path, error: &io::Error) -> Result<(), TransportError> {
        if let Some(exhausted) = TransportError::exhausted(error) {
            return Err(exhausted.with_note(&format!("while reading {}", path.display())));
        }
        self.unreadable |= error.kind() != io::ErrorKind::NotFound;
        self.add(path, &error.to_string());
        Ok(())
    }
}
