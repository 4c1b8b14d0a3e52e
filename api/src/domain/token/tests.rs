//! Attacks on tokens, forged with the real secret where an attacker could at best have an old one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::sign;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// RFC 8032 section 7.1, test 1: a private key, in DER and in PEM, and its public key.
const PRIVATE_DER: [u8; 48] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20\
    \x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
const PUBLIC: [u8; 32] = *b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";

/// What signs for an attacker.
#[derive(Clone)]
struct Signing(Algorithm, EncodingKey);

impl Signing {
    fn hs256(secret: &[u8]) -> Self {
        Self(Algorithm::HS256, EncodingKey::from_secret(secret))
    }

    fn eddsa() -> Self {
        Self(Algorithm::EdDSA, EncodingKey::from_ed_der(&PRIVATE_DER))
    }

    /// A token with any header and claims.
    fn forged(&self, header: &Value, claims: &Value) -> String {
        self.forged_text(&header.to_string(), &claims.to_string())
    }

    fn forged_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        format!("{message}.{}", self.signature(&message))
    }

    fn signature(&self, message: &str) -> String {
        sign(message.as_bytes(), &self.1, self.0).unwrap()
    }
}

/// A deployment, and its own key in the hands of an attacker.
struct Attacked {
    tokens: Tokens,
    header: Value,
    signing: Signing,
}

impl Attacked {
    fn new(keys: &TokenKeys, signing: Signing) -> Self {
        let tokens = Tokens::new(keys, Duration::minutes(60));
        let kid = tokens.keys().signers[0].header.kid.clone();
        let name = if signing.0 == Algorithm::HS256 { "HS256" } else { "EdDSA" };
        Self { tokens, header: json!({"alg": name, "typ": "JWT", "kid": kid}), signing }
    }

    /// One for each algorithm, and where both are accepted one for each that signs.
    fn each() -> [Self; 4] {
        let (secret, private) = (|| secrets(SECRET), || pem(PRIVATE_PEM));
        let keys = |signing, accepted| TokenKeys::new(signing, accepted).unwrap();
        [
            Self::new(&keys(secret(), None), Signing::hs256(SECRET.as_bytes())),
            Self::new(&keys(private(), None), Signing::eddsa()),
            Self::new(&keys(secret(), Some(private())), Signing::hs256(SECRET.as_bytes())),
            Self::new(&keys(private(), Some(secret())), Signing::eddsa()),
        ]
    }

    fn forged(&self, header: &Value, claims: &Value) -> String {
        self.signing.forged(header, claims)
    }

    fn check(&self, token: &str) -> Result<AccessToken, AuthError> {
        self.tokens.check_access(token, t0())
    }

    #[track_caller]
    fn refuses(&self, token: &str, why: &str) {
        let said = self.check(token);
        assert!(matches!(said, Err(AuthError::Invalid)), "{:?} {why}: {said:?}", self.signing.0);
    }
}

fn secrets(text: &str) -> KeyList {
    KeyList::parse(&text.into()).unwrap()
}

fn pem(text: &str) -> KeyList {
    KeyList::parse_pem(&text.into()).unwrap()
}

fn t0() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn good_claims() -> Value {
    json!({
        "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(2), "jti": Uuid::from_u128(3),
        "iat": t0().unix_timestamp(), "exp": t0().unix_timestamp() + 60,
        "iss": ISSUER, "aud": AUDIENCE, "type": "access",
    })
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
    for it in Attacked::each() {
        let (user, device) = (UserId::new(Uuid::from_u128(1)), DeviceId::new(Uuid::from_u128(2)));
        let token = it.tokens.access(user, device, t0()).unwrap();
        let access = it.check(&token).unwrap();
        let key = KeyId::parse(it.header["kid"].as_str().unwrap()).unwrap();
        let expires_at = t0() + Duration::minutes(60);
        assert_eq!(access, AccessToken { user_id: user, device_id: device, expires_at, key });
        let ticket = it.tokens.check_ticket(&it.tokens.ticket(access, t0()).unwrap(), t0()).unwrap();
        assert_eq!((ticket.access, ticket.gone_at), (access, t0() + TICKET_LIFE + LEEWAY));
        assert!(it.tokens.accepts(Vouchers { access: key, ticket: Some(ticket.key) }));
        assert!(it.check(&it.forged(&it.header, &good_claims())).is_ok(), "the forger's base is good");
        let signed_by = decode_header(&token).unwrap();
        assert_eq!((signed_by.alg, signed_by.kid.as_deref()), (it.signing.0, it.header["kid"].as_str()));
    }
}

#[test]
fn forged_headers_are_refused_even_when_rightly_signed() {
    for it in Attacked::each() {
        for (key, value) in [
            ("alg", json!("none")),
            ("alg", json!("None")),
            ("alg", json!("nOnE")),
            ("alg", json!("HS384")),
            ("alg", json!("HS512")),
            ("alg", json!("RS256")),
            ("alg", json!("ES256")),
            ("alg", json!("Ed25519")),
            ("alg", json!(if it.signing.0 == Algorithm::HS256 { "EdDSA" } else { "HS256" })),
            ("alg", json!([it.header["alg"]])),
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
            let token = it.forged(&with(it.header.clone(), key, value.clone()), &good_claims());
            it.refuses(&token, &format!("{key}: {value}"));
        }
        for key in ["alg", "typ", "kid"] {
            it.refuses(
                &it.forged(&without(it.header.clone(), key), &good_claims()),
                &format!("without {key}"),
            );
        }
    }
}

/// The classic: a public key is known to everybody, so what is signed with its bytes as a secret is signed by nobody.
#[test]
fn no_key_passes_for_one_of_the_other_algorithm() {
    let [by_secret, by_key, both, both_by_key] = Attacked::each();
    let hs256 = |it: &Attacked| with(it.header.clone(), "alg", json!("HS256"));
    let spki = [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], &PUBLIC].concat();
    for it in [&by_key, &both_by_key, &both] {
        for secret in [&PUBLIC[..], &spki, PUBLIC_PEM.as_bytes(), PUBLIC_PEM.trim_end().as_bytes(), b""] {
            let forger = Signing::hs256(secret);
            for header in [hs256(&by_key), by_key.header.clone(), without(hs256(&by_key), "kid")] {
                it.refuses(&forger.forged(&header, &good_claims()), "signed with the public key");
            }
        }
        // Under the name that a secret of its digits would have.
        let (digits, named) = (base64url(&PUBLIC), |text: &str| id(&secrets(text).keys()[0]));
        let header = with(hs256(&by_key), "kid", json!(named(&digits)));
        it.refuses(&Signing::hs256(digits.as_bytes()).forged(&header, &good_claims()), "named after the key");
    }
    // Where both are accepted, each under the other's name and algorithm.
    for it in [&both, &both_by_key] {
        assert!(it.check(&by_secret.forged(&by_secret.header, &good_claims())).is_ok(), "accepted");
        assert!(it.check(&by_key.forged(&by_key.header, &good_claims())).is_ok(), "accepted");
        for (signer, named) in [(&by_secret, &by_key), (&by_key, &by_secret)] {
            for alg in ["HS256", "EdDSA"] {
                let header = with(named.header.clone(), "alg", json!(alg));
                it.refuses(&signer.forged(&header, &good_claims()), &format!("{alg}, {header}"));
            }
        }
    }
    by_key.refuses(&by_secret.forged(&by_secret.header, &good_claims()), "the secret is not listed");
    by_secret.refuses(&by_key.forged(&by_key.header, &good_claims()), "the key is not listed");
}

#[test]
fn headers_that_point_to_other_keys_change_nothing() {
    for it in Attacked::each() {
        for (key, value) in [
            ("jku", json!("https://evil.example/keys")),
            ("x5u", json!("https://evil.example/cert")),
            ("x5c", json!(["MIIB"])),
            ("jwk", json!({"kty": "oct", "k": "AAAA"})),
            ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(&PUBLIC)})),
        ] {
            let header = with(it.header.clone(), key, value);
            let good = it.forged(&header, &good_claims());
            assert!(it.check(&good).is_ok(), "{key}");
            let (message, _) = good.rsplit_once('.').unwrap();
            let other = Signing::hs256(&[0; 3]).signature(message);
            it.refuses(&format!("{message}.{other}"), &format!("{key} trusted"));
        }
    }
}

#[test]
fn forged_claims_are_refused_even_when_rightly_signed() {
    for it in Attacked::each() {
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
            let token = it.forged(&it.header, &with(good_claims(), key, value.clone()));
            assert!(
                matches!(it.tokens.check_access(&token, t0()), Err(AuthError::Invalid)),
                "{key}: {value}"
            );
        }
        for key in ["sub", "sid", "jti", "iat", "exp", "iss", "aud", "type"] {
            let token = it.forged(&it.header, &without(good_claims(), key));
            assert!(matches!(it.tokens.check_access(&token, t0()), Err(AuthError::Invalid)), "without {key}");
        }
    }
}

#[test]
fn a_token_ends_five_seconds_after_its_time_and_no_later() {
    for it in Attacked::each() {
        let token = it.forged(&it.header, &good_claims());
        assert!(it.tokens.check_access(&token, t0() + Duration::seconds(64)).is_ok());
        assert!(matches!(
            it.tokens.check_access(&token, t0() + Duration::seconds(65)),
            Err(AuthError::Expired)
        ));
        let ahead = it.forged(&it.header, &with(good_claims(), "iat", json!(t0().unix_timestamp() + 5)));
        assert!(it.tokens.check_access(&ahead, t0()).is_ok());
    }
}

#[test]
fn a_token_of_one_kind_never_passes_for_the_other() {
    for it in Attacked::each() {
        let access = it.forged(&it.header, &good_claims());
        assert!(matches!(it.tokens.check_ticket(&access, t0()), Err(AuthError::Invalid)));
        let ticket = it.tokens.ticket(it.tokens.check_access(&access, t0()).unwrap(), t0()).unwrap();
        assert!(matches!(it.tokens.check_access(&ticket, t0()), Err(AuthError::Invalid)));
        let bare = it.forged(&it.header, &with(good_claims(), "type", json!("ticket")));
        assert!(matches!(it.tokens.check_ticket(&bare, t0()), Err(AuthError::Invalid)), "no access_exp");
    }
}

#[test]
fn a_ticket_does_not_outlive_its_access_token() {
    for it in Attacked::each() {
        let access = it.tokens.check_access(&it.forged(&it.header, &good_claims()), t0()).unwrap();
        let late = t0() + Duration::seconds(59);
        let ticket = it.tokens.ticket(access, late).unwrap();
        assert!(it.tokens.check_ticket(&ticket, late).is_ok());
        assert!(matches!(
            it.tokens.check_ticket(&ticket, late + Duration::seconds(10)),
            Err(AuthError::Expired)
        ));
        assert!(matches!(
            it.tokens.check_ticket(&ticket, late + TICKET_LIFE + LEEWAY),
            Err(AuthError::Expired)
        ));
    }
}

/// The story: with a key that had leaked a token was forged that was good for ten years.
#[test]
fn a_token_that_says_it_lives_longer_than_any_may_is_refused() {
    for it in Attacked::each() {
        let lives = |seconds: i64| {
            it.forged(&it.header, &with(good_claims(), "exp", json!(t0().unix_timestamp() + seconds)))
        };
        let year = MAX_ACCESS_LIFE.whole_seconds();
        assert!(it.check(&lives(year)).is_ok(), "whatever this api's own access tokens are given");
        it.refuses(&lives(year + 1), "longer than any");
        let ticket = |life: i64, access_life: i64| {
            let claims = with(good_claims(), "type", json!("ticket"));
            let claims = with(claims, "exp", json!(t0().unix_timestamp() + life));
            it.forged(&it.header, &with(claims, "access_exp", json!(t0().unix_timestamp() + access_life)))
        };
        let check = |token: &str| it.tokens.check_ticket(token, t0());
        assert!(
            check(&ticket(30, year)).is_ok(),
            "one without `access_kid` too, of an api of the release before"
        );
        assert!(matches!(check(&ticket(31, year)), Err(AuthError::Invalid)));
        assert!(matches!(check(&ticket(30, year + 1)), Err(AuthError::Invalid)));
    }
}

/// The story: a key that had leaked was dropped, and what it had opened stayed open: who vouched was forgotten.
#[test]
fn with_a_key_that_is_dropped_goes_whoever_it_vouched_for_by_a_ticket_too() {
    let (user, device) = (UserId::new(Uuid::from_u128(1)), DeviceId::new(Uuid::from_u128(2)));
    let keys = |text: &str| TokenKeys::new(secrets(text), None).unwrap();
    let (leaked, fresh) = (SECRET, "5f1c0e9ab37d42685f1c0e9ab37d4268");
    let tokens = Tokens::new(&keys(leaked), Duration::minutes(60));
    let named = |text: &str| id(&secrets(text).keys()[0]);
    let access = tokens.check_access(&tokens.access(user, device, t0()).unwrap(), t0()).unwrap();
    assert_eq!(access.key, named(leaked));
    tokens.replace_keys(&keys(&format!("{fresh}\n{leaked}")));
    // Bought with a token of the one key, signed by the other.
    let bought = tokens.ticket(access, t0()).unwrap();
    let ticket = tokens.check_ticket(&bought, t0()).unwrap();
    assert_eq!((ticket.access.key, ticket.key), (named(leaked), named(fresh)));
    // Forged with the one, naming the other.
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": named(leaked)});
    let claims = with(with(good_claims(), "type", json!("ticket")), "access_kid", json!(named(fresh)));
    let claims = with(
        with(claims, "exp", json!(t0().unix_timestamp() + 30)),
        "access_exp",
        good_claims()["exp"].clone(),
    );
    let forged = Signing::hs256(leaked.as_bytes()).forged(&header, &claims);
    let forged_ticket = tokens.check_ticket(&forged, t0()).unwrap();

    let of = |ticket: Ticket| Vouchers { access: ticket.access.key, ticket: Some(ticket.key) };
    let let_in = [Vouchers { access: access.key, ticket: None }, of(ticket), of(forged_ticket)];
    assert!(let_in.iter().all(|vouchers| tokens.accepts(*vouchers)));
    tokens.replace_keys(&keys(fresh));
    for vouchers in let_in {
        assert!(!tokens.accepts(vouchers), "{vouchers:?}");
    }
    assert!(matches!(tokens.check_ticket(&bought, t0()), Err(AuthError::Invalid)));
    assert!(matches!(tokens.check_ticket(&forged, t0()), Err(AuthError::Invalid)));
    assert!(tokens.accepts(Vouchers { access: named(fresh), ticket: Some(named(fresh)) }));
}

#[test]
fn no_other_spelling_of_a_signature_is_accepted() {
    for it in Attacked::each() {
        let token = it.forged(&it.header, &good_claims());
        let check = |token: &str| {
            assert!(matches!(it.tokens.check_access(token, t0()), Err(AuthError::Invalid)), "{token}");
        };
        let cut = token.rfind('.').unwrap();
        let (message, signature) = (&token[..cut], &token[cut + 1..]);
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&format!("{message}.{}", base64url(&flipped)));
        }
        for length in 0..bytes.len() {
            check(&format!("{message}.{}", base64url(&bytes[..length])));
        }
        // The last of 43 digits holds four bits of the signature and two of nothing; of 86, two and four.
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (most, last) = signature.split_at(signature.len() - 1);
        let last = ALPHABET.find(last).unwrap();
        check(&format!("{message}.{most}{}", &ALPHABET[last + 1..last + 2]));
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
}

#[test]
fn double_fields_and_texts_that_are_no_json_are_refused() {
    for it in Attacked::each() {
        let header = it.header.clone().to_string();
        let claims = good_claims().to_string();
        for (header, claims) in [
            (header.as_str(), claims.replace("\"exp\"", "\"exp\":9999999999,\"exp\"")),
            (header.as_str(), claims.replace('}', "")),
            (header.as_str(), "[]".to_owned()),
            ("{}", claims.clone()),
            ("", claims.clone()),
            ("null", claims.clone()),
        ] {
            let token = it.signing.forged_text(header, &claims);
            assert!(
                matches!(it.tokens.check_access(&token, t0()), Err(AuthError::Invalid)),
                "{header} {claims}"
            );
        }
    }
}

#[test]
fn another_key_opens_nothing() {
    let [by_secret, by_key, ..] = Attacked::each();
    let others = [
        (&by_secret, TokenKeys::of_secret(&"f".repeat(32))),
        (&by_key, TokenKeys::new(pem(KeyList::fresh_pem().unwrap().expose_secret()), None).unwrap()),
    ];
    for (it, keys) in others {
        let other = Tokens::new(&keys, Duration::minutes(60));
        let token = it.forged(&it.header, &good_claims());
        assert!(matches!(other.check_access(&token, t0()), Err(AuthError::Invalid)));
        // Nor does it under the right key's name.
        let named =
            other.access(UserId::new(Uuid::from_u128(1)), DeviceId::new(Uuid::from_u128(2)), t0()).unwrap();
        it.refuses(&named, "another key");
        let forger = Signing(it.signing.0, other.keys().signers[0].key.clone());
        it.refuses(&forger.forged(&it.header, &good_claims()), "another key by this one's name");
    }
}

#[test]
fn a_key_signs_when_its_turn_has_come_and_what_the_one_before_signed_is_good_while_it_is_listed() {
    let (user, device) = (UserId::new(Uuid::from_u128(1)), DeviceId::new(Uuid::from_u128(2)));
    let turn = t0() + Duration::seconds(10);
    let (fresh, time) = ("f".repeat(32), "2027-01-15T08:00:10Z");
    let fresh_pem = KeyList::fresh_pem().unwrap();
    let fresh_pem = fresh_pem.expose_secret();
    assert_eq!(turn.unix_timestamp(), 1_800_000_010);
    let keys = |list| TokenKeys::new(list, None).unwrap();
    let kid = |token: &str| decode_header(token).unwrap().kid.unwrap();
    for (first_keys, both, last, before) in [
        (secrets(SECRET), secrets(&format!("{SECRET}\n{time} {fresh}")), secrets(&fresh), None),
        (
            pem(PRIVATE_PEM),
            pem(&format!("{PRIVATE_PEM}{time}\n{fresh_pem}")),
            pem(fresh_pem),
            // The private key may go, and the public one be listed until its tokens have ended.
            Some(pem(&format!("{PUBLIC_PEM}{fresh_pem}"))),
        ),
    ] {
        let tokens = Tokens::new(&keys(first_keys), Duration::minutes(60));
        let first = tokens.access(user, device, t0()).unwrap();
        tokens.replace_keys(&keys(both));
        let still = tokens.access(user, device, turn - Duration::SECOND).unwrap();
        let then = tokens.access(user, device, turn).unwrap();
        assert_eq!(kid(&still), kid(&first));
        assert_ne!(kid(&then), kid(&first));
        for token in [&first, &still, &then] {
            tokens.check_access(token, turn).unwrap();
        }
        if let Some(public_alone) = before {
            tokens.replace_keys(&keys(public_alone));
            tokens.check_access(&first, turn).unwrap();
            assert_eq!(kid(&tokens.access(user, device, turn).unwrap()), kid(&then));
        }
        tokens.replace_keys(&keys(last));
        assert!(matches!(tokens.check_access(&first, turn), Err(AuthError::Invalid)));
        tokens.check_access(&then, turn).unwrap();
    }
}

/// A deployment goes over to the other algorithm, and back: first all apis accept its keys, then they sign.
#[test]
fn a_change_of_the_algorithm_signs_nobody_out() {
    let (user, device) = (UserId::new(Uuid::from_u128(1)), DeviceId::new(Uuid::from_u128(2)));
    let keys = |signing, accepted| TokenKeys::new(signing, accepted).unwrap();
    let tokens = Tokens::new(&keys(secrets(SECRET), None), Duration::minutes(60));
    let mut given = vec![tokens.access(user, device, t0()).unwrap()];
    for keys in [
        keys(secrets(SECRET), Some(pem(PRIVATE_PEM))),
        keys(pem(PRIVATE_PEM), Some(secrets(SECRET))),
        keys(secrets(SECRET), Some(pem(PUBLIC_PEM))),
    ] {
        tokens.replace_keys(&keys);
        given.push(tokens.access(user, device, t0()).unwrap());
        for token in &given {
            tokens.check_access(token, t0()).unwrap();
        }
    }
    let algorithms: Vec<Algorithm> = given.iter().map(|token| decode_header(token).unwrap().alg).collect();
    assert_eq!(algorithms, [Algorithm::HS256, Algorithm::HS256, Algorithm::EdDSA, Algorithm::HS256]);
}
