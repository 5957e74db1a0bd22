//! Authentication errors: why credentials are not accepted, in words that give nothing of them
//! away.

use crate::model::listed_enum;

listed_enum! {
    /// Why a sender is turned away.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
    pub(in crate::receive) enum Denial {
        #[error("there are no credentials; send the header 'authorization'")]
        NoCredentials,
        #[error("the header 'authorization' cannot be read")]
        Unreadable,
        #[error("this scheme of authorization is not accepted here")]
        Scheme,
        #[error("the token is not known")]
        Token,
        #[error("the user or the password is wrong")]
        Password,
        #[error("the token is not a valid JWT")]
        Jwt,
        #[error("the token is signed by an algorithm that is not allowed")]
        Algorithm,
        #[error("the token is signed by a key that is not known")]
        Key,
        #[error("the signature of the token is wrong")]
        Signature,
        #[error("the token has expired")]
        Expired,
        #[error("the token is not valid yet")]
        Early,
        #[error("the token is not from the expected issuer")]
        Issuer,
        #[error("the token is not meant for this receiver")]
        Audience,
        #[error("the client of the token is not allowed")]
        Client,
        #[error("the token names no tenant that is known here")]
        Tenant,
        #[error("the certificate belongs to no tenant that is known here")]
        Certificate,
    }
}

impl Denial {
    /// Its name in counters.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::Unreadable => "unreadable",
            Self::Scheme => "scheme",
            Self::Token => "token",
            Self::Password => "password",
            Self::Jwt => "jwt_malformed",
            Self::Algorithm => "jwt_algorithm",
            Self::Key => "jwt_key",
            Self::Signature => "jwt_signature",
            Self::Expired => "jwt_expired",
            Self::Early => "jwt_early",
            Self::Issuer => "jwt_issuer",
            Self::Audience => "jwt_audience",
            Self::Client => "jwt_client",
            Self::Tenant => "jwt_tenant",
            Self::Certificate => "certificate",
        }
    }

    /// Whether we know who it is, but do not let them in: 403 rather than 401.
    pub(super) fn is_known_sender(self) -> bool {
        matches!(self, Self::Client | Self::Tenant | Self::Certificate)
    }
}
