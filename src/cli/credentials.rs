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
    /// Client id that Mesh gave you
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// File with the client secret, or - for stdin
    ///
    /// One line break at its end is dropped. There is no flag for the secret itself,
    /// because arguments show in process lists and shell histories.
    #[arg(long, verbatim_doc_comment, value_name = "PATH|-")]
    client_secret_file: Option<SecretFile>,
}

impl CredentialFlags {
    /// The credentials that were given, or `None` where neither half was. Each half comes from
    /// its flag or else from its variable. Blocks on the secret's file.
    pub(crate) fn resolve(self) -> Result<Option<Credentials>, Failure> {
        let client_id = match self.client_id {
            Some(id) if id.is_empty() => {
                return Err(Failure::Setup(format!(
                    "--client-id is empty; give it your client id, or leave it out and set \
                     {CLIENT_ID}"
                )));
            }
            Some(id) => Some(id),
            None => environment::variable(CLIENT_ID)?,
        };
        let secret = match self.client_secret_file {
            Some(file) => Some(Secret::InFile(file)),
            None => environment::variable(CLIENT_SECRET)?
                .map(|secret| Secret::Here(Zeroizing::new(secret))),
        };
        match (client_id, secret) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(Failure::Setup(format!(
                "there is a client id and no client secret; set {CLIENT_SECRET} or pass \
                 --client-secret-file"
            ))),
            (None, Some(_)) => Err(Failure::Setup(format!(
                "there is a client secret and no client id; set {CLIENT_ID} or pass --client-id"
            ))),
            (Some(id), Some(secret)) => Ok(Some(Credentials::new(id, secret.read()?.as_str())?)),
        }
    }
}

/// Where the secret is. A file is read only once all else is known to be there.
enum Secret {
    InFile(SecretFile),
    Here(Zeroizing<String>),
}

impl Secret {
    fn read(self) -> Result<Zeroizing<String>, Failure> {
        match self {
            Self::InFile(file) => file.read().map_err(Failure::Setup),
            Self::Here(secret) => Ok(secret),
        }
    }
}
