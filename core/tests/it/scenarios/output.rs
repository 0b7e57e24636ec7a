//! Converts the machine's outputs to the JSON of the files.

use std::time::{Duration, SystemTime};

use meshconnect_auth_core::{CachedToken, Error, ErrorKind, Event, Moment};
use serde_json::{Value, json};

pub(crate) fn error(error: &Error) -> Value {
    let kind = match error.kind() {
        ErrorKind::Transport(kind) => format!("Transport.{kind:?}"),
        kind => format!("{kind:?}"),
    };
    let mut value = json!({"kind": kind, "attempts": error.attempts()});
    if let Some(status) = error.http_status() {
        value["status"] = json!(status.as_u16());
    }
    value
}

pub(crate) fn event(event: &Event) -> Value {
    let seconds = Duration::as_secs_f64;
    match event {
        Event::Attempt { number, ahead, .. } => {
            json!({"attempt": {"number": number, "ahead": ahead}})
        }
        Event::Retry {
            number,
            delay,
            error: why,
            ..
        } => json!({"retry": {"number": number, "delay": seconds(delay), "error": error(why)}}),
        Event::Refreshed { lifetime, .. } => json!({"refreshed": {"lifetime": seconds(lifetime)}}),
        Event::NotRenewed { delay, .. } => json!({"not_renewed": {"delay": seconds(delay)}}),
        Event::Failed {
            error: why,
            ahead,
            delay,
            ..
        } => json!({"failed": {"error": error(why), "ahead": ahead, "delay": seconds(delay)}}),
        Event::Abandoned { number, ahead, .. } => {
            json!({"abandoned": {"number": number, "ahead": ahead}})
        }
        Event::Rejected { dropped, delay, .. } => {
            json!({"rejected": {"dropped": dropped, "delay": seconds(delay)}})
        }
        Event::CooldownStarted {
            error: why, delay, ..
        } => json!({"cooldown_started": {"error": error(why), "delay": seconds(delay)}}),
        other => json!(format!("{other:?}")),
    }
}

/// Returns a cached token, with its dates counted from `start`.
pub(crate) fn cached_token(cached: &CachedToken, start: Moment) -> Value {
    let date = |date: Moment| json!({"mono": since(start.mono, date.mono), "wall": since(start.wall, date.wall)});
    let expires_at = cached.token().expires_at();
    let expires_at = expires_at.duration_since(SystemTime::UNIX_EPOCH);
    json!({
        "id_token": cached.token().id_token(),
        "expires_at": since(start.wall, expires_at.unwrap_or_default()),
        "usable_until": date(cached.usable_until()),
        "next_refresh": date(cached.next_refresh()),
    })
}

/// Returns the expectation of a cached token, with each date expanded to both clocks.
pub(crate) fn both_clocks(expected: &Value) -> Value {
    let mut expected = expected.clone();
    for (name, date) in expected.as_object_mut().into_iter().flatten() {
        if matches!(&**name, "usable_until" | "next_refresh") && date.get("mono").is_none() {
            *date = json!({"mono": date, "wall": date});
        }
    }
    expected
}

/// Returns the seconds from one reading of a clock to another, which may be earlier.
fn since(start: Duration, end: Duration) -> f64 {
    let before = start.saturating_sub(end).as_secs_f64();
    end.saturating_sub(start).as_secs_f64() - before
}
