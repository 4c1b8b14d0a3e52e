//! What every database keeps to.

use devpocket_shared::ids::{DeviceId, UserId};
use devpocket_tests::wait_until;
use futures_util::future::join_all;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::domain::profile::{Settings, SettingsChange};
use crate::domain::secret_token::{self, Salt};
use crate::domain::user::{DeviceInfo, DeviceKind};

pub(super) const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn t0() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

fn new_user(name: &str) -> NewUser {
    NewUser {
        id: UserId::new(Uuid::now_v7()),
        email: Email::parse(&format!("{name}@Example.com")).unwrap(),
        username: Username::parse(name).unwrap(),
        display_name: Some(format!("{name} Ä € 😀 ' \" \\ $1 ; --")),
        password_hash: Some("$argon2id$".into()),
        created_at: t0() + Duration::microseconds(123_456),
        if_first: None,
    }
}

pub(super) async fn user(database: &Database, name: &str) -> User {
    match database.create_user(&new_user(name)).await.unwrap() {
        Created::User(user) => *user,
        refused @ (Created::EmailTaken | Created::UsernameTaken) => panic!("{refused:?}"),
    }
}

pub(super) async fn device(database: &Database, owner: &User) -> (DeviceId, SecretHash) {
    let (id, secret) = (DeviceId::new(Uuid::now_v7()), secret_token::random().unwrap());
    let info = DeviceInfo { name: Some("Phone".into()), kind: Some(DeviceKind::Ios) };
    let refresh = refresh_of(secret_token::hash(&secret));
    let password_hash = owner.password_hash.clone();
    let device = NewDevice { id, user_id: owner.id, info, address: HOME, password_hash };
    assert!(database.sign_in(&device, refresh, t0()).await.unwrap());
    (id, refresh.hash)
}

pub(super) fn successor() -> Successor {
    let (secret, salt) = (secret_token::random().unwrap(), Salt::random().unwrap());
    Successor { refresh: refresh_of(secret_token::hash(&secret)), salt }
}

pub(super) fn refresh_of(hash: SecretHash) -> NewRefresh {
    NewRefresh { hash, expires_at: t0() + Duration::days(30) }
}

#[tokio::test]
async fn processes_that_open_an_empty_database_at_once_all_find_it_migrated() {
    let place = Kept::make().await;
    let location = place.location();
    let opened = join_all((0..8).map(|_| Database::open(&location, Schema::Migrate))).await;
    for database in opened {
        assert!(!database.unwrap().any_user().await.unwrap());
    }
    let again = Database::migrate(&location).await.unwrap();
    assert_eq!(again.count, 0);
    assert!(again.version > 0);
}

#[tokio::test]
async fn a_schema_that_is_only_looked_at_must_be_complete_and_may_be_newer() {
    let place = Kept::make().await;
    let location = place.location();
    let empty = Database::open(&location, Schema::Check).await;
    assert!(matches!(empty, Err(StoreError::Outdated)), "{empty:?}");
    let first = Database::migrate(&location).await.unwrap();
    assert!(first.count > 0);
    let database = Database::open(&location, Schema::Check).await.unwrap();
    // As the next release leaves it.
    database
        .run(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             select 9999, description, success, checksum, execution_time from _sqlx_migrations where version = 1",
        )
        .await;
    for schema in [Schema::Check, Schema::Migrate] {
        Database::open(&location, schema).await.unwrap().ping().await.unwrap();
    }
    database.run("delete from _sqlx_migrations where version = 1").await;
    let lacking = Database::open(&location, Schema::Check).await;
    assert!(matches!(lacking, Err(StoreError::Outdated)), "{lacking:?}");
}

#[tokio::test]
async fn a_database_of_the_first_release_is_brought_up_to_date_with_its_rows() {
    let place = Kept::make().await;
    place.migrate_first().await;
    let applied = Database::migrate(&place.location()).await.unwrap();
    assert!(applied.count > 0 && applied.version > 1);
    let database = place.open().await;
    let ann = database.user_by_login(&LoginName::parse("ann")).await.unwrap().unwrap();
    assert_eq!((ann.tier, ann.tier_until, ann.is_admin), (Tier::Pro, None, true));
    let phone = DeviceId::new(Uuid::from_u128(2));
    let standing = database.standing(ann.id, phone, t0()).await.unwrap();
    assert_eq!(standing, Standing::SignedIn { is_admin: true, tier: Tier::Pro });
    let (devices, total) = database.devices(ann.id, Part { offset: 0, limit: 10 }, t0()).await.unwrap();
    assert_eq!((devices.len(), total, devices[0].address), (1, 1, None));
}

#[tokio::test]
async fn devices_that_cannot_go_on_are_forgotten_after_a_month() {
    let place = Kept::make().await;
    let database = place.open().await;
    let (ann, bob) = (user(&database, "ann").await, user(&database, "bob").await);
    let (out, _) = device(&database, &ann).await;
    let (_idle, _) = device(&database, &ann).await;
    device(&database, &bob).await;
    database.sign_out(ann.id, out, t0()).await.unwrap();
    let rows = async || database.count("select count(*) from devices").await;
    let sign_in = async |days: i64| {
        let id = DeviceId::new(Uuid::now_v7());
        let now = t0() + Duration::days(days);
        let hash = secret_token::hash(&secret_token::random().unwrap());
        let refresh = NewRefresh { hash, expires_at: now + Duration::days(365) };
        let (info, password_hash) = (DeviceInfo::default(), ann.password_hash.clone());
        let new = NewDevice { id, user_id: ann.id, info, address: HOME, password_hash };
        assert!(database.sign_in(&new, refresh, now).await.unwrap());
        id
    };
    let kept = sign_in(29).await;
    assert_eq!(rows().await, 4);
    sign_in(30).await;
    assert_eq!(rows().await, 4, "the one that was signed out is gone");
    sign_in(60).await;
    assert_eq!(rows().await, 4, "and the one whose token ended a month ago");
    let (devices, _) =
        database.devices(ann.id, Part { offset: 0, limit: 10 }, t0() + Duration::days(60)).await.unwrap();
    assert!(devices.len() == 3 && devices.iter().any(|device| device.id == kept));
}

#[tokio::test]
async fn what_is_written_is_read_back_as_it_was() {
    let place = Kept::make().await;
    let database = place.open().await;
    let new = new_user("Ann_1");
    user(&database, "bob").await;
    assert!(matches!(database.create_user(&new).await.unwrap(), Created::User(_)));
    let read = database.user(new.id).await.unwrap().unwrap();
    assert_eq!((read.email.as_str(), read.username.as_str()), ("Ann_1@Example.com", "Ann_1"));
    assert_eq!((read.display_name, read.created_at), (new.display_name, new.created_at));
    assert_eq!((read.is_active, read.is_verified, read.is_admin), (true, false, false));
    assert_eq!((read.tier, read.last_login_at), (Tier::Free, None));
    for name in ["ann_1", "ann_1@example.com"] {
        let found = database.user_by_login(&LoginName::parse(name)).await.unwrap();
        let id = database.id_by_login(&LoginName::parse(name)).await.unwrap();
        assert_eq!(id, found.as_ref().map(|user| user.id), "{name}");
        assert_eq!(found.map(|user| user.id), Some(new.id));
    }
    assert!(database.user(UserId::new(Uuid::nil())).await.unwrap().is_none());
    assert!(database.oldest_admin().await.unwrap().is_none());
}

#[tokio::test]
async fn names_are_unique_whatever_their_case_and_it_is_said_which_is_taken() {
    let place = Kept::make().await;
    let database = place.open().await;
    user(&database, "ann").await;
    let with = |email: &str, username: &str| NewUser {
        email: Email::parse(email).unwrap(),
        username: Username::parse(username).unwrap(),
        ..new_user("x_x")
    };
    let taken = database.create_user(&with("ANN@example.COM", "bob")).await.unwrap();
    assert!(matches!(taken, Created::EmailTaken), "{taken:?}");
    let taken = database.create_user(&with("bob@example.com", "ANN")).await.unwrap();
    assert!(matches!(taken, Created::UsernameTaken), "{taken:?}");
    let same = with("bob@example.com", "bob");
    let both = join_all((0..8).map(|_| async {
        database.create_user(&NewUser { id: UserId::new(Uuid::now_v7()), ..same.clone() }).await.unwrap()
    }));
    let made = both.await.into_iter().filter(|made| matches!(made, Created::User(_))).count();
    assert_eq!(made, 1);
}

#[tokio::test]
async fn of_accounts_made_at_once_one_is_the_first() {
    let place = Kept::make().await;
    let database = place.open().await;
    let names: Vec<String> = (0..8).map(|n| format!("user{n}")).collect();
    let made = join_all(names.iter().map(|name| async {
        let new = NewUser { if_first: Some(Tier::Enterprise), ..new_user(name) };
        match database.create_user(&new).await.unwrap() {
            Created::User(user) => user.is_admin && user.tier == Tier::Enterprise,
            refused @ (Created::EmailTaken | Created::UsernameTaken) => panic!("{refused:?}"),
        }
    }));
    assert_eq!(made.await.into_iter().filter(|first| *first).count(), 1);
    let late = database.create_owner(&new_user("owner"), Tier::Enterprise).await.unwrap();
    assert!(late.is_none());
}

#[tokio::test]
async fn of_owners_made_at_once_there_is_one() {
    let place = Kept::make().await;
    let database = place.open().await;
    let names: Vec<String> = (0..8).map(|n| format!("user{n}")).collect();
    let made = join_all(names.iter().map(|name| async {
        database.create_owner(&new_user(name), Tier::Enterprise).await.unwrap().is_some()
    }));
    assert_eq!(made.await.into_iter().filter(|made| *made).count(), 1);
}

#[tokio::test]
async fn a_token_shown_twenty_times_at_once_is_spent_once() {
    let place = Kept::make().await;
    let database = place.open().await;
    let ann = user(&database, "ann").await;
    let (phone, first) = device(&database, &ann).await;
    let grace = Duration::seconds(60);
    let now = t0() + Duration::minutes(1);
    let successors: Vec<Successor> = (0..20).map(|_| successor()).collect();
    let shown = successors.iter().map(|next| database.rotate(first, *next, grace, HOME, now));
    let shown: Vec<Rotation> = join_all(shown).await.into_iter().map(Result::unwrap).collect();
    let spent = shown.iter().position(|rotation| *rotation == Rotation::Spent(ann.id, phone)).unwrap();
    let (next, salt) = (successors[spent].refresh.hash, successors[spent].salt);
    let before = shown.iter().filter(|shown| **shown == Rotation::SpentBefore(ann.id, phone, salt));
    assert_eq!(before.count(), 19, "{shown:?}");
    assert_eq!(database.count("select count(*) from refresh_tokens").await, 2);
    assert_eq!(
        database.standing(ann.id, phone, t0()).await.unwrap(),
        Standing::SignedIn { is_admin: false, tier: Tier::Free }
    );

    // Of copies used late, at once, all are refused and the family is gone.
    let late = now + grace;
    let reused = join_all((0..8).map(|_| database.rotate(first, successor(), grace, HOME, late))).await;
    let found_out = reused
        .iter()
        .filter(|rotation| matches!(rotation, Ok(Rotation::Reused(device)) if *device == phone))
        .count();
    assert!(found_out >= 1, "{reused:?}");
    assert!(
        reused.iter().all(|rotation| matches!(rotation, Ok(Rotation::Reused(_) | Rotation::Refused))),
        "{reused:?}"
    );
    assert_eq!(database.standing(ann.id, phone, t0()).await.unwrap(), Standing::SignedOut);
    assert_eq!(database.rotate(next, successor(), grace, HOME, late).await.unwrap(), Rotation::Refused);
}

#[tokio::test]
async fn what_leads_from_a_token_to_its_successor_is_forgotten_by_the_next_refresh() {
    let place = Kept::make().await;
    let database = place.open().await;
    let ann = user(&database, "ann").await;
    let (_, mut token) = device(&database, &ann).await;
    let grace = Duration::seconds(60);
    let salts = "select count(*) from refresh_tokens where successor_salt is not null";
    for (after, kept) in [(0, 1), (59, 2), (60, 2), (200, 1)] {
        let next = successor();
        database.rotate(token, next, grace, HOME, t0() + Duration::seconds(after)).await.unwrap();
        token = next.refresh.hash;
        assert_eq!(database.count(salts).await, kept, "after {after} s");
    }
}

#[tokio::test]
async fn a_standing_is_that_of_the_devices_own_account() {
    let place = Kept::make().await;
    let database = place.open().await;
    let (ann, bob) = (user(&database, "ann").await, user(&database, "bob").await);
    let (phone, _) = device(&database, &ann).await;
    let (laptop, token) = device(&database, &ann).await;
    assert_eq!(database.standing(bob.id, phone, t0()).await.unwrap(), Standing::SignedOut);
    let old = ann.password_hash.as_ref();
    let signed_out = database.change_password(ann.id, old, &"new".into(), phone, t0()).await.unwrap();
    assert_eq!(signed_out, Some(vec![laptop]));
    assert_eq!(
        database.standing(ann.id, phone, t0()).await.unwrap(),
        Standing::SignedIn { is_admin: false, tier: Tier::Free }
    );
    assert_eq!(database.standing(ann.id, laptop, t0()).await.unwrap(), Standing::SignedOut);
    let rotation = database.rotate(token, successor(), Duration::seconds(60), HOME, t0()).await.unwrap();
    assert_eq!(rotation, Rotation::Refused);
    assert!(!database.sign_out(bob.id, phone, t0()).await.unwrap());
    assert!(database.sign_out(ann.id, phone, t0()).await.unwrap());
    assert!(!database.sign_out(ann.id, phone, t0()).await.unwrap());
    assert_eq!(database.standing(ann.id, phone, t0()).await.unwrap(), Standing::SignedOut);
}

/// The story: a login that had verified the old password signed its device in after the password was changed or reset,
/// which had signed out all that were there until then.
#[tokio::test]
async fn what_a_password_was_verified_for_is_refused_once_the_account_is_another() {
    let place = Kept::make().await;
    let database = place.open().await;
    for (name, change) in [
        ("changed", "update users set password_hash = 'other'"),
        ("forgotten", "update users set password_hash = null"),
        ("closed", "update users set is_active = false"),
        ("deleted", "delete from users"),
    ] {
        let verified = user(&database, name).await;
        let (phone, _) = device(&database, &verified).await;
        database.run(change).await;
        let secret = secret_token::hash(&secret_token::random().unwrap());
        let late = NewDevice {
            id: DeviceId::new(Uuid::now_v7()),
            user_id: verified.id,
            info: DeviceInfo::default(),
            address: HOME,
            password_hash: verified.password_hash.clone(),
        };
        assert!(!database.sign_in(&late, refresh_of(secret), t0()).await.unwrap(), "{name}");
        assert_eq!(database.standing(verified.id, late.id, t0()).await.unwrap(), Standing::SignedOut);
        let old = verified.password_hash.as_ref();
        let changed = database.change_password(verified.id, old, &"mine".into(), phone, t0()).await;
        assert_eq!(changed.unwrap(), None, "{name}");
        let deleted = database.delete_user(verified.id, old, phone, t0()).await;
        assert_eq!(deleted.unwrap(), None, "{name}");
    }
    assert_eq!(database.count("select count(*) from users where password_hash = 'mine'").await, 0);
}

#[tokio::test]
async fn settings_of_an_account_that_is_gone_are_none() {
    let place = Kept::make().await;
    let database = place.open().await;
    let ann = user(&database, "ann").await;
    let (change, otherwise) = (SettingsChange::default(), Settings::default());
    let changed = async || database.change_settings(ann.id, &change, &otherwise, t0()).await.unwrap();
    assert_eq!(changed().await, Some(Settings::default()));
    database.run("delete from users").await;
    assert_eq!(changed().await, None);
}

#[tokio::test]
async fn a_password_is_changed_by_a_device_that_is_signed_in() {
    let place = Kept::make().await;
    let database = place.open().await;
    let (ann, bob) = (user(&database, "ann").await, user(&database, "bob").await);
    let (phone, _) = device(&database, &ann).await;
    let (others, _) = device(&database, &bob).await;
    let old = ann.password_hash.as_ref();
    let change =
        async |by| database.change_password(ann.id, old, &"new".into(), by, t0()).await.unwrap().is_some();
    assert!(!change(others).await);
    database.sign_out(ann.id, phone, t0()).await.unwrap();
    assert!(!change(phone).await, "it was signed out meanwhile");
    let (laptop, _) = device(&database, &ann).await;
    assert!(change(laptop).await);
}

/// Of a change of the password and logins at once, each login is either first, and signed out by it, or refused.
#[tokio::test]
async fn no_login_with_the_old_password_outlives_a_change_made_at_once() {
    let place = Kept::make().await;
    let database = place.open().await;
    let ann = user(&database, "ann").await;
    let (phone, _) = device(&database, &ann).await;
    let logins = join_all((0..16).map(|_| async {
        let hash = secret_token::hash(&secret_token::random().unwrap());
        let (id, password_hash) = (DeviceId::new(Uuid::now_v7()), ann.password_hash.clone());
        let new =
            NewDevice { id, user_id: ann.id, info: DeviceInfo::default(), address: HOME, password_hash };
        database.sign_in(&new, refresh_of(hash), t0()).await.unwrap();
    }));
    let new = "new".into();
    let change = database.change_password(ann.id, ann.password_hash.as_ref(), &new, phone, t0());
    let (_, changed) = tokio::join!(logins, change);
    assert!(changed.unwrap().is_some());
    let (devices, _) = database.devices(ann.id, Part { offset: 0, limit: 100 }, t0()).await.unwrap();
    assert_eq!(devices.iter().map(|device| device.id).collect::<Vec<_>>(), [phone]);
}

#[tokio::test]
async fn a_closed_database_is_unavailable() {
    let place = Kept::make().await;
    let database = place.open().await;
    database.close().await;
    let failed = database.ping().await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
}

/// The story: a database on a full disk was said to be well, since it answered.
pub(super) async fn is_known_to_refuse_writes_until_one_is_taken(
    database: &Database,
    block: &'static str,
    refused: &'static str,
    unblock: &'static str,
) {
    let probes = async || database.count("select count(*) from write_probes where id = 1").await;
    assert_eq!(database.ping().await.unwrap(), Answering::Everything);
    database.run(block).await;
    assert_eq!(database.ping().await.unwrap(), Answering::Everything, "nothing was written");
    assert_eq!(probes().await, 0, "nor is while all is well");
    let mut transaction = database.begin().await.unwrap();
    let failed = transaction.execute(sql(refused)).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    drop(transaction);
    for _ in 0..2 {
        assert_eq!(database.ping().await.unwrap(), Answering::ReadsAlone);
    }
    database.run(unblock).await;
    assert_eq!(probes().await, 0);
    wait_until("a write is taken", std::time::Duration::from_secs(20), async || {
        database.ping().await.unwrap() == Answering::Everything
    })
    .await;
    assert_eq!(probes().await, 1);
}

#[tokio::test]
async fn a_statement_the_database_refuses_is_our_fault() {
    let place = Kept::make().await;
    let database = place.open().await;
    let failed = database.execute(sql("select nothing from nowhere")).await;
    assert!(matches!(failed, Err(StoreError::Failed(_))), "{failed:?}");
}

#[tokio::test]
async fn a_tier_that_is_not_paid_for_any_more_is_free() {
    let place = Kept::make().await;
    let database = place.open().await;
    let ann = user(&database, "ann").await;
    let (phone, _) = device(&database, &ann).await;
    let until = t0() + Duration::days(1);
    let update = sql("update users set subscription_tier = 'team', subscription_expires_at = $1");
    database.execute(update.bind(until)).await.unwrap();
    for (now, expected) in [(until - Duration::seconds(1), Tier::Team), (until, Tier::Free)] {
        let standing = database.standing(ann.id, phone, now).await.unwrap();
        assert_eq!(standing, Standing::SignedIn { is_admin: false, tier: expected });
        assert_eq!(database.user(ann.id).await.unwrap().unwrap().tier_at(now), expected);
    }
    database.run("update users set subscription_expires_at = null").await;
    let standing = database.standing(ann.id, phone, until).await.unwrap();
    assert_eq!(standing, Standing::SignedIn { is_admin: false, tier: Tier::Team });
}
