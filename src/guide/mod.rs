//! Documentation that is not about a single item.
//!
//! These modules contain no code. Their examples are compiled and run as doctests.

/// Declares a module for each page, with the link definitions for the enabled features.
///
/// rustdoc uses the first definition of a link, so the links to docs.rs apply only where a feature
/// is off. `src/lib.rs` has the same list for the front page.
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
    processes: "processes.md",
}
