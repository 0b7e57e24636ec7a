//! What may happen to a machine, and how any bytes are read as that.

#![allow(
    clippy::exhaustive_enums,
    reason = "tests alone use these, and build them"
)]

use std::time::Duration;

use meshconnect_auth_core::{Need, TransportErrorKind};

/// Something that may happen. Numbers count back from the latest and wrap around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A call begins, and polls.
    Call(Need),
    /// A call begins, and does not poll yet.
    Begin(Need),
    /// A call that began before polls.
    Poll(u8),
    /// Someone asks for a refresh ahead.
    Refresh,
    /// A flight that is still out comes back.
    Answer(u8, Answer),
    /// A flight that is still out is given back.
    Abandon(u8),
    /// A token is rejected where it was used.
    Reject(Which),
    /// Other credentials.
    NewCredentials {
        /// Whether they are the same client's.
        same_id: bool,
    },
    /// A token comes from elsewhere.
    HandIn(Which, Duration),
    /// Clocks move.
    Set(Clock, Move),
}

/// What comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A token, with this `expires_in`.
    Token(Which, Option<u64>),
    /// A status that is no 2xx, perhaps with `Retry-After`.
    Status(u16, Option<u32>),
    /// A 200 whose envelope has this status.
    Envelope(&'static str),
    /// A 200 with nothing in it.
    Malformed,
    /// No answer.
    Wire(TransportErrorKind),
}

/// Which token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// One that nobody has seen.
    New,
    /// The one that is cached.
    CachedToken,
    /// One that was seen before.
    Former(u8),
}

/// Which clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Both, by the same time.
    Both,
    /// The monotonic clock alone.
    Mono,
    /// The wall clock alone.
    Wall,
}

/// How a clock moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Forward by this time.
    On(Duration),
    /// Back by this time.
    Back(Duration),
    /// Forward to a date, or to just before or after it.
    To(Edge, Nudge),
    /// To the first reading there is.
    First,
    /// To the last reading there is.
    Last,
}

/// A date to which a clock may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The deadline of the flight in flight.
    FlightOver,
    /// The end of the back-off.
    BackOffOver,
    /// Where an acquisition has too little left for a retry.
    NoMoreRetry,
    /// The deadline of the acquisition.
    AcquisitionOver,
    /// The end of the cooldown.
    CooldownOver,
    /// Where the cached token may be refreshed.
    MayRefresh,
    /// Where it is handed out no more.
    Unusable,
    /// Where it expires.
    Expired,
    /// Where its rejection does not count as one in a row any more.
    Aged,
    /// Where the failures before the last grant are forgotten.
    Forgiven,
}

/// A nanosecond more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// One less.
    Before,
    /// None.
    At,
    /// One more.
    After,
}

/// Operations out of any bytes: three of them are one operation, or some that often come together.
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
    /// The first byte says what happens; the others are for it to use.
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

    /// What single bytes would rarely hit upon.
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

const EDGES: [Edge; 10] = [
    Edge::FlightOver,
    Edge::BackOffOver,
    Edge::NoMoreRetry,
    Edge::AcquisitionOver,
    Edge::CooldownOver,
    Edge::MayRefresh,
    Edge::Unusable,
    Edge::Expired,
    Edge::Aged,
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

/// From a nanosecond to nearly nine hours.
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
        None => panic!("an empty list"),
    }
}
