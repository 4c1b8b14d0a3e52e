//! An account at an api: registered, signed in, with tokens. Must not know what a token opens.

use std::net::SocketAddr;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

/// Satisfies every password rule.
pub const PASSWORD: &str = "Correct-horse-7-battery";

/// A signed-in account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Opens everything of the account for an hour.
    pub access_token: String,
    /// Gives the next access token.
    pub refresh_token: String,
    /// The account as the api shows it.
    pub user: Value,
}

impl Account {
    /// What a stack without an api has.
    pub(super) const fn nobody() -> Self {
        Self { access_token: String::new(), refresh_token: String::new(), user: Value::Null }
    }

    /// Registers `username` at an api.
    pub async fn register(api: SocketAddr, username: &str) -> Self {
        let body = json!({
            "email": format!("{username}@example.com"), "username": username, "password": PASSWORD,
            "device_name": "test", "device_type": "cli",
        });
        Self::from_tokens(post(api, "/api/auth/register", None, &body).await, StatusCode::CREATED).await
    }

    /// Signs `username` in again, as another device.
    pub async fn login(api: SocketAddr, username: &str) -> Self {
        let body =
            json!({"username": username, "password": PASSWORD, "device_name": "other", "device_type": "cli"});
        Self::from_tokens(post(api, "/api/auth/login", None, &body).await, StatusCode::OK).await
    }

    /// Signs in by the token of a first-run link.
    pub async fn first_run(api: SocketAddr, token: &str) -> Self {
        let body = json!({"token": token, "device_name": "test", "device_type": "cli"});
        Self::from_tokens(post(api, "/api/auth/first-run", None, &body).await, StatusCode::OK).await
    }

    /// A one-use ticket for a terminal socket.
    pub async fn ticket(&self, api: SocketAddr) -> String {
        let answer = post(api, "/api/auth/ws-ticket", Some(&self.access_token), &json!({})).await;
        let body = checked(answer, StatusCode::OK).await;
        body["ticket"].as_str().expect("a ticket").to_owned()
    }

    /// Signs this device out.
    pub async fn logout(&self, api: SocketAddr) {
        checked(post(api, "/api/auth/logout", Some(&self.access_token), &json!({})).await, StatusCode::OK)
            .await;
    }

    async fn from_tokens(answer: Response, expected: StatusCode) -> Self {
        let body = checked(answer, expected).await;
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned();
        Self {
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            user: body["user"].clone(),
        }
    }
}

/// Posts JSON to an api, signed in or not.
pub async fn post(api: SocketAddr, path: &str, token: Option<&str>, body: &Value) -> Response {
    let mut request = Client::new().post(format!("http://{api}{path}")).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap_or_else(|err| panic!("POST {path}: {err}"))
}

async fn checked(answer: Response, expected: StatusCode) -> Value {
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    assert_eq!(status, expected, "{text}");
    serde_json::from_str(&text).expect("a JSON body")
}
