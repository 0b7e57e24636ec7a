//! Attempts on other runtimes, which may not be driven.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// How often a call that waits for an attempt on another runtime looks whether that runtime is driven.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// How long a runtime may leave an empty task undone before its attempt is taken over.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// An attempt and its runtime.
pub(crate) struct Running {
    pub(crate) flight: Option<u64>,
    pub(crate) runtime: Handle,
    /// Whether it was sent in place of one that was taken over.
    pub(crate) is_replacement: bool,
}

/// Asks the runtime of an attempt whether it is driven: runs an empty task there.
///
/// Boxed, because most calls need none, and each waiting call would hold it.
#[derive(Default)]
pub(crate) struct Probe(Option<Box<Question>>);

struct Question {
    flight: Option<u64>,
    task: JoinHandle<()>,
    sent: Instant,
}

impl Probe {
    /// Returns whether the empty task of this attempt has not run for too long. Starts one if there is
    /// none, or if it has run.
    pub(crate) fn is_unanswered(&mut self, on: &Running) -> bool {
        self.0
            .take_if(|question| question.flight != on.flight || question.task.is_finished());
        let now = Instant::now();
        let question = self.0.get_or_insert_with(|| {
            Box::new(Question {
                flight: on.flight,
                task: on.runtime.spawn(async {}),
                sent: now,
            })
        });
        now.saturating_duration_since(question.sent) >= PROBE_TIMEOUT
    }
}
