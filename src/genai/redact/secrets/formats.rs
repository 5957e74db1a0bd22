//! Formats of secrets, by the prefixes that their issuers gave them so that they can be found.
//!
//! Lengths are the least that issuers have used; a secret that was cut is one still, as long as it
//! cannot be taken for a word.

use xxhash_rust::xxh3::xxh3_64;

use super::shape::CharacterClass::{
    Alnum, Base64, Digit, Dotted, Hex, HexOfAnyCase, Padding, Token, Upper, Word,
};
use super::shape::ShapePart::{self, Run, Text};
use super::shape::{MORE, end_of, has_digit, is_varied};

/// A format of secrets.
#[derive(Debug)]
pub(super) struct SecretFormat {
    /// Who gives them out.
    pub(super) issuer: &'static str,
    /// What they begin with, in this case.
    pub(super) prefix: &'static str,
    /// What follows.
    shape: &'static [ShapePart],
    /// Whether there must be a digit in it, because words could have the shape too.
    digit: bool,
}

/// Different bytes that a secret has at least.
const VARIED: u32 = 6;

impl SecretFormat {
    /// What of this format begins at a place.
    pub(super) fn at(&self, text: &[u8], start: usize) -> SecretCandidate {
        let body = start + self.prefix.len();
        let Some(rest) = text.get(start..).filter(|it| it.starts_with(self.prefix.as_bytes()))
        else {
            return SecretCandidate::None;
        };
        let Some(end) = end_of(text, body, self.shape) else { return SecretCandidate::None };
        let value = rest.get(self.prefix.len()..end - start).unwrap_or_default();
        let random = value.is_empty() || is_varied(value, VARIED);
        let example = match self.issuer {
            // AWS writes its documents with keys that say so themselves.
            "aws" => value.ends_with(b"EXAMPLE"),
            "google" => PUBLISHED.binary_search(&xxh3_64(value)).is_ok(),
            _ => false,
        };
        if random && !example && (!self.digit || has_digit(value)) {
            SecretCandidate::Secret(end)
        } else {
            SecretCandidate::Words(end)
        }
    }
}

/// Google's keys that stand in the tests of its public SDKs, by [`xxh3_64`] of what follows the prefix, in
/// order: scanners do not take this list for a leak.
const PUBLISHED: [u64; 16] = [
    0x11fc_1b8d_a4eb_215f,
    0x15fd_3ca2_1008_4a02,
    0x4102_3a09_7456_7fcf,
    0x5167_48a6_2e08_a64a,
    0x57ea_3677_ba58_d0db,
    0x7982_ad93_b0d1_dca4,
    0x8fe9_8523_823d_81d2,
    0x915a_ee6c_e28b_62b6,
    0x917c_a7a5_86a1_08ab,
    0xa393_14b7_d3bf_c21e,
    0xa7e0_7dbe_70ad_0861,
    0xda2a_f1aa_dbb0_67b0,
    0xea92_3d13_52a2_04aa,
    0xf34e_7c0e_c2b3_c983,
    0xfdc8_0f30_979f_a344,
    0xfe0c_78e1_906e_1e75,
];

/// What begins at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretCandidate {
    /// Nothing of the format.
    None,
    /// A secret up to this place.
    Secret(usize),
    /// Words, up to this place, that have the shape of one.
    Words(usize),
}

/// A format whose shape no words have.
const fn random(
    issuer: &'static str,
    prefix: &'static str,
    shape: &'static [ShapePart],
) -> SecretFormat {
    SecretFormat { issuer, prefix, shape, digit: false }
}

/// A format whose shape words could have, so that only a digit tells it.
const fn worded(
    issuer: &'static str,
    prefix: &'static str,
    shape: &'static [ShapePart],
) -> SecretFormat {
    SecretFormat { issuer, prefix, shape, digit: true }
}

/// Every format, those of AI providers first.
#[rustfmt::skip]
pub(super) const FORMATS: &[SecretFormat] = &[
    // OpenAI, and in the same form Anthropic, DeepSeek, OpenRouter, Langfuse, LiteLLM and others.
    worded("openai", "sk-", &[Run(Token, 16, MORE)]),
    random("openai", "sess-", &[Run(Alnum, 40, 40)]),
    random("google", "AIza", &[Run(Token, 35, 39)]),
    worded("google", "AQ.Ab", &[Run(Token, 30, MORE)]),
    worded("google", "ya29.", &[Run(Dotted, 20, MORE)]),
    worded("google", "GOCSPX-", &[Run(Token, 24, MORE)]),
    worded("google", "1//0", &[Run(Token, 30, MORE)]),
    random("aws", "AKIA", &[Run(Upper, 16, 16)]),
    random("aws", "ASIA", &[Run(Upper, 16, 16)]),
    random("aws", "ABIA", &[Run(Upper, 16, 16)]),
    random("aws", "ACCA", &[Run(Upper, 16, 16)]),
    random("aws_bedrock", "ABSK", &[Run(Base64, 100, 269), Run(Padding, 0, 2)]),
    random("aws_bedrock", "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t", &[Run(Base64, 0, MORE), Run(Padding, 0, 2)]),
    random("hugging_face", "hf_", &[Run(Alnum, 34, 34)]),
    worded("hugging_face", "hf_", &[Run(Alnum, 20, MORE)]),
    random("hugging_face", "api_org_", &[Run(Alnum, 34, 34)]),
    worded("groq", "gsk_", &[Run(Alnum, 16, MORE)]),
    worded("xai", "xai-", &[Run(Alnum, 16, MORE)]),
    worded("perplexity", "pplx-", &[Run(Alnum, 16, MORE)]),
    worded("nvidia", "nvapi-", &[Run(Token, 16, MORE)]),
    worded("replicate", "r8_", &[Run(Alnum, 16, MORE)]),
    worded("together", "tgp_v1_", &[Run(Token, 16, MORE)]),
    worded("fireworks", "fw_", &[Run(Alnum, 16, MORE)]),
    worded("pinecone", "pcsk_", &[Run(Word, 16, MORE)]),
    worded("langsmith", "lsv2_", &[Run(Word, 16, MORE)]),
    worded("langsmith", "ls__", &[Run(Alnum, 16, MORE)]),
    random("databricks", "dapi", &[Run(Hex, 32, 32), Run(Token, 0, 2)]),
    random("databricks", "dose", &[Run(Hex, 32, 32)]),
    worded("tavily", "tvly-", &[Run(Token, 16, MORE)]),
    random("elevenlabs", "sk_", &[Run(Hex, 32, MORE)]),
    worded("cerebras", "csk-", &[Run(Alnum, 30, MORE)]),
    worded("voyage", "pa-", &[Run(Token, 40, MORE)]),
    worded("jina", "jina_", &[Run(Alnum, 30, MORE)]),
    worded("llama_cloud", "llx-", &[Run(Alnum, 30, MORE)]),
    worded("weights_and_biases", "wandb_v1_", &[Run(Word, 30, MORE)]),
    worded("anyscale", "esecret_", &[Run(Alnum, 20, MORE)]),
    random("firecrawl", "fc-", &[Run(Hex, 32, 32)]),
    worded("apify", "apify_api_", &[Run(Alnum, 30, MORE)]),
    random("e2b", "e2b_", &[Run(Hex, 40, 40)]),
    worded("runpod", "rpa_", &[Run(Alnum, 40, MORE)]),
    worded("vercel", "vck_", &[Run(Token, 40, MORE)]),

    random("github", "ghp_", &[Run(Alnum, 30, MORE)]),
    random("github", "gho_", &[Run(Alnum, 30, MORE)]),
    random("github", "ghu_", &[Run(Alnum, 30, MORE)]),
    random("github", "ghs_", &[Run(Alnum, 30, MORE)]),
    random("github", "ghr_", &[Run(Alnum, 30, MORE)]),
    worded("github", "github_pat_", &[Run(Word, 22, MORE)]),
    random("gitlab", "glpat-", &[Run(Dotted, 20, MORE)]),
    random("gitlab", "gldt-", &[Run(Token, 20, MORE)]),
    random("gitlab", "glft-", &[Run(Token, 20, MORE)]),
    random("gitlab", "glrt-", &[Run(Dotted, 20, MORE)]),
    random("gitlab", "glffct-", &[Run(Token, 20, MORE)]),
    random("gitlab", "glimt-", &[Run(Token, 25, MORE)]),
    random("gitlab", "glagent-", &[Run(Token, 50, MORE)]),
    random("gitlab", "gloas-", &[Run(Token, 64, MORE)]),
    random("gitlab", "glptt-", &[Run(Hex, 40, 40)]),
    random("gitlab", "glsoat-", &[Run(Token, 20, MORE)]),
    random("gitlab", "glcbt-", &[Run(Alnum, 1, 5), Text("_"), Run(Token, 20, MORE)]),
    random("gitlab", "GR1348941", &[Run(Token, 20, MORE)]),
    random("gitlab", "_gitlab_session=", &[Run(Alnum, 32, 32)]),
    worded("slack", "xoxa-", &[Run(Token, 8, MORE)]),
    worded("slack", "xoxb-", &[Run(Token, 16, MORE)]),
    worded("slack", "xoxe-", &[Run(Token, 16, MORE)]),
    random("slack", "xoxe.xoxb-", &[Run(Digit, 1, 1), Text("-"), Run(Alnum, 60, MORE)]),
    random("slack", "xoxe.xoxp-", &[Run(Digit, 1, 1), Text("-"), Run(Alnum, 60, MORE)]),
    random("slack", "xoxo-", &[Run(Digit, 1, MORE), Text("-"), Run(Digit, 1, MORE), Text("-"), Run(Token, 8, MORE)]),
    random("slack", "xoxp-", &[Run(Digit, 8, MORE), Text("-"), Run(Token, 16, MORE)]),
    worded("slack", "xoxr-", &[Run(Token, 8, MORE)]),
    random("slack", "xoxs-", &[Run(Digit, 1, MORE), Text("-"), Run(Digit, 1, MORE), Text("-"), Run(Token, 8, MORE)]),
    worded("slack", "xapp-", &[Run(Token, 10, MORE)]),
    random("slack", "hooks.slack.com/services/", &[Run(Base64, 40, MORE)]),
    random("slack", "hooks.slack.com/workflows/", &[Run(Base64, 40, MORE)]),
    random("slack", "hooks.slack.com/triggers/", &[Run(Base64, 40, MORE)]),
    random("stripe", "sk_live_", &[Run(Alnum, 10, MORE)]),
    random("stripe", "sk_test_", &[Run(Alnum, 10, MORE)]),
    random("stripe", "sk_prod_", &[Run(Alnum, 10, MORE)]),
    random("stripe", "rk_live_", &[Run(Alnum, 10, MORE)]),
    random("stripe", "rk_test_", &[Run(Alnum, 10, MORE)]),
    random("stripe", "rk_prod_", &[Run(Alnum, 10, MORE)]),
    worded("stripe", "whsec_", &[Run(Base64, 30, MORE)]),
    random("npm", "npm_", &[Run(Alnum, 36, 36)]),
    random("pypi", "pypi-AgEIcHlwaS5vcmc", &[Run(Token, 50, MORE)]),
    random("sendgrid", "SG.", &[Run(Dotted, 66, 66)]),
    random("twilio", "SK", &[Run(HexOfAnyCase, 32, 32)]),
    random("digitalocean", "dop_v1_", &[Run(Hex, 64, 64)]),
    random("digitalocean", "doo_v1_", &[Run(Hex, 64, 64)]),
    random("digitalocean", "dor_v1_", &[Run(Hex, 64, 64)]),
    random("shopify", "shpat_", &[Run(HexOfAnyCase, 32, 32)]),
    random("shopify", "shpca_", &[Run(HexOfAnyCase, 32, 32)]),
    random("shopify", "shppa_", &[Run(HexOfAnyCase, 32, 32)]),
    random("shopify", "shpss_", &[Run(HexOfAnyCase, 32, 32)]),
    random("atlassian", "ATATT3", &[Run(Dotted, 180, MORE)]),
    random("artifactory", "AKCp", &[Run(Alnum, 69, 69)]),
    random("artifactory", "cmVmd", &[Run(Alnum, 59, 59)]),
    random("age", "AGE-SECRET-KEY-1", &[Run(Upper, 58, 58)]),
    random("1password", "ops_eyJ", &[Run(Base64, 250, MORE), Run(Padding, 0, 3)]),
    random("alibaba", "LTAI", &[Run(Alnum, 20, 20)]),
    random("doppler", "dp.pt.", &[Run(Alnum, 43, 43)]),
    random("dynatrace", "dt0c01.", &[Run(Alnum, 24, 24), Text("."), Run(Alnum, 64, 64)]),
    random("grafana", "glsa_", &[Run(Alnum, 32, 32), Text("_"), Run(HexOfAnyCase, 8, 8)]),
    random("grafana", "glc_", &[Run(Base64, 32, MORE), Run(Padding, 0, 3)]),
    random("vault", "hvs.", &[Run(Token, 90, MORE)]),
    random("vault", "hvb.", &[Run(Token, 138, MORE)]),
    random("heroku", "HRKU-AA", &[Run(Token, 58, 58)]),
    random("linear", "lin_api_", &[Run(Alnum, 40, 40)]),
    random("mailgun", "key-", &[Run(Hex, 32, 32)]),
    random("new_relic", "NRAK-", &[Run(Upper, 27, 27)]),
    random("notion", "ntn_", &[Run(Digit, 11, 11), Run(Alnum, 35, 35)]),
    random("planetscale", "pscale_tkn_", &[Run(Dotted, 32, 64)]),
    random("planetscale", "pscale_pw_", &[Run(Dotted, 32, 64)]),
    random("planetscale", "pscale_oauth_", &[Run(Dotted, 32, 64)]),
    random("postman", "PMAK-", &[Run(Hex, 24, 24), Text("-"), Run(Hex, 34, 34)]),
    random("prefect", "pnu_", &[Run(Alnum, 36, 36)]),
    random("pulumi", "pul-", &[Run(Hex, 40, 40)]),
    random("readme", "rdme_", &[Run(Alnum, 70, 70)]),
    random("rubygems", "rubygems_", &[Run(Hex, 48, 48)]),
    random("sentry", "sntryu_", &[Run(Hex, 64, 64)]),
    random("sentry", "sntrys_eyJ", &[Run(Base64, 30, MORE), Run(Padding, 0, 2), Run(Word, 0, 50)]),
    random("brevo", "xkeysib-", &[Run(Hex, 64, 64), Text("-"), Run(Alnum, 16, 16)]),
    random("1password", "A3-", &[Run(Upper, 6, 6), Text("-"), Run(Upper, 11, 11), Text("-"), Run(Upper, 5, 5), Text("-"), Run(Upper, 5, 5), Text("-"), Run(Upper, 5, 5)]),
    random("1password", "A3-", &[Run(Upper, 6, 6), Text("-"), Run(Upper, 6, 6), Text("-"), Run(Upper, 5, 5), Text("-"), Run(Upper, 5, 5), Text("-"), Run(Upper, 5, 5), Text("-"), Run(Upper, 5, 5)]),
    random("adobe", "p8e-", &[Run(Alnum, 32, 32)]),
    random("cloudflare", "v1.0-", &[Run(Hex, 24, 24), Text("-"), Run(Hex, 146, 146)]),
    random("easypost", "EZAK", &[Run(Alnum, 54, 54)]),
    random("easypost", "EZTK", &[Run(Alnum, 54, 54)]),
    random("fly", "fm1a_", &[Run(Base64, 100, MORE), Run(Padding, 0, 3)]),
    random("fly", "fm1r_", &[Run(Base64, 100, MORE), Run(Padding, 0, 3)]),
    random("fly", "fm2_", &[Run(Base64, 100, MORE), Run(Padding, 0, 3)]),
    random("sourcegraph", "sgp_", &[Run(Word, 40, MORE)]),
    // A JSON Web Token in base64 once more.
    random("jwt", "ZXlK", &[Run(Base64, 40, MORE), Run(Padding, 0, 2)]),
    worded("openshift", "sha256~", &[Run(Token, 43, 43)]),
    random("supabase", "sbp_", &[Run(Hex, 40, 40)]),
    worded("supabase", "sb_secret_", &[Run(Token, 20, MORE)]),
    worded("tailscale", "tskey-", &[Run(Token, 20, MORE)]),
];
