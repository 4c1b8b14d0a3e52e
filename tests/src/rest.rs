//! Calls of the HTTP API as an account, each with its status and body. Must not know which resource is called.

use std::net::SocketAddr;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

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
    /// The body; null if there is none.
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
        let text = answer.text().await.expect("a body");
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
        Some(Answered { status, retry_after, body })
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
}
