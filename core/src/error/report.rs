//! The report of an error in several lines.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::error::Error;
use super::escaped::Escaped;

impl Error {
    /// Returns the error in several lines, with everything in the server's answer.
    ///
    /// ```
    /// # use meshconnect_auth_core::{TransportError, TransportErrorKind};
    /// # let refused = TransportError::with_detail(TransportErrorKind::Connect, "refused");
    /// # let error = meshconnect_auth_core::Error::from(refused);
    /// eprintln!("{}", error.report());
    /// # assert!(error.report().to_string().ends_with("\n  cause: refused"));
    /// ```
    #[must_use]
    pub fn report(&self) -> impl fmt::Display + '_ {
        Report(self)
    }
}

struct Report<'a>(&'a Error);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        write!(f, "{error}")?;
        if let Some(cause) = error.cause() {
            write!(f, "\n  cause: {cause}")?;
        }
        let Some(answer) = error.answer() else {
            return Ok(());
        };
        let mut line = |name: &str, value: Option<&str>| match value {
            Some(value) => write!(f, "\n  {name}: {}", Escaped(value)),
            None => Ok(()),
        };
        if let Some(rejection) = &answer.rejection {
            line("display message", rejection.display_message())?;
            line("error type", rejection.error_type())?;
            line("error hash", rejection.error_hash())?;
            line("error data", rejection.error_data())?;
            line("team code", rejection.team_code())?;
        }
        let retry_at = answer.retry_at.and_then(|at| http_date(at.wall));
        line("retry at", retry_at.as_deref())?;
        line("www-authenticate", answer.www_authenticate.as_deref())?;
        line("date", answer.date.as_deref())?;
        for (name, value) in &answer.trace_ids {
            line(name, Some(value))?;
        }
        if answer.excerpt.is_some() {
            line("content-type", answer.content_type.as_deref())?;
            line("body", answer.excerpt.as_deref())?;
        }
        Ok(())
    }
}

/// Returns a time since the Unix epoch as an HTTP-date, if an HTTP-date can express it.
pub(super) fn http_date(time: Duration) -> Option<String> {
    // httpdate panics after the year 9999.
    const END: Duration = Duration::from_secs(253_370_764_800);
    let time = SystemTime::UNIX_EPOCH
        .checked_add(time)
        .filter(|_| time < END)?;
    Some(httpdate::fmt_http_date(time))
}
