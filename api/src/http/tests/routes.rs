//! The list of routes that the suites go through is the router's own.

use std::collections::BTreeSet;

use devpocket_tests::routes::{Body as Takes, ROUTES, Who};
use uuid::Uuid;

use super::*;
use crate::http::idempotency::SIGNING_OUT;

/// The paths of a router, from its `Debug` form: axum shows them nowhere else.
fn paths(router: &Router) -> BTreeSet<String> {
    let shown = format!("{router:?}");
    let (_, paths) = shown.split_once("paths: {").expect("axum's Router shows its paths");
    let (paths, _) = paths.split_once("\"}").expect("a map");
    paths.split('"').filter(|text| text.starts_with('/')).map(str::to_owned).collect()
}

/// A route without a row would be asked nothing: whether it needs a token, whose it shows, what it takes.
#[tokio::test]
async fn every_route_is_in_the_list_that_the_suites_go_through() {
    let api = Api::new().await;
    let found = paths(&api.routes);
    let listed: BTreeSet<String> = ROUTES.iter().map(|route| route.path.to_owned()).collect();
    assert_eq!(found, listed, "the router's paths, and those of tests/src/routes.rs");
    for path in found {
        let asked = Request::builder().method("PROPFIND").uri(&path).body(Body::empty()).unwrap();
        let answer = api.send(asked).await;
        answer.is_problem(405, "method_not_allowed");
        let allowed: BTreeSet<&str> = answer.headers["allow"].to_str().unwrap().split(',').collect();
        let of_path = ROUTES.iter().filter(|route| route.path == path);
        let mut listed: BTreeSet<&str> = of_path.map(|route| route.method).collect();
        if listed.contains("GET") {
            listed.insert("HEAD");
        }
        assert_eq!(allowed, listed, "methods of {path}");
    }
}

#[test]
fn what_is_done_to_its_end_are_routes() {
    for (method, path) in SIGNING_OUT {
        let known = ROUTES.iter().any(|route| (route.method, route.path) == (method.as_str(), path));
        assert!(known, "{method} {path}");
    }
}

#[tokio::test]
async fn a_disabled_account_is_served_by_no_route() {
    let api = Api::new().await;
    let ann = api.register("ann").await;
    api.database.run("update users set is_active = false").await;
    for route in ROUTES.iter().filter(|route| route.who != Who::Anybody) {
        let path = route.path_of(&Uuid::nil().to_string());
        let body = match route.body {
            Takes::Nothing => Value::Null,
            Takes::Fields(fields) => serde_json::from_str(fields).unwrap(),
        };
        api.ask_as(ann.access(), route.method, &path, body).await.is_problem(401, "token_revoked");
    }
    api.refresh(ann.refresh()).await.is_problem(401, "token_invalid");
    api.login("ann", PASSWORD).await.is_problem(403, "account_disabled");
}
