//! Signed tokens: access tokens and one-time tickets (API.md section 3). Says what a
//! token proves, not whether its device is still signed in.

mod guess;
mod key_id;
mod keys;
mod provider;

use std::sync::{Arc, PoisonError, RwLock};

use devpocket_shared::ids::{DeviceId, UserId};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::identity::AuthError;
use super::secret_token::hex;

use keys::{ListedKey, Material};

pub use key_id::{KeyId, Vouchers};
pub use keys::{BadKeys, KeyAlgorithm, KeyList, MAX_KEYS, TokenKeys};

/// Fewest bytes of a signing secret (RFC 7518 section 3.2: no shorter than the hash).
pub const MIN_SECRET_BYTES: usize = 32;
/// How long a ticket may be used.
pub const TICKET_LIFE: Duration = Duration::seconds(30);
/// Longest life that access tokens may be given, in minutes.
pub const MAX_ACCESS_MINUTES: i64 = 525_600;
/// A token that says it lives longer was made by nobody who is configured. What this api gives its own is no bound: one that
/// was made while that was longer stays good.
const MAX_ACCESS_LIFE: Duration = Duration::minutes(MAX_ACCESS_MINUTES);
/// How far another api's clock may be off.
const LEEWAY: Duration = Duration::seconds(5);
/// How much longer than its life an access token may be good after its device was signed out: clocks differ, and a request
/// under way may have it made a little later.
const LATE: Duration = Duration::minutes(1);
/// Longest token looked at; ours are about 500 bytes.
const MAX_TOKEN_BYTES: usize = 4096;
const ISSUER: &str = "devpocket";
const AUDIENCE: &str = "devpocket-api";

/// What a good access token says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccessToken {
    /// Whose it is.
    pub user_id: UserId,
    /// The device it was given to.
    pub device_id: DeviceId,
    /// When it ends.
    pub expires_at: OffsetDateTime,
    /// The key that signed it.
    pub key: KeyId,
}

/// What a good ticket says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ticket {
    /// The ticket's own id: it is used once.
    pub id: Uuid,
    /// When nobody accepts it any more.
    pub gone_at: OffsetDateTime,
    /// What the access token it came from said.
    pub access: AccessToken,
    /// The key that signed the ticket.
    pub key: KeyId,
}

/// Signs tokens with the key whose turn it is, and checks them with all that are listed.
pub struct Tokens {
    keys: RwLock<Arc<Keys>>,
    access_life: Duration,
}

/// All keys, ready for use.
struct Keys {
    /// Those that may sign; never empty.
    signers: Vec<Signer>,
    checkers: Vec<Checker>,
}

struct Signer {
    header: Header,
    key: EncodingKey,
    signs_from: Option<OffsetDateTime>,
}

struct Checker {
    id: KeyId,
    algorithm: Algorithm,
    key: DecodingKey,
    validation: Validation,
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("token could not be signed")]
pub struct SigningError(#[from] jsonwebtoken::errors::Error);

#[derive(Deserialize, Serialize)]
struct Claims {
    sub: UserId,
    sid: DeviceId,
    jti: Uuid,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    iss: String,
    aud: String,
    #[serde(rename = "type")]
    kind: Kind,
    /// In a ticket: when its access token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_exp: Option<i64>,
    /// And the key that signed that.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_kid: Option<KeyId>,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Access,
    Ticket,
}

impl Keys {
    fn new(keys: &TokenKeys) -> Self {
        let signers = keys.signing.keys().iter().filter_map(Signer::new).collect();
        let accepted = keys.accepted.iter().flat_map(KeyList::keys);
        let checkers = keys.signing.keys().iter().chain(accepted).map(Checker::new).collect();
        Self { signers, checkers }
    }

    fn accepts(&self, id: KeyId) -> bool {
        self.checkers.iter().any(|key| key.id == id)
    }
}

impl Signer {
    /// None for a key that can but check.
    fn new(listed: &ListedKey) -> Option<Self> {
        let key = match &listed.material {
            Material::Secret(secret) => EncodingKey::from_secret(secret.expose_secret().as_bytes()),
            Material::Ed(key) => EncodingKey::from_ed_der(key.private()?),
        };
        let mut header = Header::new(algorithm(listed));
        header.kid = Some(id(listed).as_str().to_owned());
        Some(Self { header, key, signs_from: listed.signs_from })
    }
}

impl Checker {
    fn new(listed: &ListedKey) -> Self {
        let algorithm = algorithm(listed);
        let mut validation = Validation::new(algorithm);
        // Dates and names are checked below, against our own clock and by strict types: this crate would take a list as
        // `aud`.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = match &listed.material {
            Material::Secret(secret) => DecodingKey::from_secret(secret.expose_secret().as_bytes()),
            Material::Ed(key) => DecodingKey::from_ed_der(key.public()),
        };
        Self { id: id(listed), algorithm, key, validation }
    }
}

fn algorithm(listed: &ListedKey) -> Algorithm {
    match listed.material {
        Material::Secret(_) => Algorithm::HS256,
        Material::Ed(_) => Algorithm::EdDSA,
    }
}

/// What tokens name a key by.
#[expect(clippy::expect_used, reason = "eight bytes are 16 digits")]
fn id(listed: &ListedKey) -> KeyId {
    const PURPOSE: &str = "devpocket key id";
    let named = match &listed.material {
        Material::Secret(secret) => Sha256::digest(
            keyed(secret.expose_secret().as_bytes()).chain_update(PURPOSE).finalize().into_bytes(),
        ),
        Material::Ed(key) => Sha256::new_with_prefix(PURPOSE).chain_update(key.public()).finalize(),
    };
    KeyId::parse(&hex(&named[..8])).expect("16 digits")
}

impl Tokens {
    /// Tokens signed with one of `keys`; access tokens live for `access_life`.
    pub fn new(keys: &TokenKeys, access_life: Duration) -> Self {
        provider::install();
        Self { keys: RwLock::new(Arc::new(Keys::new(keys))), access_life }
    }

    /// From here on these keys are the ones.
    pub fn replace_keys(&self, keys: &TokenKeys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Keys::new(keys));
    }

    /// Whether the keys that vouch for somebody are accepted still.
    pub fn accepts(&self, vouchers: Vouchers) -> bool {
        let keys = self.keys();
        [Some(vouchers.access), vouchers.ticket].into_iter().flatten().all(|id| keys.accepts(id))
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long an access token lives.
    pub fn access_life(&self) -> Duration {
        self.access_life
    }

    /// How long the tokens of a device that is signed out may be good, but for that.
    pub fn outliving(&self) -> std::time::Duration {
        outliving(self.access_life)
    }

    /// An access token for a device.
    pub fn access(
        &self,
        user_id: UserId,
        device_id: DeviceId,
        now: OffsetDateTime,
    ) -> Result<String, SigningError> {
        self.sign(Kind::Access, user_id, device_id, now, self.access_life, None)
    }

    /// What an access token says, if it is one of ours and good now.
    pub fn check_access(&self, token: &str, now: OffsetDateTime) -> Result<AccessToken, AuthError> {
        let (claims, key) = self.check(Kind::Access, token, now)?;
        Ok(AccessToken { user_id: claims.sub, device_id: claims.sid, expires_at: at(claims.exp)?, key })
    }

    /// A ticket that stands for `access` for [`TICKET_LIFE`].
    pub fn ticket(&self, access: AccessToken, now: OffsetDateTime) -> Result<String, SigningError> {
        self.sign(Kind::Ticket, access.user_id, access.device_id, now, TICKET_LIFE, Some(access))
    }

    /// What a ticket says, if it is one of ours, good now, and its access token is too.
    pub fn check_ticket(&self, token: &str, now: OffsetDateTime) -> Result<Ticket, AuthError> {
        let (claims, key) = self.check(Kind::Ticket, token, now)?;
        let expires_at = at(claims.access_exp.ok_or(AuthError::Invalid)?)?;
        // An api of a release before this claim leaves it out, for one that runs beside it.
        let signed_by = claims.access_kid.unwrap_or(key);
        if expires_at > at(claims.iat)? + MAX_ACCESS_LIFE || !self.keys().accepts(signed_by) {
            return Err(AuthError::Invalid);
        }
        if expires_at + LEEWAY <= now {
            return Err(AuthError::Expired);
        }
        let access = AccessToken { user_id: claims.sub, device_id: claims.sid, expires_at, key: signed_by };
        Ok(Ticket { id: claims.jti, gone_at: at(claims.exp)? + LEEWAY, access, key })
    }

    fn sign(
        &self,
        kind: Kind,
        sub: UserId,
        sid: DeviceId,
        now: OffsetDateTime,
        life: Duration,
        access: Option<AccessToken>,
    ) -> Result<String, SigningError> {
        let claims = Claims {
            sub,
            sid,
            jti: Uuid::new_v4(),
            iat: now.unix_timestamp(),
            exp: (now + life).unix_timestamp(),
            nbf: None,
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            kind,
            access_exp: access.map(|access| access.expires_at.unix_timestamp()),
            access_kid: access.map(|access| access.key),
        };
        let keys = self.keys();
        let turn = keys::signing(keys.signers.iter().map(|signer| signer.signs_from), now);
        let signer = &keys.signers[turn];
        Ok(encode(&signer.header, &claims, &signer.key)?)
    }

    fn check(&self, kind: Kind, token: &str, now: OffsetDateTime) -> Result<(Claims, KeyId), AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Invalid);
        }
        let header = decode_header(token).map_err(|_| AuthError::Invalid)?;
        let keys = self.keys();
        let named = keys.checkers.iter().find(|key| header.kid.as_deref() == Some(key.id.as_str()));
        let key = named.filter(|key| takes(key, &header)).ok_or(AuthError::Invalid)?;
        let claims: Claims = decode(token, &key.key, &key.validation).map_err(|_| AuthError::Invalid)?.claims;
        if claims.kind != kind || claims.iss != ISSUER || claims.aud != AUDIENCE {
            return Err(AuthError::Invalid);
        }
        let starts = at(claims.nbf.unwrap_or(claims.iat).max(claims.iat))?;
        let longest = match kind {
            Kind::Access => MAX_ACCESS_LIFE,
            Kind::Ticket => TICKET_LIFE,
        };
        if starts > now + LEEWAY || at(claims.exp)? > at(claims.iat)? + longest {
            return Err(AuthError::Invalid);
        }
        if at(claims.exp)? + LEEWAY <= now {
            return Err(AuthError::Expired);
        }
        Ok((claims, key.id))
    }
}

/// [`Tokens::outliving`], where access tokens live for `access_life`.
pub fn outliving(access_life: Duration) -> std::time::Duration {
    (access_life + LATE).unsigned_abs()
}

/// The key decides the algorithm. A header that needs understanding (`crit`, RFC 7515 section 4.1.11; `b64`, RFC 7797)
/// or says the token is something else is refused; those that point to keys (`jku`, `jwk`, `x5u`) are not looked at.
fn takes(key: &Checker, header: &Header) -> bool {
    header.alg == key.algorithm
        && header.typ.as_deref() == Some("JWT")
        && header.crit.is_none()
        && header.zip.is_none()
        && header.enc.is_none()
        && header.cty.is_none()
        && !header.extras.inner().contains_key("b64")
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("any key length")
}

fn at(seconds: i64) -> Result<OffsetDateTime, AuthError> {
    // Far enough from the type's own end for a leeway to be added.
    const FAR: i64 = 250_000_000_000;
    (0..FAR)
        .contains(&seconds)
        .then(|| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .flatten()
        .ok_or(AuthError::Invalid)
}

#[cfg(test)]
mod tests;
