//! Seals what is kept of an answer with the client's own key, which is kept as a hash alone: who reads the database does not
//! read what programs have printed, if the key cannot be guessed. ChaCha20-Poly1305 (RFC 8439). Knows no request.

use devpocket_shared::ids::UserId;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use crate::store::{KeptAnswer, StoreError};

/// What opens the answers of one request.
pub(super) struct Seal(LessSafeKey);

impl Seal {
    /// The seal of a client's key, for one user and route: who writes to the database cannot put an answer in another's place. (No
    /// route has a NUL in it.)
    #[expect(clippy::expect_used, reason = "a hash is as long as such a key")]
    pub(super) fn of(user_id: UserId, route: &str, key: &str) -> Self {
        let secret = Sha256::new_with_prefix("devpocket kept answer")
            .chain_update(user_id.uuid().as_bytes())
            .chain_update(route)
            .chain_update([0])
            .chain_update(key)
            .finalize();
        Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &secret).expect("32 bytes")))
    }

    /// The answer, sealed: a nonce, and its body.
    pub(super) fn closed(&self, answer: &KeptAnswer) -> Result<KeptAnswer, StoreError> {
        let failed = || StoreError::corrupt("an answer that cannot be sealed");
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| failed())?;
        let mut body = answer.body.clone();
        let sealed = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(answer.status.to_be_bytes()),
            &mut body,
        );
        sealed.map_err(|_| failed())?;
        Ok(KeptAnswer { status: answer.status, body: [&nonce[..], &body].concat() })
    }

    /// The answer as it was. One of JSON was kept before answers were sealed.
    pub(super) fn opened(&self, sealed: KeptAnswer) -> Result<KeptAnswer, StoreError> {
        if serde_json::from_slice::<IgnoredAny>(&sealed.body).is_ok() {
            return Ok(sealed);
        }
        let KeptAnswer { status, body } = sealed;
        let failed = || StoreError::corrupt("a kept answer that does not open");
        let (nonce, sealed) = body.split_first_chunk::<NONCE_LEN>().ok_or_else(failed)?;
        let mut body = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(status.to_be_bytes()), &mut body);
        let len = opened.map_err(|_| failed())?.len();
        body.truncate(len);
        Ok(KeptAnswer { status, body })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_of_the_same_user_and_route_alone() {
        let answer = KeptAnswer { status: 200, body: b"what was printed".to_vec() };
        let (ann, bob) = (UserId::new(Uuid::from_u128(1)), UserId::new(Uuid::from_u128(2)));
        let seal = Seal::of(ann, "a route", "a key");
        let others = [
            Seal::of(ann, "a route", "another key"),
            Seal::of(bob, "a route", "a key"),
            Seal::of(ann, "another route", "a key"),
        ];
        let (one, two) = (seal.closed(&answer).unwrap(), seal.closed(&answer).unwrap());
        assert_ne!(one.body, two.body);
        assert!(!one.body.windows(4).any(|bytes| bytes == b"what"), "{one:?}");
        assert_eq!(seal.opened(one.clone()).unwrap(), answer);
        assert!(others.iter().all(|other| other.opened(one.clone()).is_err()));
        assert!(seal.opened(KeptAnswer { status: 422, ..one }).is_err());
        assert!(seal.opened(KeptAnswer { status: 200, body: vec![0; 5] }).is_err());
        let unsealed = KeptAnswer { status: 201, body: b"{\"id\": 1}".to_vec() };
        assert_eq!(seal.opened(unsealed.clone()).unwrap(), unsealed);
    }
}
