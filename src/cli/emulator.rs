//! `meshconnect-auth emulator`: serves the token endpoint on this machine.

use std::io;
use std::net::SocketAddr;

use meshconnect_auth::emulator::{Emulator, Mode};

use super::args::EmulatorArgs;
use super::environment::{BASE_URL, CLIENT_ID, CLIENT_SECRET};
use super::failure::Failure;
use super::output::print_message;
use super::runtime::on_thread;

/// Starts the emulator and prints how to use it. Dropping the emulator stops it.
pub(crate) async fn start(args: EmulatorArgs) -> Result<Emulator, Failure> {
    let listen = args.listen;
    let mut builder = Emulator::builder()
        .listen(listen)
        .expires_in(args.expires_in);
    if args.dangerously_allow_non_loopback {
        builder = builder.dangerously_allow_non_loopback();
    }
    for mode in &args.modes {
        builder = builder.mode(*mode);
    }
    let modes = args.modes;
    let credentials = on_thread(move || args.credentials.resolve()).await?;
    let secret = match credentials {
        Some(credentials) => {
            builder = builder.credentials(credentials);
            Secret::User
        }
        None => Secret::BuiltIn,
    };
    let emulator = builder
        .start()
        .map_err(|error| Failure::Setup(explain(listen, &error)))?;
    print_message(announcement(&emulator, secret, &modes));
    Ok(emulator)
}

/// Where the secret comes from. Only the built-in one may be printed, because it is public.
#[derive(Clone, Copy)]
enum Secret {
    BuiltIn,
    User,
}

/// Describes a failed start, and what to do.
fn explain(listen: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{listen} is in use; stop the program that listens there, or choose another address \
             with --listen (port 0 takes a free one)"
        ),
        io::ErrorKind::InvalidInput => format!(
            "{error}; listen on 127.0.0.1 or [::1], or in a private container network pass \
             --dangerously-allow-non-loopback"
        ),
        _ => format!("listening on {listen} failed: {error}; choose another address with --listen"),
    }
}

fn announcement(emulator: &Emulator, secret: Secret, modes: &[Mode]) -> String {
    let (address, endpoint) = (emulator.address(), emulator.endpoint());
    let client_id = emulator.credentials().client_id().as_str();
    let client_id = match quote(client_id) {
        Some(client_id) => format!("export {CLIENT_ID}={client_id}"),
        None => format!("# {CLIENT_ID} has characters that cannot be pasted; set it yourself"),
    };
    let secret = match secret {
        Secret::BuiltIn => format!("export {CLIENT_SECRET}={}", Emulator::CLIENT_SECRET),
        Secret::User => format!("# and set {CLIENT_SECRET} to the secret of this emulator"),
    };
    let (warning, flag) = if address.ip().is_loopback() {
        ("", "")
    } else {
        (
            "warning: other machines can reach it, and it speaks plain http\n",
            " --allow-plaintext",
        )
    };
    let describe = |mode: &Mode| format!("mode {mode}: {}\n", mode.summary());
    let modes: String = modes.iter().map(describe).collect();
    format!(
        "the emulator listens on {address}; stop it with ctrl-c\n\
         {warning}\
         {modes}\
         base URL: {endpoint}\n\
         to use it from another shell:\n\
         \n\
         export {BASE_URL}={endpoint}\n\
         {client_id}\n\
         {secret}\n\
         meshconnect-auth token{flag}"
    )
}

/// Returns the text as one word of a POSIX shell, if it has only printable ASCII characters.
fn quote(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/@+,".contains(c);
    if text.chars().all(plain) {
        return Some(text.to_owned());
    }
    let printable = text.chars().all(|c| matches!(c, ' '..='~'));
    printable.then(|| format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshconnect_auth::Credentials;

    #[test]
    fn announces_only_the_built_in_secret() {
        let emulator = Emulator::start().unwrap();
        assert!(announcement(&emulator, Secret::BuiltIn, &[]).contains(Emulator::CLIENT_SECRET));

        let credentials = Credentials::new("me", "canary").unwrap();
        let emulator = Emulator::builder()
            .credentials(credentials)
            .start()
            .unwrap();
        let announced = announcement(&emulator, Secret::User, &[Mode::OnlyNewest]);
        assert!(
            announced.contains("MESHCONNECT_CLIENT_ID=me\n"),
            "{announced}"
        );
        assert!(!announced.contains("canary"), "{announced}");
        assert!(
            announced.contains("mode only-newest: Downstream"),
            "{announced}"
        );
    }

    #[test]
    fn quotes_one_word_or_nothing() {
        for (text, expected) in [
            ("me-1", Some("me-1")),
            ("a b", Some("'a b'")),
            ("$(x)", Some("'$(x)'")),
            ("it's", Some(r"'it'\''s'")),
            ("a\nb", None),
            ("\u{202e}", None),
        ] {
            assert_eq!(quote(text).as_deref(), expected, "{text:?}");
        }
    }
}
