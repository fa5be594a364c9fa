//! A small Graph client for the tests: it signs in, keeps links verbatim and asserts nothing on its own.

use std::time::Duration;

use graph_simulator::{Options, Simulator, Tenant};
use reqwest::blocking::{Client, Response};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// A client and the server it talks to.
pub(crate) struct Graph {
    pub(crate) simulator: Simulator,
    http: Client,
    token: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Empty if the body is no text, for example compressed.
    pub(crate) text: String,
    pub(crate) bytes: usize,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().expect("an error has a code").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Graph {
    pub(crate) fn start(tenant: Tenant, options: Options) -> Self {
        let simulator = Simulator::start(tenant, options).expect("a free port");
        // As the answers come: another member of the workspace may switch decompression on.
        let http =
            Client::builder().no_gzip().timeout(Duration::from_secs(20)).build().expect("a client");
        let mut graph = Self { simulator, http, token: String::new() };
        graph.sign_in();
        graph
    }

    pub(crate) fn sign_in(&mut self) {
        let answer = self.token_request(&[("client_id", "app"), ("client_secret", "secret")]);
        let answer = answer.json();
        answer["access_token"].as_str().expect("a token").clone_into(&mut self.token);
    }

    pub(crate) fn token_request(&self, credentials: &[(&str, &str)]) -> Answer {
        let tenant = self.simulator.options().tenant_id;
        let scope = ("scope", "https://graph.microsoft.com/.default");
        let mut form = vec![("grant_type", "client_credentials"), scope];
        form.extend(credentials);
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let url = format!("{}/{tenant}/oauth2/v2.0/token", self.simulator.url());
        self.http.post(url).body(body.join("&")).send().and_then(read).expect("an answer")
    }

    /// GET of a path below `/v1.0` or of a whole link.
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[])
    }

    pub(crate) fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.try_get(target, headers).expect("an answer")
    }

    pub(crate) fn try_get(
        &self,
        target: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        self.try_bare_get(target, &all)
    }

    /// GET without a token of its own.
    pub(crate) fn bare_get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.try_bare_get(target, headers).expect("an answer")
    }

    /// GET by a caller that soon gives up.
    pub(crate) fn impatient_get(&self, target: &str) -> reqwest::Result<Answer> {
        let request = self.http.get(self.url(target)).bearer_auth(&self.token);
        read(request.timeout(Duration::from_millis(400)).send()?)
    }

    fn try_bare_get(&self, target: &str, headers: &[(&str, &str)]) -> reqwest::Result<Answer> {
        let url = if target.starts_with("http") { target.to_owned() } else { self.url(target) };
        let mut request = self.http.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send()?)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let url = if path.starts_with("/_") {
            format!("{}{path}", self.simulator.url())
        } else {
            self.url(path)
        };
        self.http
            .post(url)
            .bearer_auth(&self.token)
            .json(body)
            .send()
            .and_then(read)
            .expect("an answer")
    }

    pub(crate) fn batch(&self, urls: &[&str]) -> Value {
        let requests: Vec<Value> = urls
            .iter()
            .enumerate()
            .map(|(index, url)| json!({ "id": index.to_string(), "method": "GET", "url": url }))
            .collect();
        self.post("/$batch", &json!({ "requests": requests })).json()
    }

    /// All items of a listing or round, in order, and the delta link if there was one.
    pub(crate) fn walk(&self, first: &str) -> (Vec<Value>, Option<String>) {
        let mut items = Vec::new();
        let mut target = first.to_owned();
        loop {
            let page = self.get(&target).json();
            items.extend(
                page["value"].as_array().unwrap_or_else(|| panic!("a page: {page}")).clone(),
            );
            match page["@odata.nextLink"].as_str() {
                Some(next) => next.clone_into(&mut target),
                None => return (items, page["@odata.deltaLink"].as_str().map(str::to_owned)),
            }
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v1.0{path}", self.simulator.url())
    }
}

fn read(response: Response) -> reqwest::Result<Answer> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes()?;
    let text = String::from_utf8(body.to_vec()).unwrap_or_default();
    Ok(Answer { status, headers, text, bytes: body.len() })
}
