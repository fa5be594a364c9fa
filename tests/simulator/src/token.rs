//! Page and delta tokens: opaque, tied to one server, and full of characters that survive only verbatim handling.
//!
//! A token is the state of a listing as JSON, enciphered and signed. The signature is no security; it makes every
//! damaged token an error instead of a wrong answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tenant::mix;

/// Makes and reads tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealer {
    key: u64,
    length: usize,
}

impl Sealer {
    pub(crate) fn new(seed: u64, length: usize) -> Self {
        Self { key: mix(seed ^ 0x5ea1), length }
    }

    /// A token for a state. Every token has `_`, `-`, `+` and `/` in it, unencoded.
    pub(crate) fn seal<T: Serialize>(&self, state: &T) -> String {
        let mut text = serde_json::to_vec(state).expect("token states are plain data");
        // Four characters of text become three of payload; trailing blanks are harmless in JSON.
        let wanted = (self.length * 3 / 4).saturating_sub(16);
        text.resize(text.len().max(wanted), b' ');
        let sum = checksum(self.key, &text);
        encipher(sum, &mut text);
        format!("{}_{}-+/", BASE64.encode(text), BASE64.encode(sum.to_be_bytes()))
    }

    /// The state behind a token; `None` unless it is, character by character, one that this server made.
    pub(crate) fn open<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let (payload, sum) = token.strip_suffix("-+/")?.split_once('_')?;
        let sum = u64::from_be_bytes(BASE64.decode(sum).ok()?.try_into().ok()?);
        let mut text = BASE64.decode(payload).ok()?;
        encipher(sum, &mut text);
        if checksum(self.key, &text) != sum {
            return None;
        }
        serde_json::from_slice(&text).ok()
    }

    /// A signature in looks, a checksum in strength.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let sum = checksum(self.key, bytes);
        (0..4).flat_map(|part| mix(sum ^ part).to_be_bytes()).collect()
    }
}

fn checksum(key: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(key, |sum, byte| mix(sum ^ u64::from(*byte)))
}

/// Adds a key stream; doing it twice gives the plain text again.
fn encipher(key: u64, bytes: &mut [u8]) {
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        let stream = mix(key ^ index as u64).to_be_bytes();
        for (byte, mask) in chunk.iter_mut().zip(stream) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_only_verbatim() {
        let sealer = Sealer::new(7, 200);
        let token = sealer.seal(&("state", 42));
        assert!(token.len() >= 190, "{}", token.len());
        assert_eq!(sealer.open::<(String, u32)>(&token), Some(("state".to_owned(), 42)));
        for damaged in [
            token.replace('+', " "),
            token.replace('+', "%2B"),
            token.replace('/', "%2F"),
            token[1..].to_owned(),
        ] {
            assert_eq!(sealer.open::<(String, u32)>(&damaged), None, "{damaged}");
        }
        assert_eq!(Sealer::new(8, 200).open::<(String, u32)>(&token), None);
    }
}
