//! Calls of the HTTP API as an account, each with its status and body. Must not know which resource is called.

use std::net::SocketAddr;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::routes::{Body, Route};

/// Who calls, and where.
#[derive(Clone, Debug)]
pub struct Rest {
    api: SocketAddr,
    token: Option<String>,
    client: Client,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// `Retry-After`, if it was said.
    pub retry_after: Option<String>,
    /// What is said about the body.
    pub headers: HeaderMap,
    /// The body; null if there is none, a text if it is no JSON.
    pub body: Value,
}

impl Rest {
    /// Calls with an access token, or without.
    pub fn new(api: SocketAddr, token: Option<&str>) -> Self {
        Self { api, token: token.map(str::to_owned), client: Client::new() }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answered {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST of a body.
    pub async fn post(&self, path: &str, body: &Value) -> Answered {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// POST of a body with further headers.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answered {
        self.try_post_with(path, headers, body).await.expect("the api answers")
    }

    /// As [`Rest::post_with`]; none if the connection breaks.
    pub async fn try_post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Option<Answered> {
        let mut request = self.request(Method::POST, path).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.try_send(request).await
    }

    /// POST without a body.
    pub async fn post_nothing(&self, path: &str) -> Answered {
        self.send(self.request(Method::POST, path)).await
    }

    /// PUT of a body.
    pub async fn put(&self, path: &str, body: &Value) -> Answered {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answered {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Any method, with whatever body; none: no body and no content type.
    pub async fn send_as(&self, method: &str, path: &str, body: Option<(&str, Vec<u8>)>) -> Answered {
        let request = self.request(method.parse().expect("a method"), path);
        self.send(match body {
            Some((kind, bytes)) => request.header("content-type", kind).body(bytes),
            None => request,
        })
        .await
    }

    /// What a route of the list takes, about a certain device or session.
    pub async fn call(&self, route: &Route, id: &str) -> Answered {
        let body = match route.body {
            Body::Nothing => None,
            Body::Fields(fields) => Some(("application/json", fields.into())),
        };
        self.send_as(route.method, &route.path_of(id), body).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://{}{path}", self.api));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Answered {
        self.try_send(request).await.expect("the api answers")
    }

    async fn try_send(&self, request: RequestBuilder) -> Option<Answered> {
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.map(|secs| secs.to_str().expect("text").to_owned());
        let headers = answer.headers().clone();
        let is_json = headers.get("content-type").is_some_and(|kind| {
            ["application/json", "application/problem+json"].iter().any(|json| kind == json)
        });
        let text = answer.text().await.expect("a body");
        let body = if text.is_empty() {
            Value::Null
        } else if is_json {
            serde_json::from_str(&text).expect("JSON")
        } else {
            text.into()
        };
        Some(Answered { status, retry_after, headers, body })
    }
}

impl Answered {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    /// That it is a problem of this status and code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:?}");
    }

    /// Whether status and body are those of another, which also said so of its own request.
    pub fn is_shaped_like(&self, other: &Self) -> bool {
        self.status == other.status && self.body == other.body
    }

    /// Whether it is a problem of its status, in the one shape of all.
    pub fn is_shaped(&self) -> bool {
        let body = &self.body;
        self.headers.get("content-type").is_some_and(|kind| kind == "application/problem+json")
            && body["status"] == self.status
            && body["error"]["code"] == self.status
            && body["code"].is_string()
            && body["detail"].as_str().is_some_and(|detail| !detail.is_empty())
            && body["error"]["message"].is_string()
            && self
                .headers
                .get("x-request-id")
                .is_some_and(|id| body["request_id"] == id.to_str().unwrap_or_default())
    }
}
