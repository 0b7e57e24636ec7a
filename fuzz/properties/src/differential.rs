//! The body of a 200 means to the core what it means to a second reader.

use http::Response;
use meshconnect_auth_core::{AuthenticationStatus, ErrorKind};

use crate::exchange::{RECEIVED, Reading, SECRETS, TEN_YEARS, exchange};
use crate::second_reader::Verdict;

/// The body of a 200 means to [`Exchange::parse`](meshconnect_auth_core::Exchange::parse) what it means to a second reader, which
/// builds the whole document first and then judges it by the table of answers.
pub fn differential(body: &[u8]) {
    let parsed = exchange(SECRETS[0]).parse(Response::new(body), RECEIVED);
    let ours = match parsed {
        Ok(grant) => Verdict::Granted(Reading::of(grant)),
        Err(error) => Verdict::Refused(error.kind()),
    };
    let text = String::from_utf8_lossy(body);
    match (ours, Verdict::on(body)) {
        (Verdict::Granted(reading), Verdict::Undecided) => {
            assert_eq!(reading.lifetime, TEN_YEARS, "a reading of {text:?}");
        }
        (Verdict::Refused(kind), Verdict::Undecided) => {
            assert_ne!(kind, ErrorKind::Rejected, "a reading of {text:?}");
        }
        (Verdict::Granted(ours), Verdict::Granted(mut theirs)) => {
            let [shown, sent] =
                [&ours, &theirs].map(|reading| status_text(reading.status.as_ref()));
            if is_masked(shown, sent) {
                theirs.status.clone_from(&ours.status);
            }
            assert_eq!(ours, theirs, "two readings of {text:?}");
        }
        (ours, theirs) => assert_eq!(ours, theirs, "two readings of {text:?}"),
    }
}

fn status_text(status: Option<&AuthenticationStatus>) -> &str {
    status.map_or("", AuthenticationStatus::as_str)
}

/// Whether `shown` is what was `sent`, with something taken out of it. What has to be taken out, and
/// that nothing else is, is for others to say.
fn is_masked(shown: &str, sent: &str) -> bool {
    let mut pieces = shown.split("[masked]");
    let Some(mut rest) = pieces.next().and_then(|first| sent.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        (rest, last) = (after, Some(piece));
    }
    last.is_some_and(|piece| sent.ends_with(piece))
}
