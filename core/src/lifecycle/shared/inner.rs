//! The locks around the machine, and the snapshot for calls with a usable token.

#![allow(
    clippy::disallowed_types,
    reason = "clippy.toml bans locks in every other file"
)]

use std::fmt;
use std::iter;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::PoisonError;
#[cfg(not(all(test, loom)))]
use std::sync::{Mutex, MutexGuard, RwLock};
use std::thread;

use event_listener::EventListener;
#[cfg(all(test, loom))]
use loom::sync::{Mutex, MutexGuard, RwLock};

use crate::lifecycle::event::{Event, Observer};
use crate::lifecycle::freshness::has_come;
use crate::lifecycle::machine::Machine;
#[cfg(feature = "tracing")]
use crate::lifecycle::trace;
use crate::moment::Moment;
use crate::protocol::{Endpoint, Token};

/// The machine, its lock, and the published snapshot.
pub(super) struct Inner {
    endpoint: Endpoint,
    machine: Mutex<Machine>,
    snapshot: RwLock<Option<Snapshot>>,
    changed: event_listener::Event,
    observer: Option<Box<Observer>>,
    /// The span of the current acquisition or refresh ahead.
    #[cfg(feature = "tracing")]
    span: Mutex<tracing::Span>,
}

/// The data of the cached token that a call with a usable token needs.
struct Snapshot {
    token: Token,
    usable_until: Moment,
    expires_at: Moment,
    next_refresh: Moment,
}

impl Inner {
    pub(super) fn new(machine: Machine, observer: Option<Box<Observer>>) -> Self {
        let inner = Self {
            endpoint: machine.endpoint().clone(),
            snapshot: RwLock::new(None),
            machine: Mutex::new(machine),
            changed: event_listener::Event::new(),
            observer,
            #[cfg(feature = "tracing")]
            span: Mutex::new(tracing::Span::none()),
        };
        // The machine may already have a token.
        inner.publish(&inner.lock());
        inner
    }

    /// Returns the cached token if it is usable, its expiry, and whether it is due for a refresh. It
    /// takes only the short lock of the snapshot.
    #[inline] // so that `now` stays in registers
    pub(super) fn usable(&self, now: Moment) -> Option<(Token, Moment, bool)> {
        let snapshot = self.snapshot.read();
        let snapshot = snapshot.unwrap_or_else(PoisonError::into_inner);
        let snapshot = snapshot.as_ref()?;
        if has_come(snapshot.usable_until, now) {
            return None;
        }
        let refresh_due = has_come(snapshot.next_refresh, now);
        Some((snapshot.token.clone(), snapshot.expires_at, refresh_due))
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn listen(&self) -> EventListener {
        self.changed.listen()
    }

    #[cfg(feature = "tracing")]
    pub(super) fn span(&self) -> tracing::Span {
        let span = self.span.lock();
        span.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `act` with the machine. If the machine has changed, wakes all waiters, after the observer was
    /// called with the events.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.lock();
        let before = machine.fingerprint();
        let done = act(&mut machine);
        let changed = machine.fingerprint() != before;
        if changed {
            self.publish(&machine);
        }
        let events = iter::from_fn(|| machine.poll_event()).collect::<Vec<_>>();
        drop(machine);
        let _wake = changed.then(|| WakeOnDrop(&self.changed));
        if thread::panicking() {
            // A panic of the observer must not abort the process.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| self.observe(&events)));
        } else {
            self.observe(&events);
        }
        done
    }

    fn observe(&self, events: &[Event]) {
        for event in events {
            #[cfg(feature = "tracing")]
            self.trace(event);
            if let Some(observer) = &self.observer {
                observer(event);
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the snapshot. The guard is an argument to prove that the machine is locked.
    fn publish(&self, machine: &MutexGuard<'_, Machine>) {
        let cached = machine.cached_token().zip(machine.next_refresh());
        let snapshot = cached.map(|(cached, next_refresh)| Snapshot {
            token: cached.token().clone(),
            usable_until: cached.usable_until(),
            expires_at: cached.life.expires_at,
            next_refresh,
        });
        let published = self.snapshot.write();
        let mut published = published.unwrap_or_else(PoisonError::into_inner);
        let old = mem::replace(&mut *published, snapshot);
        drop(published);
        // Readers must not wait while the old token is wiped.
        drop(old);
    }

    /// Emits the event in the span of its acquisition, not in that of the polling caller.
    #[cfg(feature = "tracing")]
    fn trace(&self, event: &Event) {
        let lock = || self.span.lock().unwrap_or_else(PoisonError::into_inner);
        // The subscriber that a dropped span calls may use this client, so the lock is released first.
        let replace = |span| {
            let old = mem::replace(&mut *lock(), span);
            drop(old);
        };
        if let Some(span) = trace::begin(event) {
            replace(span);
        }
        let span = lock().clone();
        span.in_scope(|| trace::emit(event));
        if trace::ends(event) {
            replace(tracing::Span::none());
        }
    }
}

/// Wakes all waiters when it is dropped, even if the observer panics.
struct WakeOnDrop<'a>(&'a event_listener::Event);

impl Drop for WakeOnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify(usize::MAX);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // There are no more changes to wait for.
        self.changed.notify(usize::MAX);
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
