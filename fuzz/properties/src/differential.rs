//! The body of a 200 means to the core what it means to the naive reader.

use http::Response;
use meshconnect_auth_core::AuthenticationStatus;

use crate::exchange::{RECEIVED, Reading, SECRETS, exchange};
use crate::naive_reader::Verdict;

/// The body of a 200 means to [`Exchange::parse`](meshconnect_auth_core::Exchange::parse) what it
/// means to a naive reader of the contract's schema.
pub fn differential(body: &[u8]) {
    let parsed = exchange(SECRETS[0]).parse(Response::new(body), RECEIVED);
    let ours = match parsed {
        Ok(grant) => Verdict::Granted(Reading::of(grant)),
        Err(error) => Verdict::Refused(error.kind()),
    };
    let mut theirs = Verdict::on(body);
    if let (Verdict::Granted(ours), Verdict::Granted(theirs)) = (&ours, &mut theirs) {
        let [shown, sent] =
            [&ours.status, &theirs.status].map(|status| status_text(status.as_ref()));
        if is_masked(shown, sent) {
            theirs.status.clone_from(&ours.status);
        }
    }
    let text = String::from_utf8_lossy(body);
    assert_eq!(ours, theirs, "two readings of {text:?}");
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
