//! The operations on a machine, and how bytes are read as operations.

#![allow(clippy::exhaustive_enums, reason = "only tests use and build these")]

use std::time::Duration;

use meshconnect_auth_core::{Need, TransportErrorKind};

/// An operation. Numbers count back from the latest element and wrap around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Begins a call, and polls.
    Call(Need),
    /// Begins a call, without polling.
    Begin(Need),
    /// Polls for an earlier call.
    Poll(u8),
    /// Polls for a refresh ahead.
    Refresh,
    /// Ends a flight with an outcome.
    Answer(u8, Answer),
    /// Abandons a flight without an outcome.
    Abandon(u8),
    /// Rejects a token.
    Reject(Which),
    /// Replaces the credentials.
    NewCredentials {
        /// Whether the client id stays the same.
        same_id: bool,
    },
    /// Hands in a token with this remaining lifetime.
    HandIn(Which, Duration),
    /// Moves clocks.
    Set(Clock, Move),
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A 200 with a token and this `expires_in`.
    Token(Which, Option<u64>),
    /// A status other than 2xx, with an optional `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// A 200 whose envelope has this status.
    Envelope(&'static str),
    /// A 200 with an empty body.
    Malformed,
    /// A transport failure.
    Wire(TransportErrorKind),
}

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// A new token.
    New,
    /// The cached token.
    CachedToken,
    /// An earlier token.
    Former(u8),
}

/// The clocks that an operation moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Both, by the same time.
    Both,
    /// Only the monotonic clock.
    Mono,
    /// Only the wall clock.
    Wall,
}

/// The movement of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Forward by a duration.
    On(Duration),
    /// Back by a duration.
    Back(Duration),
    /// Forward to an edge, or one nanosecond before or after it.
    To(Edge, Nudge),
    /// To the lowest reading.
    First,
    /// To the highest reading.
    Last,
}

/// A time at which the machine's state changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The deadline of the flight in flight.
    FlightOver,
    /// The end of the back-off.
    BackOffOver,
    /// The time from which the acquisition has too little time left for a retry.
    NoMoreRetry,
    /// The deadline of the acquisition.
    AcquisitionOver,
    /// The end of the cooldown.
    CooldownOver,
    /// The time from which the cached token may be refreshed.
    MayRefresh,
    /// The time from which the cached token is not usable.
    Unusable,
    /// The expiry of the cached token.
    Expired,
    /// The end of the interval after a token was given up, or the latest one if it is not known.
    IntervalOver,
    /// The time from which a rejection starts a new row.
    RowOver,
    /// The time from which the failures before the last grant are forgotten.
    Forgiven,
}

/// An offset of one nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// One nanosecond before.
    Before,
    /// No offset.
    At,
    /// One nanosecond after.
    After,
}

/// Reads operations from bytes. Each three bytes are one operation, or several that belong
/// together.
#[must_use]
pub fn operations(data: &[u8]) -> Vec<Op> {
    let (chunks, _) = data.as_chunks();
    let mut ops = Vec::new();
    for [kind, a, b] in chunks {
        match kind % 32 {
            28.. => Op::read_some(*a, *b, &mut ops),
            kind => ops.push(Op::read(kind, *a, *b)),
        }
    }
    ops
}

impl Op {
    /// Reads an operation: the first byte selects its kind, the others are its arguments.
    fn read(kind: u8, a: u8, b: u8) -> Self {
        match kind % 32 {
            0..=5 => Self::Call(need(a, b)),
            6 => Self::Begin(need(a, b)),
            7..=8 => Self::Poll(b),
            9..=11 => Self::Refresh,
            12..=18 => Self::Answer(0, Answer::read(a, b)),
            19 => Self::Answer(a >> 4, Answer::read(a, b)),
            20 => Self::Abandon(b >> 6),
            21 => Self::Reject(Which::read(a, b)),
            22 => Self::NewCredentials { same_id: a >= 64 },
            23 => {
                let times = [1, 1, 1, 100_000];
                Self::HandIn(
                    Which::read(a, b),
                    time(b).saturating_mul(pick(&times, a / 4)),
                )
            }
            _ => {
                let clock = pick(&[Clock::Both, Clock::Both, Clock::Mono, Clock::Wall], a);
                Self::Set(clock, Move::read(a / 4, b))
            }
        }
    }

    /// Reads a group of operations that random single operations rarely produce.
    fn read_some(a: u8, b: u8, ops: &mut Vec<Self>) {
        let to = |edge| Self::Set(Clock::Both, Move::To(edge, Nudge::At));
        let token = |which| Self::Answer(0, Answer::Token(which, pick(&LIFETIMES, b)));
        let call = Self::Call(need(b / 16, b));
        match a % 10 {
            0 => ops.extend([call, token(Which::New)]),
            1 => ops.extend([call, token(Which::New), Self::Reject(Which::CachedToken)]),
            2 => ops.extend([to(Edge::CooldownOver), call]),
            3 => ops.extend([to(Edge::MayRefresh), Self::Refresh]),
            4 => ops.extend([
                to(Edge::MayRefresh),
                Self::Refresh,
                token(Which::CachedToken),
            ]),
            5 => ops.extend([to(Edge::FlightOver), Self::Poll(b)]),
            6 => ops.extend([to(Edge::FlightOver), Self::Refresh]),
            7 => ops.extend([to(Edge::BackOffOver), Self::Poll(b)]),
            8 => ops.extend([
                call,
                Self::Reject(Which::CachedToken),
                token(Which::Former(b / 64)),
            ]),
            _ => {
                for _ in 0..=b % 10 {
                    let hand_in = Self::HandIn(Which::New, Duration::from_secs(60));
                    ops.extend([hand_in, Self::Reject(Which::CachedToken)]);
                }
            }
        }
    }
}

impl Move {
    fn read(a: u8, b: u8) -> Self {
        let nudge = pick(&[Nudge::At, Nudge::Before, Nudge::After], b / 16);
        match a % 16 {
            0..=7 => Self::To(pick(&EDGES, b % 16), nudge),
            8 => Self::Back(time(b)),
            9 if b < 16 => Self::First,
            9 if b < 24 => Self::Last,
            _ => Self::On(time(b)),
        }
    }
}

impl Answer {
    fn read(a: u8, b: u8) -> Self {
        match a % 16 {
            0..=5 => Self::Token(Which::New, pick(&LIFETIMES, b)),
            6..=7 => Self::Token(Which::CachedToken, pick(&LIFETIMES, b)),
            8 => Self::Token(Which::Former(b / 16), pick(&LIFETIMES, b % 16)),
            9..=10 => Self::Status(pick(&STATUSES, b), None),
            11 => Self::Status(
                pick(&STATUSES, b % 16),
                Some(pick(&[0, 1, 3, 20, 28, 40, 290, 86_400], b / 16)),
            ),
            12 => Self::Envelope(pick(
                &["serverFailure", "tooManyRequest", "badRequest", "unheardOf"],
                b,
            )),
            13 => Self::Malformed,
            _ => Self::Wire(pick(&WIRE, b)),
        }
    }
}

impl Which {
    fn read(a: u8, b: u8) -> Self {
        match a % 4 {
            0 => Self::New,
            1 => Self::Former(b),
            _ => Self::CachedToken,
        }
    }
}

const EDGES: [Edge; 11] = [
    Edge::FlightOver,
    Edge::BackOffOver,
    Edge::NoMoreRetry,
    Edge::AcquisitionOver,
    Edge::CooldownOver,
    Edge::MayRefresh,
    Edge::Unusable,
    Edge::Expired,
    Edge::IntervalOver,
    Edge::RowOver,
    Edge::Forgiven,
];

const LIFETIMES: [Option<u64>; 12] = [
    Some(100),
    Some(3_600),
    None,
    Some(0),
    Some(1),
    Some(2),
    Some(5),
    Some(20),
    Some(300),
    Some(7_200),
    Some(86_400),
    Some(i64::MAX.unsigned_abs()),
];

const STATUSES: [u16; 13] = [
    500, 503, 429, 403, 400, 404, 408, 425, 501, 502, 504, 505, 302,
];

const WIRE: [TransportErrorKind; 7] = [
    TransportErrorKind::Timeout,
    TransportErrorKind::Connect,
    TransportErrorKind::Certificate,
    TransportErrorKind::NotHttp,
    TransportErrorKind::Broken,
    TransportErrorKind::Dns,
    TransportErrorKind::Tls,
];

fn need(a: u8, b: u8) -> Need {
    match a % 4 {
        0 => Need::Newer,
        1 => Need::For(time(b)),
        _ => Need::Usable,
    }
}

/// Reads a duration from one nanosecond to nearly nine hours.
fn time(byte: u8) -> Duration {
    let scale: [u64; 8] = [
        1,
        1_000_000,
        100_000_000,
        500_000_000,
        1_000_000_000,
        10_000_000_000,
        100_000_000_000,
        1_000_000_000_000,
    ];
    let times = u32::from(byte / 8).saturating_add(1);
    Duration::from_nanos(pick(&scale, byte % 8)).saturating_mul(times)
}

fn pick<T: Copy, const N: usize>(list: &[T; N], byte: u8) -> T {
    let index = usize::from(byte).checked_rem(N).unwrap_or_default();
    match list.get(index) {
        Some(item) => *item,
        None => panic!("the list is empty"),
    }
}
