//! The error type: its size, kinds, words and sources.

use std::error::Error as _;
use std::fmt;

use meshconnect_auth_core::{Blame, Error, ErrorKind, TransportError, TransportErrorKind};

fn transport_error(kind: TransportErrorKind, detail: &str) -> Error {
    TransportError::with_detail(kind, detail).into()
}

#[test]
fn an_error_is_one_word_and_shared() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

#[test]
fn each_kind_has_a_blame() {
    for (kind, blame) in [
        (ErrorKind::Configuration, Blame::Caller),
        (ErrorKind::NoRuntime, Blame::Caller),
        (ErrorKind::LifetimeTooShort, Blame::Caller),
        (ErrorKind::Refused, Blame::Server),
        (ErrorKind::Throttled, Blame::Server),
        (ErrorKind::Unavailable, Blame::Server),
        (ErrorKind::AuthenticationFailed, Blame::Server),
        (ErrorKind::MfaRequired, Blame::Server),
        (ErrorKind::Malformed, Blame::Server),
        (ErrorKind::TokenRejected, Blame::Server),
        (ErrorKind::Transport(TransportErrorKind::Dns), Blame::Wire),
    ] {
        assert_eq!(kind.blame(), blame, "{kind:?}");
    }
    let error = Error::no_runtime("call it within tokio");
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
    assert_eq!(error.to_string(), "call it within tokio");
}

#[test]
fn a_transport_error_is_the_source() {
    let error = transport_error(TransportErrorKind::Dns, "no such host");
    assert_eq!(error.kind().blame(), Blame::Wire);
    assert_eq!(error.source().unwrap().to_string(), "no such host");
}

#[test]
fn only_the_report_has_the_cause() {
    let error = transport_error(TransportErrorKind::Connect, "refused");
    let line = "no connection to the server could be made";
    assert_eq!(error.to_string(), line);
    assert_eq!(format!("{error:#}"), line);
    assert_eq!(
        error.report().to_string(),
        format!("{line}\n  cause: refused")
    );
}

#[test]
fn outside_text_is_escaped() {
    let text = "a\u{1b}[2J\r\nb\u{202e}c\u{2066}\u{200b}\u{7f}\u{85}\u{2028}d \"e\" \\ é 例";
    let error = transport_error(TransportErrorKind::Broken, text);
    let cause = error.report().to_string();
    let (_, cause) = cause.split_once("\n  cause: ").unwrap();
    let configuration = Error::configuration(text);
    for shown in [
        cause.to_owned(),
        error.source().unwrap().to_string(),
        configuration.to_string(),
        configuration.report().to_string(),
    ] {
        assert!(!shown.chars().any(char::is_control), "{shown}");
        for odd in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}'] {
            assert!(!shown.contains(odd), "{shown}");
        }
        assert!(shown.ends_with("d \"e\" \\ é 例"), "{shown}");
    }
}

#[test]
fn a_chain_of_sources_repeats_no_words() {
    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);
    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl std::error::Error for Link {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_ref().map(|link| &**link as _)
        }
    }
    let deepest = Link("refused", None);
    let middle = Link("tcp: refused", Some(Box::new(deepest)));
    let top = Link("connecting", Some(Box::new(middle)));
    let error = TransportError::new(TransportErrorKind::Connect, &top);
    assert_eq!(error.to_string(), "connecting: tcp: refused");
    assert_eq!(error.kind(), TransportErrorKind::Connect);
}
