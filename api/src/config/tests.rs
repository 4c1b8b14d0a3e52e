//! What flags and environment are taken for, and what is refused.

use std::os::unix::fs::PermissionsExt;

use clap::Parser;

use super::*;
use crate::domain::token::KeyList;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
}

const SECRET: &str = "a-secret-that-must-never-be-printed";

/// What the flags given, beside the two that are needed, make of it.
fn config(more: &[&str]) -> Result<Config, String> {
    let needed = ["devpocket", "--jwt-secret-key", SECRET, "--ptyd-address", "unix:/run/ptyd.sock"];
    parse(&[&needed, more].concat())
}

fn parse(flags: &[&str]) -> Result<Config, String> {
    let cli = Cli::try_parse_from(flags).map_err(|err| err.to_string())?;
    Config::new(cli.serve, Mode::Served).map_err(|err| err.to_string())
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let config = config(&[]).unwrap();
    assert_eq!(config.listen, "0.0.0.0:8000".parse().unwrap());
    let Location::Sqlite(file) = &config.database else { panic!("{:?}", config.database) };
    assert_eq!(file.get_filename(), Path::new("./data/devpocket.db"));
    assert_eq!(config.schema, Schema::Migrate);
    assert_eq!((config.access_life, config.refresh_life), (Duration::minutes(60), Duration::days(30)));
    assert_eq!(config.local_sessions, LocalSessions::Off);
    assert_eq!((config.registration, config.public_url, config.cors_origins.len()), (None, None, 0));
}

#[test]
fn a_bad_value_names_its_variable_and_never_a_secret() {
    for (flags, variable) in [
        (["--listen", "localhost"], "LISTEN"),
        (["--database-url", "mysql://x"], "DATABASE_URL"),
        (["--database-url-file", "/nonexistent"], "DATABASE_URL_FILE"),
        (["--migrate-at-start", "later"], "MIGRATE_AT_START"),
        (["--jwt-access-token-expire-minutes", "0"], "JWT_ACCESS_TOKEN_EXPIRE_MINUTES"),
        (["--jwt-refresh-token-expire-days", "forever"], "JWT_REFRESH_TOKEN_EXPIRE_DAYS"),
        (["--jwt-algorithm", "EdDSA"], "JWT_PRIVATE_KEY_FILE"),
        (["--jwt-algorithm", "eddsa"], "JWT_ALGORITHM"),
        (["--jwt-algorithm", "RS256"], "JWT_ALGORITHM"),
        (["--jwt-algorithm", "none"], "JWT_ALGORITHM"),
        (["--ptyd-address", "tcp:x"], "PTYD_ADDRESS"),
        (["--ptyd-address", "quic:x"], "PTYD_ADDRESS"),
        (["--local-sessions", "yes"], "LOCAL_SESSIONS"),
        (["--registration", "maybe"], "REGISTRATION"),
        (["--public-url", "term.example"], "PUBLIC_URL"),
        (["--cors-origins", "https://a.example,*"], "CORS_ORIGINS"),
        (["--cors-origins", "https://a.example/path"], "CORS_ORIGINS"),
        (["--cors-origins", "https://a.example?x"], "CORS_ORIGINS"),
        (["--trusted-proxies", "10.0.0.1,proxy.example"], "TRUSTED_PROXIES"),
        (["--rate-limits", "off"], "RATE_LIMITS"),
        (["--local-sessions", "all"], "LOCAL_SESSIONS"),
        (["--redis-url", "http://cache.example"], "REDIS_URL"),
        (["--environment", "test"], "ENVIRONMENT"),
        (["--api-v1-str", "/api/v1"], "API_V1_STR"),
        (["--project-name", ""], "PROJECT_NAME"),
        (["--project-name", "Pocket\r\nBcc: all@example.com"], "PROJECT_NAME"),
        (["--debug", "perhaps"], "DEBUG"),
        (["--debug", "on"], "DEBUG"),
        (["--smtp-url", "http://mail.example"], "SMTP_URL"),
        (["--mail-from", "nobody"], "MAIL_FROM"),
        (["--metrics-token", "a-short-token"], "METRICS_TOKEN"),
        (["--require-email-verification", "maybe"], "REQUIRE_EMAIL_VERIFICATION"),
        (["--jwt-secret-key-file", "/nonexistent"], "JWT_SECRET_KEY"),
    ] {
        let flags =
            [&["devpocket", "--jwt-secret-key", SECRET, "--ptyd-address=unix:/x"][..], &flags].concat();
        // A flag given twice would be refused for that.
        let flags: Vec<&str> = flags
            .into_iter()
            .filter(|flag| variable != "PTYD_ADDRESS" || *flag != "--ptyd-address=unix:/x")
            .collect();
        let said = parse(&flags).unwrap_err();
        assert!(said.contains(variable) && !said.contains(SECRET), "{variable}: {said}");
    }
    let nobody = config(&["--mail-from", "nobody"]).unwrap_err();
    assert!(nobody.contains("DevPocket <devpocket@example.com>"), "it says what is: {nobody}");
    let short =
        parse(&["devpocket", "--jwt-secret-key", "short-secret", "--ptyd-address", "unix:/x"]).unwrap_err();
    assert!(short.contains("JWT_SECRET_KEY") && !short.contains("short-secret"), "{short}");
    let none = parse(&["devpocket", "--ptyd-address", "unix:/x"]).unwrap_err();
    assert!(none.contains("JWT_SECRET_KEY_FILE"), "{none}");
    let nowhere = parse(&["devpocket", "--jwt-secret-key", SECRET]).unwrap_err();
    assert!(nowhere.contains("PTYD_ADDRESS"), "{nowhere}");
    let bare = parse(&["devpocket", "--jwt-secret-key", SECRET, "--ptyd-address", "quic:h:1"]).unwrap_err();
    assert!(bare.contains("LINK_CERT_DIR"), "{bare}");
}

#[test]
fn a_key_that_strangers_would_try_is_refused_in_production() {
    let with = |key: &str, more: &[&str]| {
        parse(&[&["devpocket", "--jwt-secret-key", key, "--ptyd-address", "unix:/x"][..], more].concat())
    };
    for key in [
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabcabcabcabcabcabcabc",
        "Change-me-in-production-0123456789",
        "your-secret-key-0123456789-abcdefgh",
        "the-first-key-of-at-least-32-bytes-....",
        "5f1c0e9ab37d42685f1c0e9ab37d4268\n2027-01-31T12:00:10Z CHANGEME-CHANGEME-0123456789-abcdef",
    ] {
        let said = with(key, &[]).unwrap_err();
        assert!(said.contains("JWT_SECRET_KEY") && !said.contains(key), "{said}");
        assert!(with(key, &["--environment", "development"]).is_ok(), "{key}");
    }
    let strict = |more: &[&str]| with("5f1c0e9ab37d42685f1c0e9ab37d4268", more).unwrap().keys.refuses_weak;
    assert!(strict(&["--jwt-algorithm", "HS256"]) && !strict(&["--environment", "development"]));
}

#[test]
fn a_secret_is_read_from_its_file_and_prints_nowhere() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{SECRET}\n")).unwrap();
    let path = file.path().to_str().unwrap();
    let config = parse(&[
        "devpocket",
        "--jwt-secret-key-file",
        path,
        "--ptyd-address",
        "quic:h:1",
        "--link-cert-dir",
        "/x",
    ]);
    let config = config.unwrap();
    assert_eq!(config.keys.texts().unwrap().signing.unwrap().expose_secret(), SECRET);
    assert_eq!(config.ptyd, PtydAddress::Quic("h:1".into()));
    assert!(!format!("{config:?}").contains(SECRET));
}

#[test]
fn a_private_key_signs_beside_secrets_that_are_accepted_and_a_bad_one_is_told_by_its_variable() {
    let pem = KeyList::fresh_pem().unwrap();
    let pem = pem.expose_secret();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let with = |text: &str, mode: u32, more: &[&str]| {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let needed =
            ["devpocket", "--ptyd-address=unix:/x", "--jwt-algorithm=EdDSA", "--jwt-private-key-file", path];
        parse(&[&needed, more].concat()).map(|config| {
            let keys = config.keys.keys(&config.keys.texts().unwrap()).unwrap();
            assert!(!format!("{config:?}").contains(&pem[28..60]));
            keys.count()
        })
    };
    assert_eq!(with(pem, 0o600, &[]), Ok(1));
    assert_eq!(with(pem, 0o440, &["--jwt-secret-key", SECRET]), Ok(2));
    assert_eq!(
        config(&["--jwt-private-key-file", path]).map(|config| config.keys.algorithm),
        Ok(JwtAlgorithm::Hs256)
    );
    let rsa = pem.replace("PRIVATE KEY", "RSA PRIVATE KEY");
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAG9d1roPEqZXmE+cq6I6Bvk8cSCdRn8mP54/hbX4EH4Y=\n-----END PUBLIC KEY-----";
    for (text, mode, about) in [
        (pem, 0o644, "everybody may read it"),
        (pem, 0o620, "others may write to it"),
        (&pem[..70], 0o600, "damaged"),
        (&rsa, 0o600, "an RSA key"),
        (public, 0o600, "public keys alone"),
        (SECRET, 0o600, "neither a key in PEM"),
        ("", 0o600, "no key"),
    ] {
        let said = with(text, mode, &[]).unwrap_err();
        assert!(said.starts_with("JWT_PRIVATE_KEY_FILE: ") && said.contains(about), "{about}: {said}");
        assert!(!said.contains(SECRET) && !said.contains(&pem[28..60]), "{said}");
    }
    let weak = with(pem, 0o600, &["--jwt-secret-key", &"ab".repeat(20)]).unwrap_err();
    assert!(weak.starts_with("JWT_SECRET_KEY: "), "accepted is as good as signing: {weak}");
    let as_secret =
        parse(&["devpocket", "--ptyd-address=unix:/x", &format!("--jwt-secret-key={pem}")]).unwrap_err();
    assert!(
        as_secret.contains("JWT_SECRET_KEY: line 1: keys in PEM are for JWT_ALGORITHM=EdDSA"),
        "{as_secret}"
    );
    let standalone = |flags: &[&str]| {
        Cli::try_parse_from([&["devpocket"], flags].concat()).unwrap().serve.check_standalone(geteuid())
    };
    assert!(standalone(&["--jwt-algorithm", "EdDSA"]).is_ok(), "a key is made at the start");
    assert!(standalone(&["--jwt-algorithm", "EdDSA", "--jwt-secret-key", SECRET]).is_ok());
    assert!(standalone(&["--jwt-algorithm", "EdDSA", "--jwt-secret-key", "short"]).is_err());
    assert!(standalone(&["--jwt-algorithm", "EdDSA", "--jwt-private-key-file", "/nonexistent"]).is_err());
}

/// The story: root read the files of its standalone as root, and the api, which is another user, did not take them.
#[test]
fn a_private_key_may_be_of_the_user_that_the_api_will_run_as() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    fs::write(path, KeyList::fresh_pem().unwrap().expose_secret()).unwrap();
    let mut owner = geteuid();
    if owner.is_root() {
        owner = Uid::from_raw(4242);
        nix::unistd::chown(path, Some(owner), None).unwrap();
    }
    let flags = ["devpocket", "--jwt-algorithm", "EdDSA", "--jwt-private-key-file", path];
    let checked = |api| Cli::try_parse_from(flags).unwrap().serve.check_standalone(api);
    assert!(checked(owner).is_ok());
    let said = checked(Uid::from_raw(owner.as_raw() + 1)).unwrap_err().to_string();
    assert!(said.starts_with("JWT_PRIVATE_KEY_FILE: ") && said.contains("it belongs to user"), "{said}");
}

/// The story: a file could be taken away while the api ran, and the next start failed for it.
#[test]
fn a_file_of_keys_that_do_not_sign_may_be_missing_and_is_warned_of() {
    let gone = config(&["--jwt-private-key-file", "/nonexistent"]).unwrap().keys;
    assert_eq!(gone.keys(&gone.texts().unwrap()).unwrap().count(), 1);
    let warnings = gone.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("JWT_PRIVATE_KEY_FILE: /nonexistent"),
        "{warnings:?}"
    );
    assert_eq!(config(&[]).unwrap().keys.warnings(), Vec::<String>::new());
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    fs::write(path, KeyList::fresh_pem().unwrap().expose_secret()).unwrap();
    let eddsa =
        ["--jwt-algorithm=EdDSA", "--jwt-private-key-file", path, "--jwt-secret-key-file=/nonexistent"];
    assert!(config(&eddsa).unwrap_err().contains("one of them is needed"), "secrets by two variables");
    let signs_alone = parse(&[&["devpocket", "--ptyd-address=unix:/x"][..], &eddsa].concat()).unwrap().keys;
    assert!(signs_alone.warnings()[0].starts_with("JWT_SECRET_KEY_FILE: /nonexistent"));
}

/// The story: whoever could write to the file could sign in as anybody.
#[test]
fn a_file_of_secrets_is_for_nobody_else_to_write_in_production_and_warned_of_where_everybody_reads_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    fs::write(path, "5f1c0e9ab37d42685f1c0e9ab37d4268").unwrap();
    let with = |mode, environment| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let flags = [
            "devpocket",
            "--ptyd-address=unix:/x",
            "--jwt-secret-key-file",
            path,
            "--environment",
            environment,
        ];
        parse(&flags).map(|config| config.keys.warnings().len())
    };
    // As Docker and Kubernetes mount secrets, too.
    for (mode, warnings) in [(0o600, 0), (0o640, 0), (0o440, 0), (0o444, 1), (0o644, 1)] {
        assert_eq!(with(mode, "production"), Ok(warnings), "{mode:o}");
    }
    for mode in [0o666, 0o602, 0o620, 0o660] {
        let said = with(mode, "production").unwrap_err();
        assert!(said.starts_with("JWT_SECRET_KEY_FILE: ") && said.contains("chmod go-w"), "{said}");
        assert!(with(mode, "development").is_ok(), "{mode:o}");
    }
}

#[test]
fn a_database_url_is_read_from_either_place_and_its_password_prints_nowhere() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "postgres://ann:s3cret@db/pocket\n").unwrap();
    let path = file.path().to_str().unwrap();
    for flags in [["--database-url", "postgres://ann:s3cret@db/pocket"], ["--database-url-file", path]] {
        let config = config(&flags).unwrap();
        assert!(matches!(config.database, Location::Postgres(_)));
        assert!(!format!("{config:?}").contains("s3cret"));
    }
    let said = config(&["--database-url", "postgres://ann:s3cret@db:x/pocket"]).unwrap_err();
    assert!(said.contains("DATABASE_URL") && !said.contains("s3cret"), "{said}");
    let both = config(&["--database-url", "sqlite://x", "--database-url-file", path]).unwrap_err();
    assert!(both.contains("DATABASE_URL_FILE"), "{both}");
}

#[test]
fn a_token_for_the_numbers_is_short_where_no_strangers_are_alone() {
    let short = ["--metrics-token", "a-short-token"];
    let development = [&short[..], &["--environment", "development"]].concat();
    assert!(config(&development).unwrap().metrics_token.is_some());
    assert!(config(&["--metrics-token", "0123456789abcdef"]).unwrap().metrics_token.is_some());
    assert!(config(&["--metrics-token", ""]).unwrap().metrics_token.is_none());
}

#[test]
fn mails_are_files_unless_there_is_a_server_whose_password_prints_nowhere() {
    let Mail::Files(directory) = config(&["--data-dir", "/srv/pocket"]).unwrap().mail else {
        panic!("a mail server")
    };
    assert_eq!(directory, Path::new("/srv/pocket/mail"));
    let sender = |flags: &[&str]| {
        let config = config(&[&["--smtp-url", "smtps://ann:s3cret@mail.example"], flags].concat()).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
        let Mail::Smtp(_, from) = config.mail else { panic!("files") };
        from.to_string()
    };
    assert_eq!(sender(&[]), "DevPocket <devpocket@localhost>");
    let public = ["--public-url", "https://term.example:8443/"];
    assert_eq!(sender(&public), "DevPocket <devpocket@term.example>");
    assert_eq!(sender(&["--mail-from", "Pocket <p@example.com>"]), "Pocket <p@example.com>");
    let said = config(&["--smtp-url", "smtp:s3cret"]).unwrap_err();
    assert!(said.contains("SMTP_URL") && !said.contains("s3cret"), "{said}");
}

#[test]
fn a_deployment_has_a_name_and_may_be_looked_at_closely_where_no_strangers_are() {
    assert_eq!(config(&["--api-v1-str", "/api"]).unwrap().project, "DevPocket");
    let named =
        config(&["--project-name", " Pocket & Söhne ", "--smtp-url", "smtps://mail.example"]).unwrap();
    let Mail::Smtp(_, from) = named.mail else { panic!("files") };
    assert_eq!((named.project.as_str(), from.name.as_deref()), ("Pocket & Söhne", Some("Pocket & Söhne")));
    let filter = |flags: &[&str]| {
        let needed = ["devpocket", "--environment", "development"];
        let args = Cli::try_parse_from([&needed, flags].concat()).unwrap().serve;
        args.log_filter().to_owned()
    };
    for word in ["on", "true", "True", "1"] {
        assert_eq!(filter(&["--debug", word]), "debug");
    }
    for word in ["off", "false", "0", ""] {
        assert_eq!(filter(&["--debug", word]), "info");
        assert!(config(&["--debug", word]).is_ok(), "off is fine in production");
    }
    assert_eq!(filter(&["--debug", "on", "--log", "warn"]), "warn", "who says what to log is heard");
}

#[test]
fn lists_and_words_are_read() {
    let config = config(&[
        "--cors-origins",
        "https://a.example, http://b.example:81/",
        "--registration",
        "closed",
        "--local-sessions",
        "all",
        "--environment",
        "development",
    ]);
    let config = config.unwrap();
    let origins: Vec<&str> = config.cors_origins.iter().map(Origin::as_str).collect();
    assert_eq!(origins, ["https://a.example", "http://b.example:81"]);
    assert_eq!(config.registration, Some(Registration::Closed));
    assert_eq!(config.local_sessions, LocalSessions::All);
    let proxies = self::config(&["--trusted-proxies", "10.0.0.0/8, ::1"]).unwrap().trusted_proxies;
    assert_eq!(proxies, ["10.0.0.0/8", "::1/128"].map(|net| net.parse::<IpNet>().unwrap()));
    let flags = ["--environment", "development", "--rate-limits", "off"];
    assert!(!self::config(&flags).unwrap().rate_limits && config.rate_limits);
    assert!(self::config(&["--cors-origins", ""]).unwrap().cors_origins.is_empty());
}
