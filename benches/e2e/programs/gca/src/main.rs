//! Prints the access token that google-cloud-auth obtains for a user account from the server whose
//! base URL is the argument.

use std::env;
use std::error::Error;

use google_cloud_auth::credentials::user_account::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: gca BASE_URL")?;
    // The other programs use ring too. The default of the crate is aws-lc-rs.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let user = serde_json::json!({
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "secret",
        "refresh_token": "refresh",
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let token = runtime.block_on(async {
        let builder = Builder::new(user).with_token_uri(format!("{url}/oauth"));
        let credentials = builder.build_access_token_credentials()?;
        credentials
            .access_token()
            .await
            .map_err(Box::<dyn Error>::from)
    })?;
    println!("{}", token.token);
    Ok(())
}
