//! What an account changes about itself, takes along, and leaves.

use std::collections::BTreeMap;

use devpocket_shared::ids::{NodeId, SessionId, TerminalSize, UserId};
use devpocket_shared::wire::{Limits, Spec};
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::node::Node;
use super::*;
use crate::domain::sessions::{Caller, NewSession, SessionError};
use crate::store::NodeStore;

fn id_of(answer: &Answer) -> UserId {
    UserId::new(answer.body["user"]["id"].as_str().unwrap().parse::<Uuid>().unwrap())
}

#[tokio::test]
async fn a_profile_shows_the_account_and_changes_what_is_given() {
    let api = Api::new().await;
    let token = api.register("ann").await.access().to_owned();
    let change = async |body: Value| api.ask_as(&token, "PUT", "/api/profile", body).await;
    let named = change(json!({"display_name": "Ann Ä"})).await;
    assert_eq!((named.status, &named.body["display_name"]), (StatusCode::OK, &json!("Ann Ä")));
    assert_eq!(change(json!({})).await.body["display_name"], "Ann Ä");
    assert_eq!(api.get_as(&token, "/api/profile").await.body, change(json!({})).await.body);
    assert_eq!(change(json!({"display_name": null})).await.body["display_name"], Value::Null);
    change(json!({"display_name": "x".repeat(101)})).await.is_problem(422, "invalid_fields");
    change(json!({"display_name": 1})).await.is_problem(422, "invalid_fields");
    change(json!({"email": "none"})).await.is_problem(422, "invalid_fields");
    let given = json!({
        "is_admin": false, "subscription_tier": "pro", "is_verified": true, "username": "eve", "id": Uuid::nil(),
    });
    let same = change(given).await;
    assert_eq!((&same.body["is_admin"], &same.body["is_verified"]), (&json!(true), &json!(false)));
    assert_eq!(
        (&same.body["username"], &same.body["subscription_tier"]),
        (&json!("ann"), &json!("enterprise"))
    );
}

#[tokio::test]
async fn a_new_address_is_proved_again_and_the_old_one_is_told() {
    let api = Api::new().await;
    let (ann, _bob) = (api.register("ann").await, api.register("bob").await);
    let proof = api.mail("ann@example.com", 1).await;
    api.get(&format!("/api/auth/verify-email/{}", link_in(&proof))).await;
    let change = async |email: &str| {
        api.ask_as(ann.access(), "PUT", "/api/profile", json!({"email": email, "display_name": email})).await
    };
    change("BOB@example.com").await.is_problem(400, "email_taken");
    let same = change("Ann@Example.com").await;
    assert_eq!((&same.body["email"], &same.body["is_verified"]), (&json!("Ann@Example.com"), &json!(true)));
    let moved = change("ann@new.example").await;
    assert_eq!(
        (&moved.body["email"], &moved.body["is_verified"]),
        (&json!("ann@new.example"), &json!(false))
    );
    let told = api.mail("Ann@Example.com", 1).await;
    assert!(told.contains("has another mail address now") && !told.contains("ann@new.example"), "{told}");
    let proof = api.mail("ann@new.example", 1).await;
    api.get(&format!("/api/auth/verify-email/{}", link_in(&proof))).await;
    assert_eq!(api.me(ann.access()).await.body["is_verified"], true);
    assert_eq!(api.login("ann@new.example", PASSWORD).await.status, StatusCode::OK);
    api.login("ann@example.com", PASSWORD).await.is_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn of_two_who_take_one_address_at_once_one_gets_it() {
    let api = Api::new().await;
    let mut tokens = Vec::new();
    for name in ["ann", "bob", "cid", "dan"] {
        tokens.push(api.register(name).await.access().to_owned());
    }
    let take = tokens
        .iter()
        .map(|token| api.ask_as(token, "PUT", "/api/profile", json!({"email": "one@example.com"})));
    let answers = futures_util::future::join_all(take).await;
    let codes: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 400).count(), 3, "{codes:?}");
}

#[tokio::test]
async fn settings_have_defaults_change_in_part_and_go_back() {
    let api = Api::new().await;
    let (ann, bob) = (api.register("ann").await, api.register("bob").await);
    let path = "/api/profile/settings";
    let defaults = json!({
        "theme": "dark", "timezone": "UTC", "language": "en", "terminal_preferences": {}, "ai_preferences": {},
        "sync_enabled": true, "notifications_enabled": true,
    });
    assert_eq!(api.get_as(ann.access(), path).await.body, defaults);
    let preferences = json!({"font": {"size": 12, "names": ["A", "\u{0}", "ä"]}, "bell": null});
    let change = json!({"terminal_preferences": preferences, "sync_enabled": false, "unknown": 1});
    let changed = api.ask_as(ann.access(), "PUT", path, change).await;
    let mut expected = defaults.clone();
    expected["terminal_preferences"] = preferences.clone();
    expected["sync_enabled"] = json!(false);
    assert_eq!((changed.status, &changed.body), (StatusCode::OK, &expected));
    let changed = api.ask_as(ann.access(), "PUT", path, json!({"timezone": "Europe/Vienna"})).await;
    expected["timezone"] = json!("Europe/Vienna");
    assert_eq!(changed.body, expected);
    assert_eq!(api.get_as(ann.access(), path).await.body, expected);
    assert_eq!(api.get_as(bob.access(), path).await.body, defaults);
    let back = api.ask_as(ann.access(), "POST", "/api/profile/settings/reset", json!({})).await;
    assert_eq!((back.status, &back.body), (StatusCode::OK, &defaults));
    assert_eq!(api.get_as(ann.access(), path).await.body, defaults);

    for wrong in [
        json!({"theme": 1}),
        json!({"theme": "x".repeat(51)}),
        json!({"theme": "a\u{0}"}),
        json!({"timezone": "Mars Base"}),
        json!({"language": "en_US"}),
        json!({"terminal_preferences": []}),
        json!({"terminal_preferences": {"x": "y".repeat(64 << 10)}}),
        json!({"ai_preferences": "{}"}),
        json!({"sync_enabled": "yes"}),
    ] {
        api.ask_as(ann.access(), "PUT", path, wrong).await.is_problem(422, "invalid_fields");
    }
    assert_eq!(api.get_as(ann.access(), path).await.body, defaults);
    // The story: it came back as 1.8446744073709552e+19.
    let large = |number: &str| format!("{{\"terminal_preferences\": {{\"m\": {number}}}}}");
    let send = async |number: &str| {
        let request = Request::put(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", ann.access()));
        api.send(request.body(large(number).into()).unwrap()).await
    };
    send("18446744073709551616").await.is_problem(422, "invalid_fields");
    send("-9223372036854775809").await.is_problem(422, "invalid_fields");
    let kept = send("18446744073709551615, \"n\": 1e300}, \"ignored\": {\"n\": 1").await;
    assert_eq!(kept.status, StatusCode::OK, "{kept:?}");
    let kept = send("18446744073709551615").await;
    assert!(kept.text.contains("{\"m\":18446744073709551615}"), "{kept:?}");
}

#[tokio::test]
async fn settings_changed_at_once_lose_nothing() {
    let api = Api::new().await;
    let token = api.register("ann").await.access().to_owned();
    let path = "/api/profile/settings";
    let changes = [
        json!({"theme": "light"}),
        json!({"timezone": "Asia/Tokyo"}),
        json!({"language": "ja"}),
        json!({"sync_enabled": false}),
        json!({"notifications_enabled": false}),
    ];
    let all = changes.iter().map(|change| api.ask_as(&token, "PUT", path, change.clone()));
    futures_util::future::join_all(all).await;
    let settings = api.get_as(&token, path).await.body;
    for change in changes {
        for (name, value) in change.as_object().unwrap() {
            assert_eq!(&settings[name], value, "{name}");
        }
    }
}

#[tokio::test]
async fn an_export_holds_what_is_the_accounts_and_no_secret() {
    let api = Api::new().await;
    let node = Node::listen(api.directory.path());
    let (ann, bob) = (api.register("ann").await, api.register("bob").await);
    let mine = node.start(id_of(&ann));
    node.start(id_of(&bob));
    let out = api.login("ann", PASSWORD).await;
    assert_eq!(api.ask_as(out.access(), "POST", "/api/auth/logout", json!({})).await.status, StatusCode::OK);
    let export = api.get_as(ann.access(), "/api/profile/export").await;
    assert_eq!(export.status, StatusCode::OK, "{export:?}");
    assert!(export.headers["content-disposition"].to_str().unwrap().starts_with("attachment;"));
    assert_eq!(export.body["user"]["email"], "ann@example.com");
    assert_eq!(export.body["settings"]["theme"], "dark");
    for device in export.body["devices"].as_array().unwrap() {
        let signed_out = device["id"] == out.body["device_id"];
        assert!(signed_out || device["id"] == ann.body["device_id"], "{device}");
        assert_eq!(device["signed_out_at"].is_string(), signed_out, "{device}");
    }
    assert_eq!(export.body["devices"].as_array().unwrap().len(), 2);
    assert_eq!(export.body["sessions"][0]["id"], json!(mine.uuid()));
    assert_eq!(export.body["sessions"].as_array().unwrap().len(), 1);
    assert!(!export.text.contains("argon2") && !export.text.contains("bob"), "{}", export.text);
    let stats = api.get_as(ann.access(), "/api/profile/stats").await;
    assert_eq!((&stats.body["sessions"], &stats.body["active_sessions"]), (&json!(1), &json!(1)));
    assert_eq!(stats.body["devices"], 1);
}

/// The story: an export ended after ten thousand sessions without a word, and did not say until when the tier was paid for.
#[tokio::test]
async fn an_export_holds_all_sessions_however_many_and_the_end_of_the_subscription() {
    let api = Api::new().await;
    let ann = api.register("ann").await;
    api.database.run("update users set subscription_expires_at = 1800000000000000").await;
    // 1,000 to each time, so that pages begin and end within one.
    let random = if api.database.is_postgres() { "gen_random_uuid()" } else { "randomblob(16)" };
    let insert = format!(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < 10001)
         insert into sessions (id, owner_id, status, command, rows, cols, created_at, ended_at, bytes_out, search_text)
         select {random}, (select id from users), 'exited', '[]', 24, 80, i / 1000, 1, 0, '' from n"
    );
    api.database.run(insert.leak()).await;
    let export = api.get_as(ann.access(), "/api/profile/export").await;
    assert_eq!(
        (export.status, &export.headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    assert_eq!(export.body["user"]["subscription_expires_at"], "2027-01-15T08:00:00Z");
    let sessions = export.body["sessions"].as_array().unwrap();
    let different: std::collections::BTreeSet<&str> =
        sessions.iter().map(|session| session["id"].as_str().unwrap()).collect();
    assert_eq!((sessions.len(), different.len()), (10_001, 10_001));
}

/// Every table is filled for bob before he goes: a table that this test does not fill fails it, so that whoever adds one
/// says here what becomes of it.
#[tokio::test]
async fn a_deleted_account_leaves_no_row_in_any_table() {
    let api = Api::new().await;
    let node = Node::listen(api.directory.path());
    let ann = api.register("ann").await;
    let kept = node.start(id_of(&ann));
    api.ask_as(ann.access(), "PUT", "/api/profile/settings", json!({"theme": "light"})).await;
    api.mail("ann@example.com", 1).await;
    let before = api.database.dump().await;

    let bob = api.register("bob").await;
    let ended = node.start(id_of(&bob));
    api.ask_as(bob.access(), "PUT", "/api/profile/settings", json!({"theme": "light"})).await;
    api.post("/api/auth/forgot-password", json!({"email": "bob@example.com"})).await;
    api.mail("bob@example.com", 2).await;
    assert_eq!(api.get_as(bob.access(), "/api/sessions").await.body["total"], 1);
    let discarded = format!("/api/sessions/{}", node.start(id_of(&bob)).uuid());
    assert_eq!(
        api.ask_as(bob.access(), "DELETE", &discarded, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    let keyed = Request::post("/api/sessions")
        .header("authorization", format!("Bearer {}", bob.access()))
        .header("content-type", "application/json")
        .header("idempotency-key", "bobs");
    let refused = api.send(keyed.body("{}".into()).unwrap()).await;
    refused.is_problem(403, "local_sessions_unavailable");
    let during = api.database.dump().await;
    let rows = |dump: &BTreeMap<String, Vec<String>>| -> BTreeMap<String, usize> {
        dump.iter().map(|(table, rows)| (table.clone(), rows.len())).collect()
    };
    for (table, count) in rows(&during) {
        // Of accounts that are there it holds nothing.
        if ["gone_accounts", "gone_account_nodes", "nodes", "apis", "write_probes"].contains(&table.as_str())
        {
            continue;
        }
        assert!(count > before[&table].len(), "{table} holds nothing of bob: fill it in this test");
    }

    let delete = async |body: Value| api.ask_as(bob.access(), "DELETE", "/api/profile", body).await;
    let missing = delete(json!({})).await;
    missing.is_problem(422, "invalid_fields");
    assert_eq!(
        (&missing.body["errors"][0]["field"], &missing.body["errors"][0]["code"]),
        (&json!("password"), &json!("missing"))
    );
    delete(json!({"password": "Wrong1!x"})).await.is_problem(400, "invalid_password");
    assert_eq!(rows(&api.database.dump().await), rows(&during));
    assert!(node.is_live(ended));
    assert_eq!(delete(json!({"password": PASSWORD})).await.status, StatusCode::OK);

    assert_eq!(api.database.dump().await, before);
    assert!(!node.is_live(ended) && node.is_live(kept));
    api.me(bob.access()).await.is_problem(401, "token_revoked");
    api.refresh(bob.refresh()).await.is_problem(401, "token_invalid");
    api.login("bob", PASSWORD).await.is_problem(401, "invalid_credentials");
    assert_eq!(api.me(ann.access()).await.status, StatusCode::OK);
    // His names are free again.
    api.register("bob").await;
}

fn sessions(api: &Api) -> Sessions {
    sessions_at(api, api.directory.path())
}

fn sessions_at(api: &Api, directory: &std::path::Path) -> Sessions {
    let link = Link::new(Target::Unix(directory.join("ptyd.sock")), TaskTracker::new());
    Sessions::new(Arc::new(api.database.clone()), Arc::new(link), Clock::system())
}

/// The story: a session whose creation had passed the books before its account was deleted, and came to the node after
/// that had ended all others, lived on with nobody to reach it.
#[tokio::test]
async fn a_session_that_is_made_while_its_account_is_deleted_is_not_kept() {
    let api = Api::new().await;
    let say_so = Arc::new(Notify::new());
    let node = Node::listen_and_make(api.directory.path(), say_so.clone());
    let owner = id_of(&api.register("ann").await);
    let (sessions, id) = (sessions(&api), SessionId::new(Uuid::now_v7()));
    let new = || {
        let (size, command) = (TerminalSize::DEFAULT, Vec::new());
        let spec = Spec { name: None, command, working_directory: None, environment: Vec::new(), size };
        NewSession { spec, description: None, limits: Limits::default() }
    };
    let caller = Caller { owner, request_id: "test" };
    let deletion = async {
        wait_for("the node made it", std::time::Duration::from_secs(20), async || {
            (node.count() == 1).then_some(())
        })
        .await;
        api.database.run("delete from users").await;
        say_so.notify_one();
    };
    let (made, ()) = tokio::join!(sessions.create(caller, id, new()), deletion);
    assert!(matches!(made, Err(SessionError::OwnerGone)), "{made:?}");
    assert_eq!(node.count(), 0);
    // One that comes later is not asked of the node at all.
    let late = sessions.create(caller, SessionId::new(Uuid::now_v7()), new()).await;
    assert!(matches!(late, Err(SessionError::OwnerGone)), "{late:?}");
}

#[tokio::test]
async fn sessions_of_accounts_that_are_gone_are_ended_at_the_second_look() {
    let api = Api::new().await;
    let node = Node::listen(api.directory.path());
    let kept = node.start(id_of(&api.register("ann").await));
    let orphan = node.start(UserId::new(Uuid::now_v7()));
    let (sessions, mut missed) = (sessions(&api), std::collections::BTreeSet::new());
    sessions.compare(&mut missed).await.unwrap();
    assert!(node.is_live(orphan) && node.is_live(kept));
    sessions.compare(&mut missed).await.unwrap();
    assert!(!node.is_live(orphan) && node.is_live(kept));
}

/// An api that was started with the wrong database must not end what runs: terminals do not die of a typing error.
#[tokio::test]
async fn a_database_that_knows_nothing_of_the_node_ends_nothing_but_what_was_deleted_here() {
    let api = Api::new().await;
    let node = Node::listen(api.directory.path());
    api.register("ann").await;
    let [stranger, deleted] = [(); 2].map(|()| UserId::new(Uuid::now_v7()));
    let (theirs, orphan) = (node.start(stranger), node.start(deleted));
    let (sessions, mut missed) = (sessions(&api), std::collections::BTreeSet::new());
    sessions.note_gone(deleted);
    for _ in 0..3 {
        sessions.compare(&mut missed).await.unwrap();
    }
    assert!(node.is_live(theirs) && !node.is_live(orphan));
}

/// The story: while its node was away an account could be neither deleted, exported nor counted; 503 was the answer.
#[tokio::test]
async fn an_account_whose_node_is_away_is_counted_exported_and_deleted() {
    let api = Api::new().await;
    let ann = api.register("ann").await;
    let node = Node::listen(api.directory.path());
    let running = node.start(id_of(&ann));
    assert_eq!(api.get_as(ann.access(), "/api/sessions").await.body["total"], 1);
    // As an api that is started later finds it, which has deleted nothing itself.
    let (later, mut missed) = (sessions(&api), std::collections::BTreeSet::new());
    let held = node.leave();

    let stats = api.get_as(ann.access(), "/api/profile/stats").await;
    assert_eq!(stats.status, StatusCode::OK, "{stats:?}");
    assert_eq!((&stats.body["sessions"], &stats.body["active_sessions"]), (&json!(1), &json!(1)));
    let export = api.get_as(ann.access(), "/api/profile/export").await;
    assert_eq!(export.status, StatusCode::OK, "{export:?}");
    assert_eq!(export.body["sessions"][0]["id"], json!(running.uuid()));
    for (path, part, expected) in [
        ("", "total", json!(1)),
        ("?status=detached", "total", json!(1)),
        ("/active/count", "count", json!(1)),
        ("/stats/overview", "detached", json!(1)),
        (&format!("/{running}"), "status", json!("detached")),
        (&format!("/{running}/health"), "healthy", json!(false)),
    ] {
        let answer = api.get_as(ann.access(), &format!("/api/sessions{path}")).await;
        assert_eq!((answer.status, &answer.body[part]), (StatusCode::OK, &expected), "{path}: {answer:?}");
    }
    let answer = api.ask_as(ann.access(), "DELETE", "/api/profile", json!({"password": PASSWORD})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    api.login("ann", PASSWORD).await.is_problem(401, "invalid_credentials");

    let node = Node::come_back(api.directory.path(), held);
    for _ in 0..2 {
        assert!(node.is_live(running));
        later.compare(&mut missed).await.unwrap();
    }
    assert!(!node.is_live(running));
    later.compare(&mut missed).await.unwrap();
    assert_eq!(api.database.count("select count(*) from gone_accounts").await, 0);
}

/// The story: the id of a deleted account stayed for a month, and longer where nobody else was deleted.
#[tokio::test]
async fn the_note_of_a_deleted_account_goes_once_each_node_that_had_something_of_it_has_ended_that() {
    let api = Api::new().await;
    let ids = [(); 3].map(|()| NodeId::new(Uuid::new_v4()));
    let node = Node::listen_as(api.directory.path(), ids[0], super::super::node::Held::default());
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Node::listen_as(elsewhere.path(), ids[1], super::super::node::Held::default());
    // One that had nothing of anybody, and never answers again.
    api.database.note_node(ids[2], OffsetDateTime::now_utc()).await.unwrap();
    let ann = api.register("ann").await;
    let (here, there) = (node.start(id_of(&ann)), other.start(id_of(&ann)));
    let apis = [api.directory.path(), elsewhere.path()].map(|place| sessions_at(&api, place));
    let mut missed = [(); 2].map(|()| std::collections::BTreeSet::new());
    for (api, missed) in apis.iter().zip(&mut missed) {
        api.compare(missed).await.unwrap();
    }
    let held = node.leave();
    let answer = api.ask_as(ann.access(), "DELETE", "/api/profile", json!({"password": PASSWORD})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let noted = async |table: &'static str| api.database.count(table).await;
    let (accounts, nodes) = ("select count(*) from gone_accounts", "select count(*) from gone_account_nodes");
    assert_eq!((noted(accounts).await, noted(nodes).await), (1, 2));

    let mut told = std::collections::BTreeSet::new();
    apis[1].end_gone(&mut told).await.unwrap();
    assert!(!other.is_live(there), "within a second");
    apis[1].compare(&mut missed[1]).await.unwrap();
    assert_eq!((noted(accounts).await, noted(nodes).await), (1, 1));
    let node = Node::listen_as(api.directory.path(), ids[0], held);
    for _ in 0..3 {
        apis[0].compare(&mut missed[0]).await.unwrap();
    }
    assert!(!node.is_live(here));
    assert_eq!((noted(accounts).await, noted(nodes).await), (0, 0));
}

#[tokio::test]
async fn the_note_of_a_deleted_account_whose_node_never_comes_back_goes_after_a_month() {
    let api = Api::new().await;
    let ann = api.register("ann").await;
    let answer = api.ask_as(ann.access(), "DELETE", "/api/profile", json!({"password": PASSWORD})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let month = OffsetDateTime::now_utc() + Duration::days(30);
    for (now, left) in [(month - Duration::hours(1), 1), (month + Duration::hours(1), 0)] {
        api.database.forget_old(now).await.unwrap();
        assert_eq!(api.database.count("select count(*) from gone_accounts").await, left);
    }
}

/// The story: an account that was being deleted was told that its new address is taken, that its settings are set back, and
/// was given a ticket.
#[tokio::test]
async fn an_account_that_is_gone_is_signed_out_whatever_it_asks() {
    let api = Api::new().await;
    let device = format!("/api/auth/devices/{}", Uuid::nil());
    let [profile, settings] = ["/api/profile", "/api/profile/settings"];
    for (method, path, body) in [
        ("GET", profile, json!({})),
        ("PUT", profile, json!({})),
        ("PUT", profile, json!({"display_name": "Ann"})),
        ("PUT", profile, json!({"email": "ann@new.example"})),
        ("DELETE", profile, json!({"password": PASSWORD})),
        ("GET", "/api/profile/stats", json!({})),
        ("GET", "/api/profile/export", json!({})),
        ("GET", settings, json!({})),
        ("PUT", settings, json!({"theme": "light"})),
        ("POST", "/api/profile/settings/reset", json!({})),
        ("GET", "/api/auth/me", json!({})),
        ("GET", "/api/auth/devices", json!({})),
        ("DELETE", &device, json!({})),
        ("GET", "/api/auth/account-status", json!({})),
        ("POST", "/api/auth/ws-ticket", json!({})),
        ("POST", "/api/auth/logout", json!({})),
        (
            "POST",
            "/api/auth/change-password",
            json!({"current_password": PASSWORD, "new_password": "Another1!"}),
        ),
    ] {
        let ann = api.register("ann").await;
        // What is known of her device for less than a second still.
        assert_eq!(api.me(ann.access()).await.status, StatusCode::OK);
        api.database.run("delete from users").await;
        let answer = api.ask_as(ann.access(), method, path, body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (401, &json!("token_revoked")),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn whatever_is_under_a_profile_needs_a_token() {
    let api = Api::new().await;
    for (method, path) in [
        ("GET", "/api/profile"),
        ("PUT", "/api/profile"),
        ("DELETE", "/api/profile"),
        ("GET", "/api/profile/stats"),
        ("GET", "/api/profile/settings"),
        ("PUT", "/api/profile/settings"),
        ("POST", "/api/profile/settings/reset"),
        ("GET", "/api/profile/export"),
        ("GET", "/api/auth/devices"),
        ("GET", "/api/auth/account-status"),
        ("DELETE", "/api/auth/devices/00000000-0000-0000-0000-000000000000"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        api.send(request).await.is_problem(401, "not_authenticated");
    }
}
