//! Temporary files and directories, removed when a test ends.

use std::env;
use std::ffi::OsStr;
use std::fs;
#[cfg(unix)]
use std::fs::Permissions;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::tls::Ca;

/// A temporary directory with a unique path.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")), name)
    }

    /// Creates a directory that every user can read, wherever the checkout is.
    #[cfg(unix)]
    pub fn for_all_users(name: &str) -> Self {
        let directory = Self::below(&env::temp_dir(), &format!("{name}-{}", process::id()));
        fs::set_permissions(&directory.0, Permissions::from_mode(0o755)).unwrap();
        directory
    }

    fn below(parent: &Path, name: &str) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{name}-{number}"));
        // A killed run may have left the directory behind.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name.as_ref());
        fs::write(&path, content).unwrap();
        path
    }

    pub fn fifo(&self) -> PathBuf {
        let path = self.0.join("fifo");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A temporary file with a CA's certificate.
pub struct CaFile {
    path: PathBuf,
    _directory: Directory,
}

impl CaFile {
    pub fn new(name: &str, ca: &Ca) -> Self {
        let directory = Directory::new(name);
        Self {
            path: directory.file("ca.pem", &ca.pem),
            _directory: directory,
        }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}
