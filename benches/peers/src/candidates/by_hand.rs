//! Hand-written caches, and the floor.
//!
//! All except the floor keep a token with its expiry and check it on each call. None can refresh:
//! an expired token causes a panic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::sync;

use super::{Candidate, Kind, bearer};
use crate::TOKEN;
use crate::stub::LIFETIME;

/// Measures an atomic load that checks for a token, and a clone of its header.
pub(super) fn floor() -> Vec<Candidate> {
    let (usable, header) = (AtomicBool::new(true), prebuilt());
    vec![Candidate::blocking(
        "an atomic load and a clone of the header",
        Kind::Floor,
        move || {
            assert!(usable.load(Ordering::Acquire));
            header.clone()
        },
    )]
}

pub(super) fn all() -> Vec<Candidate> {
    vec![
        mutex_prebuilt(),
        rw_lock_prebuilt(),
        arc_swap_prebuilt(),
        mutex(),
        tokio_mutex(),
        tokio_rw_lock(),
        tokio_watch(),
    ]
}

fn mutex_prebuilt() -> Candidate {
    let cache = Mutex::new((prebuilt(), Instant::now() + LIFETIME));
    Candidate::blocking("`Mutex<(HeaderValue, Instant)>`", Kind::ByHand, move || {
        let cached = cache.lock().unwrap();
        assert!(Instant::now() < cached.1);
        cached.0.clone()
    })
}

/// Uses the lock of our snapshot. The `Arc` is cloned, because `token()` returns an owned token.
fn rw_lock_prebuilt() -> Candidate {
    let cache = RwLock::new(Arc::new((prebuilt(), Instant::now() + LIFETIME)));
    Candidate::blocking(
        "`RwLock<Arc<(HeaderValue, Instant)>>`",
        Kind::ByHand,
        move || {
            let cached = Arc::clone(&cache.read().unwrap());
            assert!(Instant::now() < cached.1);
            cached.0.clone()
        },
    )
}

/// Uses an alternative to the lock of our snapshot.
fn arc_swap_prebuilt() -> Candidate {
    let cache = ArcSwap::from_pointee((prebuilt(), Instant::now() + LIFETIME));
    Candidate::blocking(
        "`ArcSwap<(HeaderValue, Instant)>`",
        Kind::ByHand,
        move || {
            let cached = cache.load_full();
            assert!(Instant::now() < cached.1);
            cached.0.clone()
        },
    )
}

fn mutex() -> Candidate {
    let cache = Mutex::new(cached());
    Candidate::blocking("`Mutex<(String, Instant)>`", Kind::ByHand, move || {
        fresh(&cache.lock().unwrap())
    })
}

fn tokio_mutex() -> Candidate {
    let cache = sync::Mutex::new(cached());
    Candidate::awaited(
        "tokio `Mutex<(String, Instant)>`",
        Kind::ByHand,
        async move || fresh(&*cache.lock().await),
    )
}

fn tokio_rw_lock() -> Candidate {
    let cache = sync::RwLock::new(cached());
    Candidate::awaited(
        "tokio `RwLock<(String, Instant)>`",
        Kind::ByHand,
        async move || fresh(&*cache.read().await),
    )
}

fn tokio_watch() -> Candidate {
    let (sender, receiver) = sync::watch::channel(cached());
    Candidate::blocking(
        "tokio `watch` of `(String, Instant)`",
        Kind::ByHand,
        move || {
            // Keeps the sender, which a refreshing task would own, alive as long as the receiver.
            let _ = &sender;
            fresh(&receiver.borrow())
        },
    )
}

fn cached() -> (String, Instant) {
    (TOKEN.to_owned(), Instant::now() + LIFETIME)
}

/// Returns the header of a token that has not expired. It is built under the lock, which avoids a
/// clone of the `String`.
fn fresh((token, until): &(String, Instant)) -> HeaderValue {
    assert!(Instant::now() < *until);
    bearer(token)
}

fn prebuilt() -> HeaderValue {
    let mut header = bearer(TOKEN);
    header.set_sensitive(true);
    header
}
