//! `devpocket admin` beside running apis, and while none runs.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use devpocket_tests::client::{Credential, Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::account::{PASSWORD, post};
use devpocket_tests::stack::token::Token;
use devpocket_tests::stack::{Account, DatabaseKind, JwtKind, Options, Place, Stack, Standalone, proc};
use devpocket_tests::{wait_for, wait_until};
use serde_json::{Value, json};
use tokio::time::Instant;

/// What is promised of a revoked device, and what a busy machine may add.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);
/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(30);

/// SQLite for one host, PostgreSQL and Redis for many; two apis on either.
async fn stacks() -> [Stack; 2] {
    let with = |database, redis| Options { database, redis, apis: 2, ..Options::default() };
    [
        Stack::start_with(with(DatabaseKind::Sqlite, false)).await,
        Stack::start_with(with(DatabaseKind::Postgres, true)).await,
    ]
}

async fn login(stack: &Stack, username: &str, password: &str) -> (u16, Value) {
    let body = json!({"username": username, "password": password});
    let answer = post(stack.address(1), "/api/auth/login", None, &body).await;
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// The story: whoever became the api's user in root's home was told that `.env` cannot be read.
#[test]
fn a_directory_that_may_not_be_looked_into_has_no_env_file() {
    let place = Place::make();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "cd \"$(mktemp -d)\" && chmod 0 . && exec \"$0\" openapi"]);
    shell.arg(place.path("bin/devpocket")).current_dir("/");
    if let Some(user) = &place.api_user {
        shell.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let output = shell.output().expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn an_operator_makes_accounts_and_gives_them_tiers() {
    for stack in stacks().await {
        let made = stack.admin_command_reading(
            &format!("{PASSWORD}\n"),
            &[
                "create-user",
                "Ann@Example.com",
                "Ann",
                "--password-stdin",
                "--admin",
                "--tier",
                "pro",
                "--json",
            ],
        );
        let made_json = made.json();
        assert_eq!((&made_json["user"]["is_admin"], &made_json["password"]), (&json!(true), &Value::Null));
        let (status, ann) = login(&stack, "ann@example.com", PASSWORD).await;
        assert_eq!(status, 200, "{ann}");
        for (field, value) in
            [("username", json!("Ann")), ("subscription_tier", json!("pro")), ("is_verified", json!(true))]
        {
            assert_eq!(ann["user"][field], value);
        }

        let made = stack.admin_command(&["create-user", "bob@example.com", "bob"]);
        assert_eq!(made.code, 0, "{made:?}");
        let password = made.printed.trim_end().rsplit(' ').next().expect("a password");
        let (status, bob) = login(&stack, "bob", password).await;
        assert_eq!((status, &bob["user"]["is_admin"]), (200, &json!(false)), "{bob}");

        stack.admin_command(&["create-user", "ANN@example.com", "ann2"]).is_refused(4, "email");
        stack.admin_command(&["create-user", "ann2@example.com", "BOB"]).is_refused(4, "username");
        stack.admin_command(&["create-user", "nobody", "ann2"]).is_refused(2, "mail address");
        let steering = ["create-user", "d@example.com", "dave", "--display-name", "x\u{1b}[2J"];
        stack.admin_command(&steering).is_refused(2, "characters that control");
        let weak = ["create-user", "c@example.com", "carol", "--password-stdin"];
        stack.admin_command_reading("password\n", &weak).is_refused(4, "upper-case");
        let long = format!("{PASSWORD}{}\n", "x".repeat(1000));
        stack.admin_command_reading(&long, &weak).is_refused(4, "at most 128");

        let users = stack.admin_command(&["list-users", "--json"]);
        assert!(!users.printed.contains("argon2"), "{users:?}");
        let users = users.json();
        let names: Vec<_> =
            users["users"].as_array().expect("users").iter().map(|user| &user["username"]).collect();
        assert_eq!(names, ["owner", "Ann", "bob"]);

        let token = bob["access_token"].as_str().expect("a token");
        let tier = async || {
            Rest::new(stack.address(0), Some(token)).get("/api/auth/me").await.expect(200)["subscription_tier"].clone()
        };
        let id = bob["user"]["id"].as_str().expect("an id");
        for (user, expires, shown) in [
            ("bob@example.com", None, "team"),
            ("BOB", Some("2020-01-01T00:00:00Z"), "free"),
            (id, Some("2999-01-01T00:00:00Z"), "team"),
        ] {
            let mut arguments = vec!["set-tier", user, "team"];
            arguments.extend(expires.into_iter().flat_map(|time| ["--expires", time]));
            assert_eq!(stack.admin_command(&arguments).code, 0);
            assert_eq!(tier().await, shown);
        }
        stack.admin_command(&["set-tier", "nobody", "pro"]).is_refused(3, "no such user: nobody");
        stack.admin_command(&["set-tier", "bob", "gold"]).is_refused(2, "free, pro, team or enterprise");
        let refused = stack.admin_command(&["set-tier", "nobody", "pro", "--json"]);
        let error: Value = serde_json::from_str(&refused.complained).expect("JSON");
        assert_eq!(error["error"]["code"], "not_found");
        // Also where the flags are not even read.
        for (bad, says) in [
            (vec!["set-tier", "bob", "gold", "--json"], "free, pro, team or enterprise"),
            (vec!["--json", "list-users", "--limit", "0"], "--limit"),
            (vec!["set-tier", "--json"], "<USER>"),
            (vec!["no-such-command", "--json"], "no-such-command"),
            (vec!["--log", "no=such=level", "list-users", "--json"], "LOG"),
        ] {
            let refused = stack.admin_command(&bad);
            let error: Value = serde_json::from_str(&refused.complained).expect("JSON");
            let message = error["error"]["message"].as_str().expect("a message");
            assert_eq!((refused.code, &error["error"]["code"]), (2, &json!("bad_value")), "{refused:?}");
            assert!(message.contains(says) && !message.contains("Usage"), "{message}");
        }
    }
}

#[tokio::test]
async fn revoked_devices_lose_their_terminals_at_every_api_and_no_other_does() {
    for stack in stacks().await {
        let (phone, tablet) = (
            Account::login(stack.address(0), "owner").await,
            Account::login(stack.address(1), "owner").await,
        );
        let mut sockets = Vec::new();
        for (api, account) in [(1, &phone), (0, &tablet), (1, &tablet)] {
            let bearer = Credential::Bearer(account.access_token.clone());
            let mut socket =
                Socket::must_open(&stack.opening(api, Framing::Json).with_credential(bearer)).await;
            socket.connect(json!({"session_type": "local", "command": ["cat"]})).await;
            sockets.push(socket);
        }
        let listed = stack.admin_command(&["list-devices", "owner", "--json"]).json();
        assert_eq!(listed["total"], 3, "{listed}");
        let device = Token::parse(&phone.access_token).claims["sid"].as_str().expect("a device").to_owned();
        assert!(listed["devices"].as_array().expect("devices").iter().any(|one| one["id"] == device));

        assert_eq!(listed["devices"][0]["device_type"], "cli", "as the api calls it: {listed}");

        let revoke = ["revoke-devices", "owner", "--device", &device];
        assert_eq!(stack.admin_command(&revoke).code, 0);
        let asked = Instant::now();
        assert_eq!(sockets.remove(0).wait_closed(SOON).await, Some(4401));
        assert!(asked.elapsed() < REVOKED_WITHIN, "{:?}", asked.elapsed());
        stack.admin_command(&revoke).is_refused(3, "no such device");
        stack.admin_command(&["revoke-devices", "nobody"]).is_refused(3, "no such user");
        // The tablet types on.
        for socket in &mut sockets {
            socket.send(&json!({"type": "ping", "data": 1}));
            socket.wait("a pong", |event| format!("{event:?}").contains("pong").then_some(())).await;
        }

        assert_eq!(stack.admin_command(&["revoke-devices", "owner", "--json"]).json()["revoked"], 2);
        let asked = Instant::now();
        for socket in &mut sockets {
            assert_eq!(socket.wait_closed(SOON).await, Some(4401));
        }
        assert!(asked.elapsed() < REVOKED_WITHIN, "{:?}", asked.elapsed());
        let refresh = json!({"refresh_token": phone.refresh_token});
        assert_eq!(post(stack.address(0), "/api/auth/refresh", None, &refresh).await.status().as_u16(), 401);
    }
}

#[tokio::test]
async fn a_disabled_account_is_closed_at_every_api_and_an_enabled_one_open_again() {
    for stack in stacks().await {
        let ann = Account::register(stack.address(0), "ann").await;
        assert_eq!(me(&stack, 1, &ann).await, 200);
        let disabled = stack.admin_command(&["disable-user", "ANN", "--json"]).json();
        assert_eq!((&disabled["user"]["is_active"], &disabled["revoked"]), (&json!(false), &json!(1)));
        assert_eq!(disabled["redis_told"], true);
        for api in 0..2 {
            let (status, refused) = login(&stack, "ann", PASSWORD).await;
            assert_eq!((status, &refused["code"]), (403, &json!("account_disabled")), "{refused}");
            wait_until("its device is signed out", REVOKED_WITHIN, async || {
                me(&stack, api, &ann).await == 401
            })
            .await;
        }
        let listed = stack.admin_command(&["list-users"]);
        assert!(listed.printed.lines().any(|line| line.contains("ann") && line.contains("disabled")));
        assert_eq!(stack.admin_command(&["disable-user", "ann", "--json"]).json()["revoked"], 0, "again");

        let enabled = stack.admin_command(&["enable-user", "ann@example.com", "--json"]).json();
        assert_eq!(enabled["user"]["is_active"], true);
        assert_eq!(login(&stack, "ann", PASSWORD).await.0, 200);
        assert_eq!(me(&stack, 0, &ann).await, 401, "who was signed out signs in again");
        for command in ["disable-user", "enable-user"] {
            stack.admin_command(&[command, "nobody"]).is_refused(3, "no such user: nobody");
        }
    }
}

async fn me(stack: &Stack, api: usize, account: &Account) -> u16 {
    Rest::new(stack.address(api), Some(&account.access_token)).get("/api/auth/me").await.status
}

/// A session whose program is told by a file of its own.
async fn session(stack: &Stack, rest: &Rest, name: &str) -> (String, String) {
    let marker = stack.place.work(name).display().to_string();
    let script = format!("touch {marker}; while :; do sleep 0.1; done");
    let body = json!({"name": name, "command": ["sh", "-c", script]});
    let id = rest.post("/api/sessions", &body).await.expect(201)["id"].as_str().expect("an id").to_owned();
    wait_until("the program runs", SOON, async || runs(&marker)).await;
    (id, marker)
}

fn runs(marker: &str) -> bool {
    proc::all().iter().any(|process| process.arguments.iter().any(|word| word.contains(marker)))
}

#[tokio::test]
async fn sessions_end_for_real_and_while_no_api_runs_as_soon_as_one_does() {
    for mut stack in stacks().await {
        let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
        let (first, first_runs) = session(&stack, &rest, "first").await;
        let (_, second_runs) = session(&stack, &rest, "second").await;
        let listed = stack.admin_command(&["list-sessions", "--user", "OWNER", "--json"]).json();
        assert_eq!((&listed["total"], &listed["sessions"][0]["name"]), (&json!(2), &json!("second")));

        let ended = stack.admin_command(&["end-sessions", &first, "--json"]).json();
        assert_eq!(ended, json!({"ended": [first], "waiting": []}));
        assert!(!runs(&first_runs) && runs(&second_runs));
        assert_eq!(rest.get(&format!("/api/sessions/{first}")).await.expect(200)["status"], "terminated");
        let nobody = uuid::Uuid::nil().to_string();
        stack.admin_command(&["end-sessions", &nobody]).is_refused(3, "no such session");
        stack.admin_command(&["end-sessions"]).is_refused(2, "required");
        stack.admin_command(&["end-sessions", "--wait", "1"]).is_refused(2, "required");
        stack.admin_command(&["end-sessions", &first, "--all"]).is_refused(2, "cannot be used with");

        stack.kill_api(0);
        stack.kill_api(1);
        let noted = stack.admin_command(&["end-sessions", "--user", "owner", "--wait", "0"]);
        assert!(noted.code == 5 && noted.printed.contains("1 have not yet"), "{noted:?}");
        assert!(runs(&second_runs), "nobody is there to end it");
        stack.start_api(1);
        stack.api_ready(1).await;
        wait_until("the api carries it out", SOON, async || !runs(&second_runs)).await;
        assert_eq!(stack.admin_command(&["end-sessions", "--all", "--json"]).json()["waiting"], json!([]));
        assert_eq!(stack.admin_command(&["list-sessions", "--json"]).json()["total"], 0);
        let all = stack.admin_command(&["list-sessions", "--ended", "--json"]).json();
        assert!(all["total"] == 2 && all["sessions"][0]["status"] == "terminated", "{all}");
    }
}

/// Sockets that a token has opened at each api, by itself and by a ticket.
async fn let_in(stack: &Stack, account: &Account) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for api in 0..2 {
        let bearer = Credential::Bearer(account.access_token.clone());
        let rest = Rest::new(stack.address(api), Some(&account.access_token));
        let ticket = rest.post_nothing("/api/auth/ws-ticket").await.expect(200)["ticket"].clone();
        let ticket = Credential::Ticket(ticket.as_str().expect("a ticket").to_owned());
        for credential in [bearer, ticket] {
            let opening = stack.opening(api, Framing::Json).with_credential(credential);
            sockets.push(Socket::must_open(&opening).await);
        }
    }
    sockets
}

/// A key that is dropped lets nobody in, and nobody stay: a socket that it had opened typed on for as long as its token said.
#[tokio::test]
async fn keys_are_rotated_under_load_without_a_refusal_and_dropped_within_seconds() {
    let with = |database, redis, jwt| Options { database, redis, jwt, apis: 2, ..Options::default() };
    for (options, file) in [
        (with(DatabaseKind::Sqlite, false, JwtKind::Hs256), "api/jwt.key"),
        (with(DatabaseKind::Postgres, true, JwtKind::EdDsa), "api/jwt.pem"),
    ] {
        let stack = Stack::start_with(options).await;
        let kid = |token: &str| Token::parse(token).header["kid"].clone();
        let mut account = Account::login(stack.address(0), "owner").await;
        let first = account.clone();
        let mut sockets = let_in(&stack, &first).await;
        for round in 0..3 {
            let before = kid(&account.access_token);
            let rotated = stack.admin_command(&["rotate-keys", "--after", "4", "--json"]).json();
            assert_eq!(rotated["accepted"], round + 2);
            // Each api's tokens at the other, until a new key signs, and the same for whoever goes on.
            let mut turn = 0;
            account = wait_for("the new key signs", SOON, async || {
                turn += 1;
                let (here, there) = (stack.address(turn % 2), stack.address((turn + 1) % 2));
                let fresh = Account::login(here, "owner").await;
                for token in [&fresh.access_token, &account.access_token, &first.access_token] {
                    Rest::new(there, Some(token)).get("/api/auth/me").await.expect(200);
                }
                (kid(&fresh.access_token) != before).then_some(fresh)
            })
            .await;
        }
        // Spent under one key, asked for again under another: the same successor.
        let body = json!({"refresh_token": first.refresh_token});
        let refresh = async || {
            let answer = post(stack.address(0), "/api/auth/refresh", None, &body).await;
            assert_eq!(answer.status().as_u16(), 200);
            answer.json::<Value>().await.expect("JSON")["refresh_token"].clone()
        };
        let successor = refresh().await;
        let before = kid(&account.access_token);
        let rotated = stack.admin_command(&["rotate-keys", "--after", "0", "--json"]).json();
        assert_eq!(rotated["accepted"], 5);
        wait_until("the new key signs", SOON, async || {
            kid(&Account::login(stack.address(0), "owner").await.access_token) != before
        })
        .await;
        assert_eq!(refresh().await, successor);
        for socket in &mut sockets {
            socket.ask(json!({"type": "ping"})).await;
        }

        assert_eq!(stack.admin_command(&["rotate-keys", "--drop-old", "--json"]).json()["accepted"], 1);
        for socket in &mut sockets {
            assert_eq!(socket.wait_closed(SOON).await, Some(4401), "an old key opened it");
        }
        for api in 0..2 {
            wait_until("what the old keys signed is refused", SOON, async || {
                let me = Rest::new(stack.address(api), Some(&account.access_token)).get("/api/auth/me").await;
                assert!([200, 401].contains(&me.status), "{me:?}");
                me.status == 401
            })
            .await;
        }
        let body = json!({"refresh_token": account.refresh_token});
        let answer = post(stack.address(1), "/api/auth/refresh", None, &body).await;
        assert_eq!(answer.status().as_u16(), 200, "its device goes on");
        let text = std::fs::read_to_string(stack.place.path(file)).expect("the key file");
        let keys = text.lines().filter(|line| !line.starts_with("-----") && !line.ends_with('Z'));
        for key in keys.chain([stack.jwt_secret()]) {
            let secret = key.rsplit(' ').next().expect("a key");
            assert!(!stack.api_log(0).contains(secret) && !stack.api_log(1).contains(secret));
        }
    }
}

#[tokio::test]
async fn a_standalone_is_looked_after_by_its_directory_alone() {
    let (stack, link) = Standalone::start().await;
    let owner = Account::first_run(stack.address, Standalone::token_of(&link)).await;
    let users = stack.admin_command(&["list-users", "--json"]).json();
    assert_eq!((&users["total"], &users["users"][0]["username"]), (&json!(1), &json!("owner")));
    let rest = Rest::new(stack.address, Some(&owner.access_token));
    rest.post("/api/sessions", &json!({"command": ["cat"]})).await.expect(201);
    let ended = stack.admin_command(&["end-sessions", "--all", "--json"]).json();
    assert_eq!(ended["ended"].as_array().map(Vec::len), Some(1), "{ended}");

    assert_eq!(stack.admin_command(&["rotate-keys", "--drop-old", "--json"]).json()["accepted"], 1);
    wait_until("the old key is refused", SOON, async || rest.get("/api/auth/me").await.status == 401).await;
    // The api's user can still read its files.
    let body = json!({"refresh_token": owner.refresh_token});
    assert_eq!(post(stack.address, "/api/auth/refresh", None, &body).await.status().as_u16(), 200);
}
