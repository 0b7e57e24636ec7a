//! The versions of the peers.

/// Returns the name with its version in the lock file.
pub fn locked(name: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let entry = format!("name = \"{name}\"\nversion = \"");
    let version = lock
        .split_once(&entry)
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap();
    format!("{name} {version}")
}
