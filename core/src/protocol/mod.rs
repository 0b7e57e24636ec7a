//! What to send, and what came back: the pure pair.

mod body;
mod certificates;
mod credentials;
mod endpoint;
mod exchange;
mod mask;
mod media_type;
mod proxy;
mod retry_after;
mod secret;
mod token;

pub use body::{BodyBuffer, RequestBody};
pub use certificates::read_pem_certificates;
pub use credentials::{ClientId, ClientSecret, Credentials};
pub use endpoint::Endpoint;
pub use exchange::Exchange;
pub use media_type::MediaType;
pub use proxy::Proxy;
pub use token::{Claims, Grant, Token};
pub(crate) use token::{LONGEST_LIFETIME, UNKNOWN_LIFETIME};
