//! Which version of a peer was measured.

/// The name with the version that the lock file has of it.
pub fn locked(name: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let entry = format!("name = \"{name}\"\nversion = \"");
    let version = lock
        .split_once(&entry)
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap();
    format!("{name} {version}")
}
