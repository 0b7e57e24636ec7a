//! Credentials from the flags and the environment, for both subcommands.

use clap::Args;
use meshconnect_auth::Credentials;
use zeroize::Zeroizing;

use super::environment::{self, CLIENT_ID, CLIENT_SECRET};
use super::failure::Failure;
use super::secret_file::SecretFile;

/// The flags for the credentials.
#[derive(Debug, Args)]
pub(crate) struct CredentialFlags {
    /// Client id from Mesh Connect
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// File with the client secret, or - for stdin
    ///
    /// One line break at the end is ignored. There is no flag for the secret itself,
    /// because arguments show in process lists and shell histories.
    #[arg(long, verbatim_doc_comment, value_name = "PATH|-")]
    client_secret_file: Option<SecretFile>,
}

impl CredentialFlags {
    /// Returns the credentials, or `None` if neither the client id nor the secret is set.
    ///
    /// A flag overrides its variable. This blocks while it reads the secret's file.
    pub(crate) fn resolve(self) -> Result<Option<Credentials>, Failure> {
        let client_id = match self.client_id {
            Some(id) if id.is_empty() => {
                return Err(Failure::Setup(format!(
                    "--client-id is empty; pass your client id, or leave the flag out and set \
                     {CLIENT_ID}"
                )));
            }
            Some(id) => Some(id),
            None => environment::variable(CLIENT_ID)?,
        };
        let secret = match self.client_secret_file {
            Some(file) => Some(Secret::File(file)),
            None => environment::variable(CLIENT_SECRET)?
                .map(|secret| Secret::Variable(Zeroizing::new(secret))),
        };
        match (client_id, secret) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(Failure::Setup(format!(
                "a client id is set, but no client secret; set {CLIENT_SECRET} or pass \
                 --client-secret-file"
            ))),
            (None, Some(_)) => Err(Failure::Setup(format!(
                "a client secret is set, but no client id; set {CLIENT_ID} or pass --client-id"
            ))),
            (Some(id), Some(secret)) => Ok(Some(Credentials::new(id, secret.read()?.as_str())?)),
        }
    }
}

/// The source of the secret. A file is read last, because reading it can block.
enum Secret {
    File(SecretFile),
    Variable(Zeroizing<String>),
}

impl Secret {
    fn read(self) -> Result<Zeroizing<String>, Failure> {
        match self {
            Self::File(file) => file.read().map_err(Failure::Setup),
            Self::Variable(secret) => Ok(secret),
        }
    }
}
