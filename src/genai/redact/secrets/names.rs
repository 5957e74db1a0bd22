//! Names that say that their value is a secret: of keys, headers, variables and query parameters.

use super::shape::{has_digit, is_varied};

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretName {
    /// It is a secret, whatever it looks like: a password, an API key.
    Always,
    /// It is one if it looks random: a token, which may be a word of a text, too.
    IfRandom,
}

/// How names end whose value is a secret, in small letters and without separators.
const ALWAYS: &[&[u8]] = &[
    b"password",
    b"passwd",
    b"passphrase",
    b"pwd",
    b"secret",
    b"apikey",
    b"secretkey",
    b"accesskey",
    b"privatekey",
    b"signingkey",
    b"encryptionkey",
    b"masterkey",
    b"accountkey",
    b"authkey",
    b"subscriptionkey",
    b"sharedaccesskey",
    b"authorization",
    b"credential",
    b"credentials",
    b"connectionstring",
];

/// How names end whose value is a secret if it looks random.
const IF_RANDOM: &[&[u8]] = &[b"token", b"cookie", b"jwt", b"sessionkey"];

/// What stands before `token` where that is no credential: places in lists and in texts of models.
const NOT_BEFORE_TOKEN: &[&[u8]] = &[
    b"next",
    b"page",
    b"pagination",
    b"continuation",
    b"cancellation",
    b"sync",
    b"max",
    b"min",
    b"first",
    b"last",
    b"start",
    b"end",
    b"stop",
    b"pad",
    b"eos",
    b"bos",
    b"sep",
    b"unk",
    b"mask",
    b"per",
    b"num",
];

/// The most digits of a number of 64 bits: counts, times and ids have no more.
const MAX_NUMBER: usize = 20;

/// The end of a name that is looked at, in bytes.
const MAX_NAME: usize = 40;

/// What a name says, if it says that its value is a secret. What counts is how its last part ends, where
/// dots divide parts: `http.request.header.x-api-key`, `OPENAI_API_KEY`, `clientSecret`.
pub(crate) fn secret_name(name: &[u8]) -> Option<SecretName> {
    let mut bytes = [0_u8; MAX_NAME];
    let mut at = MAX_NAME;
    for byte in name.iter().rev() {
        if *byte == b'.' || at == 0 {
            break;
        }
        if byte.is_ascii_alphanumeric() {
            at -= 1;
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte.to_ascii_lowercase();
            }
        }
    }
    let folded = bytes.get(at..)?;
    if ALWAYS.iter().any(|end| folded.ends_with(end)) {
        return Some(SecretName::Always);
    }
    let end = IF_RANDOM.iter().find(|end| folded.ends_with(end))?;
    let before = folded.get(..folded.len() - end.len())?;
    let counts = NOT_BEFORE_TOKEN.iter().any(|word| before.ends_with(word));
    (!counts).then_some(SecretName::IfRandom)
}

/// Whether the name is that of the header that has a scheme before its credentials.
pub(super) fn has_scheme(name: &[u8]) -> bool {
    let end = b"authorization";
    name.len()
        .checked_sub(end.len())
        .and_then(|start| name.get(start..))
        .is_some_and(|last| last.eq_ignore_ascii_case(end))
}

/// Whether a value under such a name is to go.
pub(crate) fn is_secret_value(name: SecretName, value: &[u8]) -> bool {
    let value = value.trim_ascii();
    match name {
        SecretName::Always => !value.is_empty() && !is_placeholder(value),
        SecretName::IfRandom => looks_random(value) && !is_placeholder(value),
    }
}

/// Whether a value stands for one that is not there: a variable, a mask, a word of the language.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let words: [&[u8]; 8] =
        [b"null", b"none", b"nil", b"true", b"false", b"undefined", b"string", b"redacted"];
    words.iter().any(|word| word.eq_ignore_ascii_case(value))
        || matches!(value, [b'[' | b'{' | b'<', ..] | [b'$', b'{' | b'(' | b'A'..=b'Z', ..])
        || matches!(value, [b'%', b's' | b'(' | b'{', ..])
        || !is_varied(value, 2)
        // `pplx-xxxxxxxxxxxxxxxx`
        || (value.len() >= 16 && !is_varied(value, 7))
}

/// Whether a value is no word and no number that counts anything: at least 8 bytes without blanks, in which
/// letters and digits, or small and capital letters, are mixed, or more digits than a number has.
pub(super) fn looks_random(value: &[u8]) -> bool {
    let letters = value.iter().any(u8::is_ascii_alphabetic);
    let inner = value.get(1..).unwrap_or_default();
    let mixed =
        inner.iter().any(u8::is_ascii_uppercase) && inner.iter().any(u8::is_ascii_lowercase);
    let long_number = value.len() > MAX_NUMBER && value.iter().all(u8::is_ascii_digit);
    value.len() >= 8
        && (long_number || (letters && (has_digit(value) || mixed)))
        && is_varied(value, 5)
        && !value.iter().any(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_by_their_end() {
        for always in [
            "password",
            "DB_PASSWORD",
            "db.password",
            "userPassword",
            "api_key",
            "API-KEY",
            "apiKey",
            "http.request.header.authorization",
            "Proxy-Authorization",
            "x-api-key",
            "client_secret",
            "OPENAI_API_KEY",
            "aws_secret_access_key",
            "AccountKey",
            "Ocp-Apim-Subscription-Key",
        ] {
            assert_eq!(secret_name(always.as_bytes()), Some(SecretName::Always), "{always}");
        }
        for token in ["token", "access_token", "X-Amz-Security-Token", "githubToken", "set-cookie"]
        {
            assert_eq!(secret_name(token.as_bytes()), Some(SecretName::IfRandom), "{token}");
        }
        for none in [
            "max_tokens",
            "next_page_token",
            "gen_ai.usage.input_tokens",
            "key",
            "monkey",
            "password.length",
            "secret_name",
            "token_type",
            "stopToken",
            "author",
            "",
        ] {
            assert_eq!(secret_name(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn values_of_tokens_must_look_random() {
        let long = "33607502762955663242361299443314";
        for value in ["a1B2c3D4e5", "ghXyZabQ", "0f8fad5b-d9cb-469f", long] {
            assert!(is_secret_value(SecretName::IfRandom, value.as_bytes()), "{value}");
        }
        for value in
            ["Hello", "tokenization", "Internationale", "two words1", "18446744073709551615", ""]
        {
            assert!(!is_secret_value(SecretName::IfRandom, value.as_bytes()), "{value}");
        }
        assert!(is_secret_value(SecretName::Always, b"hunter"));
        for value in [
            "[secret]",
            "[secret:abcdefgh]",
            "${DB_PASSWORD}",
            "$PASS",
            "pplx-xxxxxxxxxxxxxxxx",
            "****",
            "null",
            " ",
        ] {
            assert!(!is_secret_value(SecretName::Always, value.as_bytes()), "{value}");
        }
    }
}
