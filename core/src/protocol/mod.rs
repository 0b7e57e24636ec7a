//! Builds requests and reads answers.

mod body_buffer;
mod certificate_files;
mod certificates;
mod credentials;
mod endpoint;
mod exchange;
mod jwt;
mod mask;
mod media_type;
mod proxy;
mod request_body;
mod response;
mod retry_after;
mod secret;
mod stray;
mod token;

pub use body_buffer::BodyBuffer;
pub use certificate_files::CertificateFiles;
pub use certificates::{read_der_certificate, read_pem_certificates};
pub use credentials::{ClientId, ClientSecret, Credentials};
pub use endpoint::Endpoint;
pub use exchange::Exchange;
pub use media_type::MediaType;
pub use proxy::Proxy;
pub use request_body::RequestBody;
pub use token::{Grant, Token};
