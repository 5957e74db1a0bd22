//! Content coding: how a body is compressed, by the header that says so.

use http::{HeaderMap, HeaderName};

use super::refusal::Refusal;

/// What a receiver of HTTP takes, in the form of the header `accept-encoding`.
pub(super) const HTTP_ACCEPTED: &str = "gzip, zstd, deflate, identity";
/// The same in the form of the header `grpc-accept-encoding`.
pub(super) const GRPC_ACCEPTED: &str = "identity,gzip,zstd,deflate";

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// RFC 1950, or RFC 1951 without a frame, which some senders take it for.
    Deflate,
}

impl Encoding {
    /// What the header `name` says. Names are matched without regard to case, and `x-gzip` is gzip,
    /// by RFC 9110, section 8.4.1.
    ///
    /// # Errors
    /// A name that is not known, or several: what is compressed twice hides something.
    pub(super) fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Self, Refusal> {
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(Self::Identity) };
        let text = String::from_utf8_lossy(value.as_bytes());
        let text = text.trim();
        if values.next().is_some() {
            return Err(Refusal::Encoding(format!("{text}, ...")));
        }
        const NAMES: [(&str, Encoding); 6] = [
            ("gzip", Encoding::Gzip),
            ("identity", Encoding::Identity),
            ("", Encoding::Identity),
            ("zstd", Encoding::Zstd),
            ("deflate", Encoding::Deflate),
            ("x-gzip", Encoding::Gzip),
        ];
        NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, encoding)| *encoding)
            .ok_or_else(|| Refusal::Encoding(text.to_owned()))
    }

    /// Whether there is something to decompress.
    pub(super) fn is_compressed(self) -> bool {
        self != Self::Identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::CONTENT_ENCODING;

    #[test]
    fn encodings_have_names() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Encoding::of(&headers, &CONTENT_ENCODING)
        };
        assert_eq!(of(&[]), Ok(Encoding::Identity));
        assert_eq!(of(&["identity"]), Ok(Encoding::Identity));
        assert_eq!(of(&[""]), Ok(Encoding::Identity));
        assert_eq!(of(&[" GZIP"]), Ok(Encoding::Gzip));
        assert_eq!(of(&["x-gzip"]), Ok(Encoding::Gzip));
        assert_eq!(of(&["zstd"]), Ok(Encoding::Zstd));
        assert_eq!(of(&["Deflate"]), Ok(Encoding::Deflate));
        assert_eq!(of(&["br"]), Err(Refusal::Encoding("br".to_owned())));
        assert!(of(&["gzip, gzip"]).is_err());
        assert_eq!(of(&["gzip", "gzip"]), Err(Refusal::Encoding("gzip, ...".to_owned())));
    }

    #[test]
    fn what_is_accepted_is_what_is_announced() {
        let message = Refusal::Encoding("br".to_owned()).to_string();
        for list in [HTTP_ACCEPTED, GRPC_ACCEPTED] {
            for name in list.split(',').map(str::trim) {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_ENCODING, HeaderValue::from_str(name).unwrap());
                assert!(Encoding::of(&headers, &CONTENT_ENCODING).is_ok());
                assert!(message.contains(name), "{message}");
            }
        }
    }
}
