//! Sessions that nobody uses any more are ended when their owner asks for it, and no others.

use devpocket_shared::ids::{SessionId, UserId};

use super::super::node::Node;
use super::*;

fn id_of(account: &Answer) -> UserId {
    UserId::new(account.body["user"]["id"].as_str().unwrap().parse().unwrap())
}

async fn clean_up(api: &Api, account: &Answer, body: Value) -> Vec<SessionId> {
    let answer = api.post_as(account.access(), "/api/sessions/cleanup/inactive", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let ended = answer.body["terminated"].as_array().unwrap();
    assert_eq!(answer.body["count"], ended.len(), "{answer:?}");
    ended.iter().map(|id| SessionId::new(id.as_str().unwrap().parse().unwrap())).collect()
}

#[tokio::test]
async fn a_quiet_session_is_ended_and_neither_one_that_is_attached_nor_anothers() {
    let api = Api::new().await;
    let (ann, bob) = (api.register("ann").await, api.register("bob").await);
    let node = Node::listen(api.directory.path());
    let quiet = node.start(id_of(&ann));
    let attached = node.start_with(id_of(&ann), |session| session.attached_clients = 1);
    let bobs = node.start(id_of(&bob));
    assert_eq!(clean_up(&api, &ann, json!({})).await, [quiet]);
    assert_eq!([quiet, attached, bobs].map(|id| node.is_live(id)), [false, true, true]);
    assert_eq!(clean_up(&api, &ann, json!({})).await, [], "what has ended is not ended again");
    assert_eq!(clean_up(&api, &bob, json!({})).await, [bobs]);
}

#[tokio::test]
async fn quiet_is_as_long_as_was_asked_for_and_a_day_otherwise() {
    let api = Api::new().await;
    let ann = api.register("ann").await;
    let node = Node::listen(api.directory.path());
    let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap() * 1000;
    // A minute less stays less, however slow the machine.
    let [day, less_than_day, hour, less_than_hour, busy] = [86_400 + 1, 86_400 - 60, 3600 + 1, 3600 - 60, 0]
        .map(|quiet_secs| {
            node.start_with(id_of(&ann), |session| session.created_at_ms = now - quiet_secs * 1000)
        });
    assert_eq!(clean_up(&api, &ann, json!({})).await, [day]);
    assert_eq!(clean_up(&api, &ann, json!({"inactive_for": 3600})).await, [less_than_day, hour]);
    assert!(node.is_live(less_than_hour) && node.is_live(busy));
}
