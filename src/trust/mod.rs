//! Trust store: which certificates are trusted, those that an authority signed, and those that are
//! given themselves.
//!
//! A certificate that stands in a `tls.ca_file` byte for byte is pinned: a peer that shows it and
//! has its key is who was meant, whether or not an authority signed it. `openssl req -x509` makes
//! such certificates, which sign themselves and say that they are authorities; RFC 5280 does not
//! let an authority's certificate stand for a server, so that the usual rules refuse them. What
//! holds for a pinned certificate all the same: its dates, and its names if it has any (as subject
//! alternative names; RFC 9525, section 6.2, reads no common names).

mod client;
mod pinned;
mod unchecked;

pub use client::{ClientIdentity, ClientTrust};
pub use pinned::PinnedClients;

#[cfg(test)]
mod tests;
