//! Clients that forked processes build for themselves. Prints one line per test.

#[cfg(unix)]
fn main() {
    unix::main();
}

#[cfg(not(unix))]
fn main() {
    println!("skipped: this platform has no fork");
}

#[cfg(unix)]
mod unix {
    use std::collections::HashMap;
    use std::io::{Read, Write, pipe};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::{Duration, Instant, SystemTime};

    use meshconnect_auth::emulator::Emulator;
    use meshconnect_auth::{Client, Config, Error, Token, blocking};
    use tokio::runtime::{Builder, Runtime};

    /// The time after which a child counts as hanging.
    const PATIENCE: Duration = Duration::from_secs(30);

    pub(crate) fn main() {
        for transport in [Transport::Async, Transport::Blocking] {
            children_have_jitter_of_their_own(transport);
            println!("children_have_jitter_of_their_own, {transport:?}: passed");
            children_of_a_busy_parent_get_tokens(transport);
            println!("children_of_a_busy_parent_get_tokens, {transport:?}: passed");
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Transport {
        Async,
        Blocking,
    }

    /// A client of either kind, with the runtime that it needs.
    enum Any {
        Async(Client, Runtime),
        Blocking(blocking::Client),
    }

    impl Any {
        fn new(transport: Transport, emulator: &Emulator, token: Option<&Token>) -> Self {
            let mut config = Config::default();
            config.refresh_jitter_percent = 50;
            // The builders share their methods but no trait.
            macro_rules! build {
                ($client:ty) => {{
                    let mut builder = <$client>::builder(emulator.credentials().clone())
                        .endpoint(emulator.endpoint())
                        .config(config);
                    if let Some(token) = token {
                        builder = builder.initial_token(token.clone());
                    }
                    builder.build().unwrap()
                }};
            }
            match transport {
                Transport::Async => {
                    let runtime = Builder::new_current_thread().enable_all().build();
                    Self::Async(build!(Client), runtime.unwrap())
                }
                Transport::Blocking => Self::Blocking(build!(blocking::Client)),
            }
        }

        fn token(&self) -> Result<Token, Error> {
            match self {
                Self::Async(client, runtime) => runtime.block_on(client.token()),
                Self::Blocking(client) => client.token(),
            }
        }

        fn refresh(&self) -> Result<Token, Error> {
            match self {
                Self::Async(client, runtime) => runtime.block_on(client.refresh()),
                Self::Blocking(client) => client.refresh(),
            }
        }

        /// Waits, so that a refresh ahead can run.
        fn wait(&self, time: Duration) {
            match self {
                Self::Async(_, runtime) => {
                    runtime.block_on(async { tokio::time::sleep(time).await })
                }
                Self::Blocking(_) => thread::sleep(time),
            }
        }
    }

    /// The children hold the same token. They refresh it at different times, although the parent has
    /// used its thread-local keys for hash maps, which a fork copies.
    fn children_have_jitter_of_their_own(transport: Transport) {
        const CHILDREN: usize = 8;
        let emulator = Emulator::start().unwrap();
        assert_eq!(HashMap::from([(1, 2)]).len(), 1);
        let life = Duration::from_secs(4);
        let token = Token::new("held.by.all", SystemTime::now() + life).unwrap();
        let started = Instant::now();
        let children: Vec<_> = (0..CHILDREN)
            .map(|_| {
                Child::fork(|| {
                    let client = Any::new(transport, &emulator, Some(&token));
                    while client.token().unwrap() == token {
                        client.wait(Duration::from_millis(2));
                    }
                    u64::try_from(started.elapsed().as_millis()).unwrap()
                })
            })
            .collect();
        let mut refreshed: Vec<_> = children.into_iter().map(Child::result).collect();
        refreshed.sort_unstable();
        // Drawn from two seconds. Children with the same jitter refresh within a few milliseconds.
        let spread = refreshed[CHILDREN - 1] - refreshed[0];
        assert!(spread > 200, "refreshed at {refreshed:?} ms");
        assert!(refreshed[0] >= 900, "refreshed at {refreshed:?} ms");
    }

    /// Two threads of the parent use another client without a pause, so a fork copies its locks in any
    /// state. The children do not touch that client.
    fn children_of_a_busy_parent_get_tokens(transport: Transport) {
        const CHILDREN: usize = 60;
        let emulator = Emulator::start().unwrap();
        let stopped = AtomicBool::new(false);
        thread::scope(|scope| {
            let busy = blocking::Client::builder(emulator.credentials().clone())
                .endpoint(emulator.endpoint())
                .build()
                .unwrap();
            let (hits, refreshes) = (busy.clone(), busy);
            let stopped = &stopped;
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    hits.token().unwrap();
                }
            });
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    refreshes.refresh().unwrap();
                }
            });
            let children: Vec<_> = (0..CHILDREN)
                .map(|_| {
                    let child = Child::fork(|| {
                        let client = Any::new(transport, &emulator, None);
                        let first = client.token().unwrap();
                        u64::from(client.refresh().unwrap() != first)
                    });
                    thread::sleep(Duration::from_micros(733));
                    child
                })
                .collect();
            let results: Vec<_> = children.into_iter().map(Child::result).collect();
            stopped.store(true, Ordering::Relaxed);
            assert_eq!(results, [1; CHILDREN]);
        });
    }

    /// A forked process, and the pipe for its result.
    struct Child {
        pid: libc::pid_t,
        result: std::io::PipeReader,
    }

    impl Child {
        /// Forks. The child runs `run`, reports what it returns, and ends without destructors.
        fn fork(run: impl FnOnce() -> u64) -> Self {
            let (result, mut report) = pipe().unwrap();
            // SAFETY: the child uses only what it creates itself, and no lock that another thread of
            // the parent may have held, other than the allocator's, which glibc and macOS protect.
            let pid = unsafe { libc::fork() };
            assert!(pid >= 0, "fork failed");
            if pid == 0 {
                let ran = catch_unwind(AssertUnwindSafe(run));
                let reported =
                    ran.is_ok_and(|value| report.write_all(&value.to_ne_bytes()).is_ok());
                // SAFETY: `_exit` has no preconditions.
                unsafe { libc::_exit(i32::from(!reported)) };
            }
            Self { pid, result }
        }

        /// Waits for the child and returns its result. Panics if it failed or hangs.
        fn result(mut self) -> u64 {
            let started = Instant::now();
            let mut status = 0;
            // SAFETY: `status` outlives the call.
            while unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) } == 0 {
                if started.elapsed() > PATIENCE {
                    // SAFETY: `kill` has no preconditions. The child was not waited for yet.
                    unsafe { libc::kill(self.pid, libc::SIGKILL) };
                    panic!("a child hangs");
                }
                thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(status, 0, "a child failed");
            let mut bytes = [0; 8];
            self.result.read_exact(&mut bytes).unwrap();
            u64::from_ne_bytes(bytes)
        }
    }
}
