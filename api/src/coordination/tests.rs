//! What apis agree on, alone and over a real Redis.

use std::task::Poll;
use std::time::Duration;

use devpocket_shared::ids::DeviceId;
use devpocket_tests::stack::Redis;
use devpocket_tests::wait_until;
use futures_util::future::join_all;
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;
use crate::domain::coordination::Coordination;
use crate::domain::limits::{Class, Limiter, Quota, Subject};
use crate::domain::lockout::FAILURES;
use crate::domain::ticket::Taken;

const QUOTA: Quota = Quota { units: 60, per: Duration::from_secs(60) };

fn over(redis: &Redis) -> RedisCoordination {
    RedisCoordination::new(&redis.url().into()).unwrap()
}

const LIFE: Duration = Duration::from_secs(60);

fn device() -> DeviceId {
    DeviceId::new(Uuid::new_v4())
}

fn address(n: u8) -> Subject {
    Subject::Address([192, 0, 2, n].into())
}

/// What everybody keeps to, who is asked together or in turn by several apis.
async fn keeps_the_contract(apis: &[&dyn Coordination]) {
    let nth = |n: usize| apis[n % apis.len()];
    let began = tokio::time::Instant::now();
    let taken =
        join_all((0..200).map(|n| async move { nth(n).take(Class::General, &address(1), QUOTA).await }));
    let taken = taken.await;
    let passed = taken.iter().filter(|taken| taken.refused_for.is_none()).count();
    let earned = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!((60..=60 + earned).contains(&passed), "{passed} in {earned} s");
    let refused = taken.iter().find(|taken| taken.refused_for.is_some()).unwrap();
    assert_eq!((refused.remaining, refused.limit), (0, 60));
    assert!(refused.refused_for.unwrap() <= Duration::from_secs(1));
    assert!(refused.full_in > Duration::from_secs(58) && refused.full_in <= Duration::from_secs(60));
    let other = nth(0).take(Class::General, &address(2), QUOTA).await;
    assert_eq!((other.refused_for, other.remaining), (None, 59));
    assert!(nth(0).take(Class::Auth, &address(1), QUOTA).await.refused_for.is_none());

    let (id, now) = (Uuid::new_v4(), OffsetDateTime::now_utc());
    let used = join_all(
        (0..20).map(|n| async move { nth(n).use_ticket(id, now + Duration::from_secs(30), now).await }),
    );
    let first = used.await.into_iter().filter(|taken| *taken == Taken::First).count();
    assert_eq!(first, 1);

    let settled = join_all((0..20).map(|n| async move { nth(n).settle("ann", false).await })).await;
    assert_eq!(settled.iter().filter(|closed| closed.is_none()).count(), FAILURES as usize);
    let closed = nth(1).settle("ann", true).await.unwrap();
    assert!(closed > Duration::from_secs(890) && closed <= Duration::from_secs(900), "{closed:?}");
    let failures = nth(2).failures("ann").await;
    assert_eq!(failures.count, FAILURES);
    assert!(failures.closed_for.unwrap() <= closed);
    assert_eq!(nth(0).failures("bob").await, Default::default());
    nth(0).settle("bob", false).await;
    assert_eq!(nth(1).failures("bob").await.count, 1);
    assert_eq!(nth(1).settle("bob", true).await, None);
    assert_eq!(nth(0).failures("bob").await.count, 0);
    nth(0).forget("ann").await;
    assert_eq!(nth(1).settle("ann", true).await, None);

    let (phone, laptop, tablet) = (device(), device(), device());
    nth(0).revoke(&[phone, laptop], LIFE).await;
    nth(1).revoke(&[tablet], Duration::from_millis(200)).await;
    for n in 0..apis.len() {
        assert!(nth(n).is_revoked(phone).await && nth(n).is_revoked(laptop).await);
        assert!(!nth(n).is_revoked(device()).await);
    }
    wait_until("its tokens have ended", Duration::from_secs(10), async || !nth(2).is_revoked(tablet).await)
        .await;
}

#[tokio::test]
async fn one_api_alone_keeps_the_contract() {
    let memory = MemoryCoordination::default();
    keeps_the_contract(&[&memory]).await;
    assert_eq!(memory.reachable().await, None);
}

#[tokio::test]
async fn three_apis_over_redis_keep_it_together() {
    let redis = Redis::start().await;
    let (a, b, c) = (over(&redis), over(&redis), over(&redis));
    keeps_the_contract(&[&a, &b, &c]).await;
    assert_eq!(b.reachable().await, Some(true));
}

#[tokio::test]
async fn while_redis_is_away_each_api_goes_by_its_own_memory_and_comes_back_by_itself() {
    let mut redis = Redis::start().await;
    let (a, b) = (over(&redis), over(&redis));
    let (id, now) = (Uuid::new_v4(), OffsetDateTime::now_utc());
    let gone_at = now + Duration::from_secs(30);
    assert_eq!(a.use_ticket(id, gone_at, now).await, Taken::First);
    redis.stop();
    let asked = tokio::time::Instant::now();
    keeps_the_contract(&[&a]).await;
    assert_eq!(a.use_ticket(id, gone_at, now).await, Taken::Again);
    assert_eq!(a.reachable().await, Some(false));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());

    redis.start_again().await;
    for api in [&a, &b] {
        wait_until("Redis is asked again", Duration::from_secs(10), async || {
            api.reachable().await == Some(true)
        })
        .await;
    }
    let (id, now) = (Uuid::new_v4(), OffsetDateTime::now_utc());
    assert_eq!(a.use_ticket(id, now + Duration::from_secs(30), now).await, Taken::First);
    assert_eq!(b.use_ticket(id, now + Duration::from_secs(30), now).await, Taken::Again);
    // What was forgotten begins anew, and scripts are loaded again.
    redis.flush();
    for n in 0..60 {
        let taken = a.take(Class::General, &address(9), QUOTA).await;
        assert_eq!((taken.refused_for, taken.remaining >= 59 - n), (None, true));
    }
}

#[tokio::test]
async fn what_was_revoked_while_redis_was_away_or_before_it_forgot_is_told_when_it_is_back() {
    let mut redis = Redis::start().await;
    let (a, b) = (over(&redis), over(&redis));
    let (before, meanwhile, many) = (device(), device(), (0..1200).map(|_| device()).collect::<Vec<_>>());
    assert!(a.revoke(&[before], LIFE).await, "told");
    assert!(b.is_revoked(before).await);
    redis.stop();
    assert!(!a.revoke(&[meanwhile], LIFE).await && !a.revoke(&many, LIFE).await, "nobody could be told");
    assert!(a.is_revoked(meanwhile).await && a.is_revoked(before).await, "it knows itself");
    assert!(!b.is_revoked(meanwhile).await);

    redis.start_again().await;
    redis.flush();
    let told = [before, meanwhile, many[0], many[1199]];
    wait_until("the other is told of all", Duration::from_secs(20), async || {
        // As whoever watches over an api does.
        a.reachable().await;
        for device in told {
            if !b.is_revoked(device).await {
                return false;
            }
        }
        true
    })
    .await;
}

/// The story: a FLUSHALL on a Redis that was there all the time was noticed by nobody.
#[tokio::test]
async fn what_was_revoked_is_told_again_by_each_api_to_a_redis_that_was_emptied() {
    let redis = Redis::start().await;
    let (a, b, c) = (over(&redis), over(&redis), over(&redis));
    let (by_a, by_b) = (device(), device());
    assert!(a.revoke(&[by_a], LIFE).await && b.revoke(&[by_b], LIFE).await, "told");
    for api in [&a, &b] {
        assert_eq!(api.reachable().await, Some(true));
    }
    redis.flush();
    assert!(!c.is_revoked(by_a).await && !c.is_revoked(by_b).await, "forgotten");
    for api in [&a, &b] {
        assert_eq!(api.reachable().await, Some(true));
    }
    assert!(c.is_revoked(by_a).await && c.is_revoked(by_b).await);
}

/// The story: whoever asked for an api's health was gone after half a millisecond, and with them what they had begun: Redis had
/// the mark that it was told and not what it was to be told of.
#[tokio::test]
async fn whoever_asks_may_be_gone_at_any_moment_and_redis_is_told_all_the_same() {
    let redis = Redis::start().await;
    let (a, b, by_a) = (over(&redis), over(&redis), device());
    assert!(a.revoke(&[by_a], LIFE).await, "told");
    assert_eq!(a.reachable().await, Some(true));
    for moment in 0.. {
        redis.flush();
        let gone = gone_after(moment, &a).await;
        assert_eq!(a.reachable().await, Some(true));
        assert!(b.is_revoked(by_a).await, "gone at moment {moment}");
        if !gone {
            assert!(moment >= 3, "it waited {moment} times only");
            break;
        }
    }
}

/// Asks and is gone once so many waits are over; false: there was an answer before.
async fn gone_after(waits: usize, api: &RedisCoordination) -> bool {
    let mut asked = std::pin::pin!(api.reachable());
    let mut waited = 0;
    std::future::poll_fn(|context| match asked.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(false),
        Poll::Pending if waited == waits => Poll::Ready(true),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}

/// The window is short here; by the clock of whoever keeps the count nothing else is different.
#[tokio::test]
async fn in_no_window_do_more_than_twice_the_limit_less_one_pass() {
    const WINDOW: Duration = Duration::from_secs(2);
    let redis = Redis::start().await;
    let (a, b, c) = (over(&redis), over(&redis), over(&redis));
    let quota = Quota { units: 5, per: WINDOW };
    let began = tokio::time::Instant::now();
    let mut passed = Vec::new();
    for n in 0.. {
        if began.elapsed() > 3 * WINDOW {
            break;
        }
        let api = [&a, &b, &c][n % 3];
        let asked = tokio::time::Instant::now();
        if api.take(Class::General, &address(3), quota).await.refused_for.is_none() {
            passed.push((asked, tokio::time::Instant::now()));
        }
    }
    assert!(passed.len() >= 5 + 4, "{} passed: what is refused comes back", passed.len());
    for (n, (first_asked, _)) in passed.iter().enumerate() {
        // Surely within one: Redis looked at its clock between the two.
        let surely = |(_, answered): &&(_, tokio::time::Instant)| *answered - *first_asked < WINDOW;
        let within = passed[n..].iter().take_while(surely).count();
        assert!(within < 2 * 5, "{within} in one window");
    }
    let (burst, rest) = passed.split_at(5);
    assert!(burst[4].1 - began < WINDOW / 4, "the first five at once: {:?}", burst[4].1 - began);
    assert!(rest.len() <= 5 * 3, "{} after the burst", rest.len());
}

#[tokio::test]
async fn a_redis_that_was_never_there_holds_nobody_up() {
    let nowhere = RedisCoordination::new(&"redis://127.0.0.1:1".into()).unwrap();
    let asked = tokio::time::Instant::now();
    for n in 0..60 {
        let taken = nowhere.take(Class::General, &address(1), QUOTA).await;
        assert_eq!(taken.refused_for, None, "{n}");
    }
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn what_is_no_redis_url_is_told_without_its_password() {
    for url in ["", "http://x", "redis://:s3cret@host:port"] {
        let said = RedisCoordination::check(&url.into()).unwrap_err().to_string();
        assert!(!said.contains("s3cret"));
    }
    for url in ["redis://host", "redis://ann:s3cret@host:6380/2", "rediss://host"] {
        RedisCoordination::check(&url.into()).unwrap();
    }
}
