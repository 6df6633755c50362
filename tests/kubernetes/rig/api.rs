//! A client of our own for an API server: writes objects as people and controllers do.

use std::{
    io::{self, BufReader, Write as _},
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{
    http::{Body, Head},
    objects::{self, KINDS},
    secure::{Certificate, TlsStream, VERSIONS, connect_tls},
};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Somebody who may do something at a server.
pub(crate) struct Api {
    server: SocketAddr,
    certificate: Certificate,
    token: String,
    /// Kept between requests.
    connection: Mutex<Option<BufReader<TlsStream>>>,
}

/// What a server says to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Api {
    pub(crate) fn new(server: SocketAddr, certificate: Certificate, token: &str) -> Self {
        Self {
            server,
            certificate,
            token: token.to_owned(),
            connection: Mutex::default(),
        }
    }

    /// Sends one request, once more where the connection that was kept has ended meanwhile.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: &Value,
    ) -> io::Result<Reply> {
        let mut kept = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(mut stream) = kept.take()
            && let Ok(reply) = self.send_on(&mut stream, method, path, content, body)
        {
            *kept = Some(stream);
            return Ok(reply);
        }
        let config = self.certificate.client(&["http/1.1"], &VERSIONS);
        let mut stream = BufReader::new(connect_tls(self.server, config));
        let reply = self.send_on(&mut stream, method, path, content, body)?;
        *kept = Some(stream);
        Ok(reply)
    }

    fn send_on(
        &self,
        stream: &mut BufReader<TlsStream>,
        method: &str,
        path: &str,
        content: &str,
        body: &Value,
    ) -> io::Result<Reply> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: kubernetes\r\nAuthorization: Bearer {}\r\nAccept: {JSON}\r\n\
             Content-Type: {content}\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        stream.get_mut().write_all(request.as_bytes())?;
        let head = Head::read(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let body = Body::below(&head).read(stream)?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Reply {
            status: head.second().parse().map_err(io::Error::other)?,
            body: serde_json::from_slice(&body).unwrap_or(Value::String(text)),
        })
    }

    /// Sends a request that has to be granted.
    #[track_caller]
    pub(crate) fn must(&self, method: &str, path: &str, content: &str, body: &Value) -> Value {
        let reply = self.send(method, path, content, body);
        let reply = reply.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert!(reply.is_good(), "{method} {path}: {reply:?}");
        reply.body
    }

    /// Makes an object, its status included.
    #[track_caller]
    pub(crate) fn create(&self, object: &Value) {
        self.must("POST", &collection(object), JSON, object);
        if !object["status"].is_null() {
            self.set_status(object, &object["status"]);
        }
    }

    #[track_caller]
    pub(crate) fn create_all(&self, objects: &[Value]) {
        for object in objects {
            self.create(object);
        }
    }

    /// Changes some fields of an object, and leaves the others as they are.
    #[track_caller]
    pub(crate) fn patch(&self, object: &Value, fields: &Value) {
        self.must("PATCH", &path(object), MERGE, fields);
    }

    /// Writes an object's status, as its controller does.
    #[track_caller]
    pub(crate) fn set_status(&self, object: &Value, status: &Value) {
        let path = path(object) + "/status";
        self.must("PATCH", &path, MERGE, &json!({"status": status}));
    }

    /// Deletes an object at once.
    #[track_caller]
    pub(crate) fn delete(&self, object: &Value) {
        let path = path(object) + "?gracePeriodSeconds=0";
        self.must("DELETE", &path, JSON, &Value::Null);
    }

    /// Deletes a namespace with all that is in it, as the controller does that these servers don't have.
    #[track_caller]
    pub(crate) fn delete_namespace(&self, name: &str) {
        self.delete(&objects::namespace(name));
        let istio = KINDS
            .map(|(_, plural)| format!("/apis/networking.istio.io/v1/namespaces/{name}/{plural}"));
        let pods = format!("/api/v1/namespaces/{name}/pods");
        for collection in istio.iter().chain([&pods]) {
            let path = format!("{collection}?gracePeriodSeconds=0");
            self.must("DELETE", &path, JSON, &Value::Null);
        }
        let mut gone = objects::namespace(name);
        gone["spec"] = json!({"finalizers": []});
        let path = format!("/api/v1/namespaces/{name}/finalize");
        self.must("PUT", &path, JSON, &gone);
    }

    /// Applies an object on the server's side; with `is_dry` the server says what it would do, and does nothing.
    pub(crate) fn apply(&self, object: &Value, is_dry: bool) -> Reply {
        let dry = if is_dry { "&dryRun=All" } else { "" };
        let path = format!(
            "{}?fieldManager=test&fieldValidation=Strict{dry}",
            path(object)
        );
        self.send("PATCH", &path, APPLY, object)
            .expect("the server answers")
    }

    /// A token for a service account, which is good until the Secret that it is bound to is deleted.
    #[track_caller]
    pub(crate) fn token(&self, namespace: &str, account: &str, secret: Option<&str>) -> String {
        let mut spec = json!({"expirationSeconds": 3600});
        if let Some(secret) = secret {
            spec["boundObjectRef"] = json!({"apiVersion": "v1", "kind": "Secret", "name": secret});
        }
        let request =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let made = self.must("POST", &path, JSON, &request);
        made["status"]["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// Whether these rights allow something, as `kubectl auth can-i` asks.
    #[track_caller]
    pub(crate) fn may(&self, verb: &str, group: &str, resource: &str) -> bool {
        let attributes = json!({"verb": verb, "group": group, "resource": resource});
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let told = self.must("POST", path, JSON, &review);
        told["status"]["allowed"].as_bool().expect("yes or no")
    }
}

/// The path of the objects of this one's kind and namespace.
fn collection(object: &Value) -> String {
    let version = object["apiVersion"].as_str().expect("an apiVersion");
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = match object["kind"].as_str().expect("a kind") {
        kind if kind.ends_with("Entry") => kind.to_lowercase().replace("entry", "entries"),
        kind if kind.ends_with("Policy") => kind.to_lowercase().replace("policy", "policies"),
        kind => kind.to_lowercase() + "s",
    };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}"),
        None => format!("/{root}/{version}/{plural}"),
    }
}

fn path(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().expect("a name");
    format!("{}/{name}", collection(object))
}
