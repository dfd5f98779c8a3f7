//! What a GitHub App shows to get a token: its id and the time, signed with its key.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

use super::GithubError;

/// How long it is good; GitHub allows ten minutes.
const LIFE: u64 = 540;
/// Clocks differ.
const SLACK: u64 = 60;

/// A JSON Web Token of the App `id`, issued at `now` in seconds since 1970.
pub(super) fn sign(id: &str, pem: &str, now: u64) -> Result<String, GithubError> {
    let wrong = |reason| GithubError::Key { reason };
    let (der, is_pkcs8) = der(pem).ok_or_else(|| wrong("it is no PEM of an RSA key"))?;
    let key = if is_pkcs8 { RsaKeyPair::from_pkcs8(&der) } else { RsaKeyPair::from_der(&der) };
    let key = key.map_err(|_| wrong("it is no RSA key of at least 2048 bits"))?;
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "RS256", "typ": "JWT" }));
    let claims = part(json!({ "iat": now - SLACK, "exp": now - SLACK + LIFE, "iss": id }));
    let text = format!("{header}.{claims}");
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| wrong("it does not sign"))?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The bytes of a PEM, and whether they are in PKCS #8. Line ends may have become `\n`, as in variables.
fn der(pem: &str) -> Option<(Vec<u8>, bool)> {
    let pem = pem.replace("\\n", "\n");
    let (label, rest) = pem.split_once("-----BEGIN ")?.1.split_once("-----")?;
    let is_pkcs8 = match label {
        "RSA PRIVATE KEY" => false,
        "PRIVATE KEY" => true,
        _ => return None,
    };
    let body: String = rest.split("-----END").next()?.split_whitespace().collect();
    Some((STANDARD.decode(body).ok()?, is_pkcs8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_says_so() {
        let check = |pem: &str, expected: &str| {
            let error = sign("1", pem, 1_000).expect_err("no key").to_string();
            assert!(error.ends_with(expected), "{error}");
        };
        check("", "no PEM of an RSA key");
        check("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----", "no PEM of an RSA key");
        check("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "at least 2048 bits");
        check(
            "-----BEGIN RSA PRIVATE KEY-----\\nAA AA\\n-----END RSA PRIVATE KEY-----",
            "at least 2048 bits",
        );
    }
}
