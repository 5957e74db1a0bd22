//! Detector: keys and tokens, by the formats that their issuers gave them so that they can be found, by
//! their structure, and by the names that stand beside them.
//!
//! All prefixes, marks and words are found in one pass; what they begin is then looked at, each in time in
//! proportion to its length.

mod assignment;
mod formats;
mod names;
mod needles;
mod shape;
mod structured;

use super::text::{TextRange, after_escape, begins};
use formats::{FORMATS, SecretCandidate};
pub(super) use names::{SecretName, is_secret_value, secret_name};
use needles::Needles;

/// What a needle that is found may begin.
#[derive(Debug, Clone, Copy)]
enum Finder {
    /// A secret of the format with this number.
    Format(usize),
    /// A name whose value is a secret.
    Name,
    Jwt,
    PrivateKey,
    Bearer,
    Basic,
    Url,
    AzureKey,
    EntraSecret,
    TelegramToken,
}

/// The needles beside the prefixes of formats.
const NEEDLES: &[(&str, Finder)] = &[
    ("eyJ", Finder::Jwt),
    ("-----BEGIN ", Finder::PrivateKey),
    ("bearer", Finder::Bearer),
    ("basic", Finder::Basic),
    ("://", Finder::Url),
    (":\\/\\/", Finder::Url),
    ("JQQJ99", Finder::AzureKey),
    ("Q~", Finder::EntraSecret),
    (":AA", Finder::TelegramToken),
    ("key", Finder::Name),
    ("token", Finder::Name),
    ("secret", Finder::Name),
    ("passw", Finder::Name),
    ("passphrase", Finder::Name),
    ("pwd", Finder::Name),
    ("authorization", Finder::Name),
    ("credential", Finder::Name),
    ("cookie", Finder::Name),
    ("jwt", Finder::Name),
    ("connectionstring", Finder::Name),
    ("connection_string", Finder::Name),
];

/// Finds secrets.
#[derive(Debug)]
pub(super) struct Secrets(Needles<Finder>);

impl Secrets {
    /// The finder; `None` only if the needles were too many.
    pub(super) fn new() -> Option<Self> {
        let formats = FORMATS.iter().enumerate();
        let formats = formats.map(|(number, format)| (format.prefix, Finder::Format(number)));
        Needles::new(formats.chain(NEEDLES.iter().copied())).map(Self)
    }

    /// The next secret.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<TextRange> {
        let mut position = from;
        // Up to here there are words that have the shape of a secret: they are not looked at again.
        let mut words = from;
        loop {
            let (start, needles) = self.0.next(text, position)?;
            for (end, finder) in needles {
                let found = match finder {
                    Finder::Format(number) => formatted(text, start, *number, &mut words),
                    finder => finder.find(text, TextRange { start, end }, from),
                };
                if found.is_some() {
                    return found;
                }
            }
            position = start + 1;
        }
    }
}

/// The secret of a format that begins at a place; words up to `words` are known.
fn formatted(text: &[u8], start: usize, number: usize, words: &mut usize) -> Option<TextRange> {
    if start < *words || !begins(text, start) {
        return None;
    }
    let start = after_escape(text, start);
    match FORMATS.get(number)?.at(text, start) {
        SecretCandidate::Secret(end) => Some(TextRange { start, end }),
        SecretCandidate::Words(end) => {
            *words = end;
            None
        }
        SecretCandidate::None => None,
    }
}

impl Finder {
    /// The secret that a needle at a place belongs to. Nothing before `from` may be part of it.
    fn find(self, text: &[u8], needle: TextRange, from: usize) -> Option<TextRange> {
        match self {
            Self::Format(number) => formatted(text, needle.start, number, &mut 0),
            Self::Name => assignment::assigned(text, needle),
            Self::Jwt => structured::jwt(text, needle),
            Self::PrivateKey => structured::private_key(text, needle),
            Self::Bearer => structured::bearer(text, needle),
            Self::Basic => structured::basic(text, needle),
            Self::Url => structured::user_info(text, needle),
            Self::AzureKey => structured::azure_key(text, needle, from),
            Self::EntraSecret => structured::entra_secret(text, needle, from),
            Self::TelegramToken => structured::telegram_token(text, needle, from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        let hit = Secrets::new().unwrap().find(text.as_bytes(), 0)?;
        Some(text.get(hit.start..hit.end)?.to_owned())
    }

    /// Keys as each issuer gives them, made up.
    fn keys() -> Vec<String> {
        let tail = "a1B2c3D4e5F6g7H8i9J0";
        let hex = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let letters = "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH";
        vec![
            format!("sk-{tail}T3BlbkFJ{tail}"),
            format!("sk-proj-{tail}_{tail}-x"),
            format!("sk-svcacct-{tail}{tail}"),
            format!("sk-admin-{tail}{tail}"),
            format!("sk-ant-api03-{tail}"),
            format!("sk-ant-oat01-{tail}"),
            format!("sk-or-v1-{hex}{hex}"),
            format!("sk-lf-{}-{}", "0f8fad5b-d9cb-469f", "a165-70867728950e"),
            format!("sk-{hex}"),
            format!("AIza{tail}a1B2c3D4e5F6g7H"),
            "AKIAIOSFODNN7EXAMPL2".to_owned(),
            format!("ABSK{tail}{tail}{tail}{tail}{tail}{tail}="),
            format!("bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{tail}=="),
            format!("hf_{letters}"),
            format!("gsk_{tail}"),
            format!("xai-{tail}"),
            format!("pplx-{tail}"),
            format!("nvapi-{tail}_x-{tail}"),
            format!("r8_{tail}"),
            format!("tgp_v1_{tail}"),
            format!("fw_{tail}"),
            format!("pcsk_{tail}_{tail}"),
            format!("lsv2_pt_{hex}_0123456789"),
            format!("dapi{hex}-2"),
            format!("tvly-dev-{tail}"),
            format!("sk_{hex}0f1e2d3c4b5a6978"),
            format!("sk_live_{tail}"),
            format!("ghp_{tail}{tail}"),
            format!("github_pat_{tail}{tail}"),
            format!("glpat-{tail}"),
            format!("xoxb-{tail}-{tail}"),
            format!("npm_{tail}a1B2c3D4e5F6g7H8"),
            format!("SG.{tail}aa.{tail}{tail}a1B"),
            format!("SK{hex}"),
            "A3-ASWWYB-798JRYLJVD4-23DC2-86TVM-H43EB".to_owned(),
            "A3-ASWWYB-798JRY-LJVD4-23DC2-86TVM-H43EB".to_owned(),
            format!("p8e-{hex}"),
            format!("v1.0-0f1e2d3c4b5a697887960f1e-{hex}{hex}{hex}{hex}0f1e2d3c4b5a697887"),
            format!("EZAK{tail}{tail}a1B2c3D4e5F6g7"),
            format!("fm2_{}==", tail.repeat(5)),
            format!("sgp_{tail}{tail}"),
            format!("ZXlK{tail}{tail}="),
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN".to_owned(),
        ]
    }

    #[test]
    fn keys_of_many_issuers() {
        for key in keys() {
            assert_eq!(found(&format!("key={key} x")).as_deref(), Some(key.as_str()));
            assert_eq!(found(&format!("({key}, x)")).as_deref(), Some(key.as_str()));
            let nested = format!(r#"{{\"k\":\"a\\n{key}\"}}"#);
            assert_eq!(found(&nested).as_deref(), Some(key.as_str()));
        }
    }

    #[test]
    fn each_format_has_a_prefix_of_its_own() {
        for (index, format) in FORMATS.iter().enumerate() {
            assert!(format.prefix.len() > 1 && !format.issuer.is_empty(), "{format:?}");
            let again = FORMATS.iter().skip(index + 1).filter(|it| it.prefix == format.prefix);
            assert!(again.count() <= 1, "{format:?}");
        }
    }

    #[test]
    fn values_after_their_names() {
        let bearer = "say Bearer abcdef0123456789abcd==";
        assert_eq!(found(bearer).as_deref(), Some("abcdef0123456789abcd=="));
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let line = format!("aws_secret_access_key = {secret}");
        assert_eq!(found(&line).as_deref(), Some(secret));
        let line = format!(r#"{{"AWS_SECRET_ACCESS_KEY":"{secret}"}}"#);
        assert_eq!(found(&line).as_deref(), Some(secret));
        assert_eq!(found(r#"{"Pwd":"x y"}"#).as_deref(), Some("x y"));
        assert_eq!(found("amqp:\\/\\/joe:hunter2@mq").as_deref(), Some("hunter2"));
    }

    #[test]
    fn private_keys_with_and_without_end() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\\nMIIEabc+/=\\n-----END RSA PRIVATE KEY-----";
        assert_eq!(found(&format!("\"{key}\",\"b\"")).as_deref(), Some(key));
        let cut = "-----BEGIN PRIVATE KEY-----\\nMIIEabc";
        assert_eq!(found(&format!("{{\"k\":\"{cut}\"}}")).as_deref(), Some(cut));
    }

    #[test]
    fn words_are_no_secrets() {
        for none in [
            "sk-learn-pipeline-with-words",
            "task-1234567890123456789012",
            "bearer of bad-news-and-more-words",
            "AKIAIOSFODNN7EXAMPLEANDMORE",
            "AKIAIOSFODNN7EXAMPLE",
            "AKIAXXXXXXXXXXXXXXXX",
            "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "(id)hf_requiredCharacteristicTypesForDisplayMetadata;",
            "eyJhbGciOiJIUzI1NiJ9",
            "-----BEGIN CERTIFICATE-----",
            "a monkey with a key and a token of love",
            "see https://x.io/a?page=2 and mailto:a",
        ] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        let secrets = Secrets::new().unwrap();
        let needles = NEEDLES.iter().map(|(needle, _)| *needle);
        for needle in needles.chain(FORMATS.iter().map(|format| format.prefix)) {
            for separator in ["", "-", " ", "\""] {
                let text = format!("{needle}{separator}").repeat(50_000 / needle.len());
                // What is found is of no matter; that it ends is.
                let mut from = 0;
                while let Some(hit) = secrets.find(text.as_bytes(), from) {
                    assert!(hit.end > from && hit.end <= text.len());
                    from = hit.end;
                }
            }
        }
    }
}
