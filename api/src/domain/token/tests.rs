//! Attacks on tokens, forged with the real secret where an attacker could at best have an old one.

use jsonwebtoken::crypto::sign;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn tokens() -> Tokens {
    Tokens::new(&SecretString::from(SECRET), Duration::minutes(60)).unwrap()
}

fn t0() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn base64url(bytes: &[u8]) -> String {
    // The crate's own encoder is private; `sign` of anything shows only signatures. Six bits at a time, RFC 4648 section 5.
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

fn good_header() -> Value {
    json!({"alg": "HS256", "typ": "JWT", "kid": tokens().keys()[0].id})
}

fn good_claims() -> Value {
    json!({
        "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(2), "jti": Uuid::from_u128(3),
        "iat": t0().unix_timestamp(), "exp": t0().unix_timestamp() + 60,
        "iss": ISSUER, "aud": AUDIENCE, "type": "access",
    })
}

/// A token with any header and claims, rightly signed with the real secret.
fn forged(header: &Value, claims: &Value) -> String {
    forged_text(&header.to_string(), &claims.to_string())
}

fn forged_text(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let signature =
        sign(message.as_bytes(), &EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn with(mut value: Value, key: &str, to: Value) -> Value {
    value[key] = to;
    value
}

fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key);
    value
}

#[test]
fn what_is_signed_is_read_back() {
    let (user, device) = (UserId::new(Uuid::from_u128(1)), DeviceId::new(Uuid::from_u128(2)));
    let access = tokens().check_access(&tokens().access(user, device, t0()).unwrap(), t0()).unwrap();
    assert_eq!(
        access,
        AccessToken { user_id: user, device_id: device, expires_at: t0() + Duration::minutes(60) }
    );
    let ticket = tokens().check_ticket(&tokens().ticket(access, t0()).unwrap(), t0()).unwrap();
    assert_eq!((ticket.access, ticket.gone_at), (access, t0() + TICKET_LIFE + LEEWAY));
    assert!(
        tokens().check_access(&forged(&good_header(), &good_claims()), t0()).is_ok(),
        "the forger's base is good"
    );
}

#[test]
fn forged_headers_are_refused_even_when_rightly_signed() {
    for (key, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("nOnE")),
        ("alg", json!("HS384")),
        ("alg", json!("HS512")),
        ("alg", json!("RS256")),
        ("alg", json!("EdDSA")),
        ("alg", json!(["HS256"])),
        ("typ", json!("JWE")),
        ("typ", json!("at+jwt")),
        ("kid", json!("")),
        ("kid", json!("0000000000000000")),
        ("kid", json!("../../dev/null")),
        ("crit", json!(["x"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("cty", json!("JWT")),
    ] {
        let token = forged(&with(good_header(), key, value.clone()), &good_claims());
        assert!(matches!(tokens().check_access(&token, t0()), Err(AuthError::Invalid)), "{key}: {value}");
    }
    for key in ["alg", "typ", "kid"] {
        let token = forged(&without(good_header(), key), &good_claims());
        assert!(matches!(tokens().check_access(&token, t0()), Err(AuthError::Invalid)), "without {key}");
    }
}

#[test]
fn headers_that_point_to_other_keys_change_nothing() {
    for (key, value) in [
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
    ] {
        let header = with(good_header(), key, value);
        assert!(tokens().check_access(&forged(&header, &good_claims()), t0()).is_ok(), "{key}");
        let mut other_key = forged(&header, &good_claims());
        let cut = other_key.rfind('.').unwrap();
        let signature =
            sign(&other_key.as_bytes()[..cut], &EncodingKey::from_secret(&[0; 3]), Algorithm::HS256).unwrap();
        other_key.replace_range(cut + 1.., &signature);
        assert!(matches!(tokens().check_access(&other_key, t0()), Err(AuthError::Invalid)), "{key} trusted");
    }
}

#[test]
fn forged_claims_are_refused_even_when_rightly_signed() {
    let soon = t0().unix_timestamp() + 30;
    for (key, value) in [
        ("type", json!("ticket")),
        ("type", json!("refresh")),
        ("type", json!("reset")),
        ("type", json!("email")),
        ("type", json!("Access")),
        ("iss", json!("somebody")),
        ("iss", json!([ISSUER])),
        ("aud", json!("somebody")),
        ("aud", json!([AUDIENCE, "somebody"])),
        ("aud", json!([AUDIENCE])),
        ("nbf", json!(soon)),
        ("nbf", json!("0")),
        ("iat", json!(soon)),
        ("iat", json!("0")),
        ("exp", json!((t0().unix_timestamp() + 60).to_string())),
        ("exp", json!(1e300)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(-1)),
        ("exp", json!(null)),
        ("sub", json!("1 or 1=1")),
        ("sub", json!(7)),
        ("sid", json!("")),
        ("jti", json!("")),
    ] {
        let token = forged(&good_header(), &with(good_claims(), key, value.clone()));
        assert!(matches!(tokens().check_access(&token, t0()), Err(AuthError::Invalid)), "{key}: {value}");
    }
    for key in ["sub", "sid", "jti", "iat", "exp", "iss", "aud", "type"] {
        let token = forged(&good_header(), &without(good_claims(), key));
        assert!(matches!(tokens().check_access(&token, t0()), Err(AuthError::Invalid)), "without {key}");
    }
}

#[test]
fn a_token_ends_five_seconds_after_its_time_and_no_later() {
    let token = forged(&good_header(), &good_claims());
    assert!(tokens().check_access(&token, t0() + Duration::seconds(64)).is_ok());
    assert!(matches!(tokens().check_access(&token, t0() + Duration::seconds(65)), Err(AuthError::Expired)));
    let ahead = forged(&good_header(), &with(good_claims(), "iat", json!(t0().unix_timestamp() + 5)));
    assert!(tokens().check_access(&ahead, t0()).is_ok());
}

#[test]
fn a_token_of_one_kind_never_passes_for_the_other() {
    let access = forged(&good_header(), &good_claims());
    assert!(matches!(tokens().check_ticket(&access, t0()), Err(AuthError::Invalid)));
    let ticket = tokens().ticket(tokens().check_access(&access, t0()).unwrap(), t0()).unwrap();
    assert!(matches!(tokens().check_access(&ticket, t0()), Err(AuthError::Invalid)));
    let bare = forged(&good_header(), &with(good_claims(), "type", json!("ticket")));
    assert!(matches!(tokens().check_ticket(&bare, t0()), Err(AuthError::Invalid)), "no access_exp");
}

#[test]
fn a_ticket_does_not_outlive_its_access_token() {
    let access = tokens().check_access(&forged(&good_header(), &good_claims()), t0()).unwrap();
    let late = t0() + Duration::seconds(59);
    let ticket = tokens().ticket(access, late).unwrap();
    assert!(tokens().check_ticket(&ticket, late).is_ok());
    assert!(matches!(tokens().check_ticket(&ticket, late + Duration::seconds(10)), Err(AuthError::Expired)));
    assert!(matches!(tokens().check_ticket(&ticket, late + TICKET_LIFE + LEEWAY), Err(AuthError::Expired)));
}

#[test]
fn no_other_spelling_of_a_signature_is_accepted() {
    let token = forged(&good_header(), &good_claims());
    let check = |token: &str| {
        assert!(matches!(tokens().check_access(token, t0()), Err(AuthError::Invalid)), "{token}");
    };
    let cut = token.rfind('.').unwrap();
    let (message, signature) = (&token[..cut], &token[cut + 1..]);
    let bytes: Vec<u8> = {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        assert_eq!(sign(message.as_bytes(), &key, Algorithm::HS256).unwrap(), signature);
        keyed(SECRET.as_bytes()).chain_update(message).finalize().into_bytes().to_vec()
    };
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&format!("{message}.{}", base64url(&flipped)));
    }
    for length in 0..bytes.len() {
        check(&format!("{message}.{}", base64url(&bytes[..length])));
    }
    // The last of 43 digits holds four bits of the signature and two of nothing.
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = ALPHABET.find(&signature[42..]).unwrap();
    check(&format!("{message}.{}{}", &signature[..42], &ALPHABET[last + 1..last + 2]));
    for odd in [
        format!("{token}="),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}."),
        format!("{token}.{signature}"),
        message.to_owned(),
        format!("{message}."),
        format!(".{message}.{signature}"),
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "x".repeat(MAX_TOKEN_BYTES + 1),
    ] {
        check(&odd);
    }
}

#[test]
fn double_fields_and_texts_that_are_no_json_are_refused() {
    let header = good_header().to_string();
    let claims = good_claims().to_string();
    for (header, claims) in [
        (header.as_str(), claims.replace("\"exp\"", "\"exp\":9999999999,\"exp\"")),
        (header.as_str(), claims.replace('}', "")),
        (header.as_str(), "[]".to_owned()),
        ("{}", claims.clone()),
        ("", claims.clone()),
        ("null", claims.clone()),
    ] {
        let token = forged_text(header, &claims);
        assert!(matches!(tokens().check_access(&token, t0()), Err(AuthError::Invalid)), "{header} {claims}");
    }
}

#[test]
fn another_secret_opens_nothing_and_a_short_one_is_no_secret() {
    let other = Tokens::new(&SecretString::from("f".repeat(32)), Duration::minutes(60)).unwrap();
    let token = forged(&good_header(), &good_claims());
    assert!(matches!(other.check_access(&token, t0()), Err(AuthError::Invalid)));
    assert_eq!(
        Tokens::new(&SecretString::from("f".repeat(31)), Duration::minutes(60)).err(),
        Some(BadKeys::TooShort { line: 1 })
    );
}

#[test]
fn a_key_signs_when_its_turn_has_come_and_what_the_one_before_signed_is_good_while_it_is_listed() {
    let (user, device) = (UserId::new(Uuid::from_u128(1)), DeviceId::new(Uuid::from_u128(2)));
    let turn = t0() + Duration::seconds(10);
    let list = |text: String| KeyList::parse(&text.into()).unwrap();
    let (fresh, time) = ("f".repeat(32), "2027-01-15T08:00:10Z");
    assert_eq!(turn.unix_timestamp(), 1_800_000_010);
    let tokens = tokens();
    let first = tokens.access(user, device, t0()).unwrap();

    tokens.replace_keys(&list(format!("{SECRET}\n{time} {fresh}")));
    let kid = |token: &str| decode_header(token).unwrap().kid.unwrap();
    let still = tokens.access(user, device, turn - Duration::SECOND).unwrap();
    let then = tokens.access(user, device, turn).unwrap();
    assert_eq!(kid(&still), kid(&first));
    assert_ne!(kid(&then), kid(&first));
    for token in [&first, &still, &then] {
        tokens.check_access(token, turn).unwrap();
    }
    tokens.replace_keys(&list(fresh));
    assert!(matches!(tokens.check_access(&first, turn), Err(AuthError::Invalid)));
    tokens.check_access(&then, turn).unwrap();
}
