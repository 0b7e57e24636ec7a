//! Documentation beyond single items.
//!
//! These modules hold no code. Their examples are compiled and run as doctests.

/// Declares a module for each page, with the links that the enabled features allow.
///
/// Of several definitions of a link the first one counts, so the links to docs.rs stand in for
/// items of features that are off. `src/lib.rs` has the same list for the front page.
macro_rules! pages {
    ($($name:ident: $file:literal,)+) => {$(
        #[doc = include_str!($file)]
        #[doc = ""]
        #[doc = include_str!("links/always.md")]
        #[cfg_attr(feature = "async", doc = include_str!("links/async.md"))]
        #[cfg_attr(feature = "blocking", doc = include_str!("links/blocking.md"))]
        #[cfg_attr(feature = "emulator", doc = include_str!("links/emulator.md"))]
        #[doc = include_str!("links/docs_rs.md")]
        pub mod $name {}
    )+};
}

pages! {
    getting_started: "getting_started.md",
    errors: "errors.md",
    testing: "testing.md",
    own_http_client: "own_http_client.md",
}
