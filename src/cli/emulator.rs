//! `meshconnect-auth emulator`: serves the token endpoint on this machine.

use std::io;
use std::net::SocketAddr;

use meshconnect_auth::emulator::{Emulator, Mode};

use super::args::EmulatorArgs;
use super::environment::{BASE_URL, CLIENT_ID, CLIENT_SECRET};
use super::failure::Failure;
use super::{on_thread, tell};

/// Starts the emulator and tells how to use it. It serves for as long as it is held.
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
            Secret::Given
        }
        None => Secret::BuiltIn,
    };
    let emulator = builder
        .start()
        .map_err(|error| Failure::Setup(refusal(listen, &error)))?;
    tell(announcement(&emulator, secret, &modes));
    Ok(emulator)
}

/// Whether the secret may be shown: the built-in one is public.
#[derive(Clone, Copy)]
enum Secret {
    BuiltIn,
    Given,
}

fn refusal(listen: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{listen} is in use; stop the program that listens there, or choose another address \
             with --listen (port 0 takes a free one)"
        ),
        io::ErrorKind::InvalidInput => format!(
            "{error}; listen on 127.0.0.1 or [::1], or in a private container network pass \
             --dangerously-allow-non-loopback"
        ),
        _ => format!("the emulator cannot listen on {listen}: {error}"),
    }
}

fn announcement(emulator: &Emulator, secret: Secret, modes: &[Mode]) -> String {
    let (address, endpoint) = (emulator.address(), emulator.endpoint());
    let client_id = emulator.credentials().client_id().as_str();
    let client_id = match quote(client_id) {
        Some(client_id) => format!("export {CLIENT_ID}={client_id}"),
        None => format!("# {CLIENT_ID} has characters that do not paste well; set it yourself"),
    };
    let secret = match secret {
        Secret::BuiltIn => format!("export {CLIENT_SECRET}={}", Emulator::CLIENT_SECRET),
        Secret::Given => format!("# and set {CLIENT_SECRET} to the secret that was given here"),
    };
    let (warning, flag) = if address.ip().is_loopback() {
        ("", "")
    } else {
        (
            "warning: others can reach it, and it speaks plain http\n",
            " --allow-plaintext",
        )
    };
    let told = |mode: &Mode| format!("mode {mode}: {}\n", mode.summary());
    let modes: String = modes.iter().map(told).collect();
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

/// The text as one word of a POSIX shell, if it can be shown and pasted as it is.
fn quote(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/@+,".contains(c);
    if text.chars().all(plain) {
        return Some(text.to_owned());
    }
    let showable = text.chars().all(|c| matches!(c, ' '..='~'));
    showable.then(|| format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshconnect_auth::Credentials;

    #[test]
    fn a_secret_is_announced_only_where_it_is_the_built_in_one() {
        let emulator = Emulator::start().unwrap();
        assert!(announcement(&emulator, Secret::BuiltIn, &[]).contains(Emulator::CLIENT_SECRET));

        let credentials = Credentials::new("me", "canary").unwrap();
        let emulator = Emulator::builder()
            .credentials(credentials)
            .start()
            .unwrap();
        let announced = announcement(&emulator, Secret::Given, &[Mode::OnlyNewest]);
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
    fn what_is_pasted_into_a_shell_is_one_word_or_nothing() {
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
