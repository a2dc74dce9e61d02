//! Secrets and signatures after the Standard Webhooks specification.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tidemark_domain::Entropy;
use tidemark_store::Endpoint;
use zeroize::Zeroizing;

use crate::vault::Place;

const PREFIX: &str = "whsec_";
const BYTES: usize = 32;

/// A new secret, as receivers are given it.
pub(super) fn new_secret(entropy: &dyn Entropy) -> SecretString {
    let mut bytes = Zeroizing::new([0; BYTES]);
    entropy.fill(&mut *bytes);
    let text = Zeroizing::new(STANDARD.encode(*bytes));
    format!("{PREFIX}{}", *text).into()
}

/// Where an endpoint's secret of that version belongs.
pub(super) fn place(endpoint: &Endpoint, version: i64) -> Place<'_> {
    let (organization, record) = (&endpoint.organization_id, endpoint.id.as_str());
    Place { organization, record, field: "webhook_secret", version }
}

/// The header's value: one signature for each secret.
pub(super) fn sign(secrets: &[SecretString], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signature = |secret: &SecretString| {
        let text = secret.expose_secret();
        let key =
            Zeroizing::new(STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).unwrap_or_default());
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    secrets.iter().map(signature).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use tidemark_testkit::SeededEntropy;

    use super::*;

    /// The example of the specification.
    #[test]
    fn the_specifications_example_comes_out() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature =
            sign(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs_and_none_is_like_another() {
        let entropy = SeededEntropy::new(1);
        let secrets = [new_secret(&entropy), new_secret(&entropy)];
        assert_ne!(secrets[0].expose_secret(), secrets[1].expose_secret());
        assert_eq!(secrets[0].expose_secret().len(), PREFIX.len() + 44);
        let both = sign(&secrets, "evt", 1, b"body");
        let each: Vec<_> =
            secrets.iter().map(|secret| sign(std::slice::from_ref(secret), "evt", 1, b"body")).collect();
        assert_eq!(both, each.join(" "));
    }
}
