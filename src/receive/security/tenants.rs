//! Tenants file: credentials by tenant.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The root of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantsFile {
    pub(super) tenants: BTreeMap<String, Tenant>,
}

/// What identifies one tenant.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tenant {
    /// Tokens in plain text.
    pub(super) bearer_tokens: Vec<String>,
    /// The SHA-256 of tokens, in hexadecimal.
    pub(super) bearer_tokens_sha256: Vec<String>,
    /// Users and their passwords.
    pub(super) users: BTreeMap<String, String>,
    /// Values of the claim that names the tenant; without any, the tenant's name.
    pub(super) jwt_claims: Vec<String>,
    /// DNS names in clients' certificates, or the SHA-256 of certificates in hexadecimal.
    pub(super) certificates: Vec<String>,
}

/// Reads the text of the file.
///
/// # Errors
/// Where it is wrong. The parser's own message would show the lines, which hold secrets.
pub(super) fn parse(text: &str) -> Result<TenantsFile, String> {
    serde_saphyr::from_str(text).map_err(|error| {
        let position = error.location().map_or_else(String::new, |location| {
            format!(" at line {}, column {}", location.line(), location.column())
        });
        format!(
            "is not as expected{position}; it is YAML with the key 'tenants': a map from names to \
             maps with the keys bearer_tokens, bearer_tokens_sha256, users, jwt_claims, \
             certificates"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_placed_and_secrets_not_shown() {
        let texts = [
            "tenants:\n  acme:\n    bearer_token: hunter2\n",
            "tenants:\n  acme:\n    bearer_tokens: hunter2\n",
            "tenants:\n  acme:\n    users:\n      - hunter2: x\n",
            "tenants: [hunter2]\n",
            "hunter2: {\n",
        ];
        for text in texts {
            let error = parse(text).err().unwrap();
            assert!(error.contains("line"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
