//! What every database keeps to when two change one account at once. Who comes first is made sure of where the database
//! tells who waits; where it does not, what is asserted holds either way.

use devpocket_shared::ids::{DeviceId, SessionId, TerminalSize};
use devpocket_shared::wire::{Limits, Spec};
use time::Duration;
use uuid::Uuid;

use super::contract::{HOME, device, successor, user};
use super::*;
use crate::domain::secret_token;
use crate::domain::session::Session;
use crate::store::database::Transaction;

/// What `second` gives, begun once another waits for what `held` locks; that is let go once both wait.
async fn as_second<T>(database: &Database, held: Transaction, second: impl Future<Output = T>) -> T {
    database.waiters(1).await;
    let letting_go = async {
        database.waiters(2).await;
        held.commit().await.unwrap();
    };
    tokio::join!(second, letting_go).0
}

/// The story: of a login and `revoke-devices` at once, the login could be committed after all devices that were there had
/// been signed out, and stayed.
#[tokio::test]
async fn a_login_that_is_under_way_when_all_devices_are_signed_out_is_signed_out_too() {
    let place = Kept::make().await;
    let database = place.open().await;
    let ann = user(&database, "ann").await;
    let (before, _) = device(&database, &ann).await;
    let late = DeviceId::new(Uuid::now_v7());
    let mut login = database.begin().await.unwrap();
    login.execute(sql("update users set last_login_at = $1").bind(t0())).await.unwrap();
    let insert = sql("insert into devices (id, user_id, created_at, last_seen_at) values ($1, $2, $3, $3)");
    login.execute(insert.bind(late).bind(ann.id).bind(t0())).await.unwrap();
    let logging_in = async {
        database.waiters(1).await;
        login.commit().await.unwrap();
    };
    let (signed_out, ()) = tokio::join!(database.sign_out_all(ann.id, t0()), logging_in);
    assert_eq!(signed_out.unwrap().len(), 2);
    for device in [before, late] {
        assert_eq!(database.standing(ann.id, device, t0()).await.unwrap(), Standing::SignedOut);
    }
}

/// The story: a reset took its link first and then the account, a deletion the account and then its links; each waited for
/// the other until PostgreSQL gave one of them up. And an account whose owner had just taken it back by a reset was deleted
/// by whoever knew the password before.
#[tokio::test]
async fn of_a_reset_and_a_deletion_at_once_the_first_is_done_and_the_other_refused() {
    let place = Kept::make().await;
    let database = place.open().await;
    let ann = user(&database, "ann").await;
    let (phone, _) = device(&database, &ann).await;
    let token = NewMailToken {
        hash: secret_token::hash(&secret_token::random().unwrap()),
        user_id: ann.id,
        purpose: MailPurpose::Reset,
        email_key: "ann@example.com".to_owned(),
        expires_at: t0() + Duration::hours(1),
    };
    assert!(database.add_mail_token(&token, 5, t0()).await.unwrap());
    let mut held = database.begin().await.unwrap();
    held.execute(sql("update mail_tokens set expires_at = expires_at")).await.unwrap();
    let new = "new".into();
    let reset = database.reset_password(token.hash, &new, t0());
    let deleting = database.delete_user(ann.id, ann.password_hash.as_ref(), phone, t0());
    let deletion = as_second(&database, held, deleting);
    let (reset, deleted) = tokio::join!(reset, deletion);
    let (reset, deleted) = (reset.unwrap(), deleted.unwrap().is_some());
    assert_eq!(reset.is_none(), deleted, "one of them, not both: {reset:?}");
    let left = database.count("select count(*) from users where password_hash = 'new'").await;
    assert_eq!(left, i64::from(!deleted));
    if database.is_postgres() {
        assert!(!deleted, "the reset came first");
    }
}

/// The story: a refresh took its token first and then the device, a deletion the other way round.
#[tokio::test]
async fn a_refresh_and_a_deletion_at_once_do_not_wait_for_each_other() {
    let place = Kept::make().await;
    let database = place.open().await;
    let ann = user(&database, "ann").await;
    let (phone, token) = device(&database, &ann).await;
    let mut held = database.begin().await.unwrap();
    held.execute(sql("update refresh_tokens set spent_at = spent_at")).await.unwrap();
    let refresh = database.rotate(token, successor(), Duration::seconds(60), HOME, t0());
    let deleting = database.delete_user(ann.id, ann.password_hash.as_ref(), phone, t0());
    let deletion = as_second(&database, held, deleting);
    let (refreshed, deleted) = tokio::join!(refresh, deletion);
    let expected = [Rotation::Spent(ann.id, phone), Rotation::Refused];
    assert!(expected.contains(&refreshed.unwrap()));
    assert_eq!(deleted.unwrap(), Some(vec![phone]));
    assert_eq!(database.count("select count(*) from refresh_tokens").await, 0);
}

/// The story: a password was changed, and an account deleted, from a device that had just been signed out. The statement
/// that did it waited for whoever signed the device out, and saw the device as it had been before; and who signed out one
/// device alone did not wait for it at all.
#[tokio::test]
async fn a_device_that_is_being_signed_out_changes_its_account_no_more() {
    let place = Kept::make().await;
    let database = place.open().await;
    for (name, all, delete) in
        [("ann", true, false), ("bob", true, true), ("cid", false, false), ("dan", false, true)]
    {
        let owner = user(&database, name).await;
        let (phone, _) = device(&database, &owner).await;
        let mut refresh = database.begin().await.unwrap();
        refresh.execute(sql("update devices set last_seen_at = last_seen_at")).await.unwrap();
        let signing_out = async {
            if all {
                database.sign_out_all(owner.id, t0()).await.unwrap() == [phone]
            } else {
                database.sign_out(owner.id, phone, t0()).await.unwrap()
            }
        };
        let acting = async {
            let (old, new) = (owner.password_hash.as_ref(), "new".into());
            let act = async {
                if delete {
                    database.delete_user(owner.id, old, phone, t0()).await.unwrap().is_some()
                } else {
                    database.change_password(owner.id, old, &new, phone, t0()).await.unwrap().is_some()
                }
            };
            as_second(&database, refresh, act).await
        };
        let (signed_out, acted) = tokio::join!(signing_out, acting);
        assert!(signed_out || (delete && acted), "{name}");
        assert_eq!(database.standing(owner.id, phone, t0()).await.unwrap(), Standing::SignedOut, "{name}");
        if database.is_postgres() {
            assert!(!acted, "{name}: the sign-out came first");
        }
    }
}

/// The story: what an operator's `end-sessions --all` locks, a deletion's cascade locks too, in another order: each waited for
/// the other until PostgreSQL gave one of them up, which was answered with 503.
#[tokio::test]
async fn what_waits_for_a_deletion_that_waits_for_it_is_done_all_the_same() {
    let place = Kept::make().await;
    let database = place.open().await;
    let ann = user(&database, "ann").await;
    for name in ["first", "second"] {
        let spec = Spec {
            name: Some(name.to_owned()),
            command: Vec::new(),
            working_directory: None,
            environment: Vec::new(),
            size: TerminalSize::DEFAULT,
        };
        let session = Session::new(SessionId::new(Uuid::now_v7()), ann.id, &spec, Limits::default(), t0());
        assert_eq!(database.add_session(&session).await.unwrap(), Added::Done);
    }
    let mut cascade = database.begin().await.unwrap();
    cascade.execute(sql("delete from sessions where name = 'second'")).await.unwrap();
    let other_way_round = async {
        database.waiters(1).await;
        // Whichever of the two is given up.
        if cascade.execute(sql("delete from sessions where name = 'first'")).await.is_ok() {
            cascade.commit().await.unwrap();
        }
    };
    let (ended, ()) = tokio::join!(database.want_end(Ending::All, t0()), other_way_round);
    let left = database.count("select count(*) from sessions").await;
    assert_eq!(i64::try_from(ended.unwrap().len()).unwrap(), left);
}
