//! The core and the naive reader agree about the body of a 200.

use http::Response;
use meshconnect_auth_core::AuthenticationStatus;

use crate::exchange::{Granted, RECEIVED, SECRETS, exchange};
use crate::naive_reader::Verdict;

/// Checks that [`Exchange::parse`](meshconnect_auth_core::Exchange::parse) and a naive reader of
/// the contract's schema agree about the body of a 200.
pub fn differential(body: &[u8]) {
    let parsed = exchange(SECRETS[0]).parse(Response::new(body), RECEIVED);
    let ours = match parsed {
        Ok(grant) => Verdict::Granted(Granted::of(grant)),
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
    assert_eq!(ours, theirs, "the readers disagree about {text:?}");
}

fn status_text(status: Option<&AuthenticationStatus>) -> &str {
    status.map_or("", AuthenticationStatus::as_str)
}

/// Returns whether `shown` is `sent` with parts of it masked. `decode` checks which parts.
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
