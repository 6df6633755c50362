//! An API server of Kubernetes that holds objects in memory, speaks as much of the protocol as reading takes, and fails as it is
//! told.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// What becomes of the next request for a kind.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, and how long to wait.
    Status(u16, Option<u32>),
    /// The reply ends in the midst of the first object.
    Cut,
    /// Nothing comes behind the first object of a stream, and the connection stays.
    Stall,
    /// An error with this code as an event, behind the first object.
    Event(u16),
    /// What comes is no JSON.
    Garbage,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    /// By resource, namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    log: Vec<Event>,
    /// What happened up to this version is forgotten.
    compacted: u64,
    /// The versions of Istio's group; none without CRDs.
    served: Vec<&'static str>,
    has_streams: bool,
    faults: Vec<(String, Fault)>,
    forbidden: BTreeSet<String>,
    /// How often the watches of a resource were cut.
    cuts: BTreeMap<String, u64>,
    /// The paths and queries that were asked for.
    asked: Vec<String>,
    /// What `Authorization` has to say; anything where it is empty.
    token: String,
    page_items: usize,
}

#[derive(Clone, Debug)]
struct Event {
    version: u64,
    resource: String,
    kind: &'static str,
    object: Value,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

/// The server; it ends with the test.
pub(crate) struct Api {
    shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
    runtime: Runtime,
    serving: Option<JoinHandle<()>>,
}

impl Api {
    /// A server without objects that has Istio's kinds at `v1`, and lists as streams.
    pub(crate) fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// The same at another address of this machine.
    pub(crate) fn start_at(address: Ipv4Addr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let state = State {
            version: 100,
            served: vec!["v1", "v1beta1"],
            has_streams: true,
            page_items: 500,
            ..State::default()
        };
        let mut api = Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: watch::Sender::new(()),
            }),
            address: SocketAddr::from((address, 0)),
            runtime,
            serving: None,
        };
        api.go_on();
        api
    }

    /// Serves, at the same address as before.
    pub(crate) fn go_on(&mut self) {
        let listener = self.runtime.block_on(TcpListener::bind(self.address));
        let listener = listener.expect("a free port");
        self.address = listener.local_addr().expect("a bound socket");
        self.serving = Some(self.runtime.spawn(serve(listener, self.shared.clone())));
    }

    /// Ends every connection and takes no more.
    pub(crate) fn go_away(&mut self) {
        let serving = self.serving.take().expect("it serves");
        serving.abort();
        // It is over when its connections are.
        let _ = self.runtime.block_on(serving);
    }

    /// Puts an object there, or in the place of another.
    pub(crate) fn apply(&self, object: &Value) {
        self.put(std::slice::from_ref(object));
    }

    /// The same with several at a time.
    pub(crate) fn put(&self, objects: &[Value]) {
        let mut state = self.state();
        for object in objects {
            state.version += 1;
            let version = state.version;
            let mut object = object.clone();
            let key = key_of(&object);
            let metadata = &mut object["metadata"];
            metadata["resourceVersion"] = version.to_string().into();
            metadata["uid"] = format!("{}/{}", key.1, key.2).into();
            metadata["managedFields"] = json!([{"manager": "test", "fieldsV1": {"f:spec": {}}}]);
            let before = state.objects.insert(key.clone(), object.clone());
            state.log.push(Event {
                version,
                resource: key.0,
                kind: if before.is_some() {
                    "MODIFIED"
                } else {
                    "ADDED"
                },
                object,
            });
        }
        drop(state);
        self.tell();
    }

    /// Takes an object away.
    pub(crate) fn delete(&self, object: &Value) {
        let mut state = self.state();
        let key = key_of(object);
        let mut object = state.objects.remove(&key).expect("it is there");
        state.version += 1;
        let version = state.version;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        state.log.push(Event {
            version,
            resource: key.0,
            kind: "DELETED",
            object,
        });
        drop(state);
        self.tell();
    }

    /// Forgets what happened, and tells those who watch that they are too late.
    pub(crate) fn compact(&self) {
        let mut state = self.state();
        state.version += 1;
        state.compacted = state.version;
        state.log.clear();
        drop(state);
        self.tell();
    }

    /// Ends the watches of `resource` in the midst of an object.
    pub(crate) fn cut(&self, resource: &str) {
        *self.state().cuts.entry(resource.to_owned()).or_default() += 1;
        self.tell();
    }

    /// What becomes of the next requests for `resource`, one after the other.
    pub(crate) fn fail(&self, resource: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(|fault| (resource.to_owned(), fault));
        self.state().faults.extend(faults);
    }

    /// Forbids a kind, or allows it.
    pub(crate) fn set_forbidden(&self, resource: &str, forbidden: bool) {
        let mut state = self.state();
        if forbidden {
            state.forbidden.insert(resource.to_owned());
        } else {
            state.forbidden.remove(resource);
        }
    }

    /// Has Istio's kinds at these versions.
    pub(crate) fn set_served(&self, versions: &[&'static str]) {
        self.state().served = versions.to_vec();
    }

    /// Has lists as streams, or not.
    pub(crate) fn set_streams(&self, has_streams: bool) {
        self.state().has_streams = has_streams;
    }

    /// Gives so many items a page at most.
    pub(crate) fn set_page_items(&self, items: usize) {
        self.state().page_items = items;
    }

    /// Lets in with this token alone.
    pub(crate) fn set_token(&self, token: &str) {
        token.clone_into(&mut self.state().token);
    }

    /// How many requests had all of these texts in their path and query.
    pub(crate) fn asked(&self, texts: &[&str]) -> usize {
        let state = self.state();
        let has = |path: &&String| texts.iter().all(|text| path.contains(text));
        state.asked.iter().filter(has).count()
    }

    fn tell(&self) {
        self.shared.changed.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no holder panics")
    }
}

fn key_of(object: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let resource = match text(&object["kind"]).as_str() {
        "Pod" => "pods",
        "ServiceEntry" => "serviceentries",
        "WorkloadEntry" => "workloadentries",
        "WorkloadGroup" => "workloadgroups",
        kind => panic!("no kind {kind}"),
    };
    let metadata = &object["metadata"];
    (
        resource.to_owned(),
        text(&metadata["namespace"]),
        text(&metadata["name"]),
    )
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let answer = service_fn(move |request| {
            let reply = answer(shared.clone(), &request);
            async { Ok::<_, Infallible>(reply) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        connections.spawn(async {
            // How it ends is the client's to see.
            let _ = connection.await;
        });
    }
}

/// A body that comes piece by piece; an error ends the connection.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

type Sender = mpsc::Sender<io::Result<Bytes>>;

fn body() -> (Sender, Pieces) {
    let (sender, receiver) = mpsc::channel(8);
    (sender, Pieces(receiver))
}

fn reply(code: u16, text: impl Into<Bytes>) -> Response<Pieces> {
    let (sender, pieces) = body();
    sender.try_send(Ok(text.into())).expect("room for one");
    let mut response = Response::new(pieces);
    *response.status_mut() = StatusCode::from_u16(code).expect("a status");
    response
}

fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message})
}

fn answer(shared: Arc<Shared>, request: &Request<Incoming>) -> Response<Pieces> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut state = shared.state.lock().expect("no holder panics");
    state.asked.push(format!("{path}?{query}"));
    let authorization = request.headers().get("authorization");
    let authorization = authorization.and_then(|value| value.to_str().ok());
    if !state.token.is_empty() && authorization != Some(&format!("Bearer {}", state.token)) {
        return reply(401, status(401, "Unauthorized").to_string());
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (version, rest) = match &*parts {
        ["apis"] => return reply(200, groups(&state).to_string()),
        ["apis", "networking.istio.io", version] if state.served.contains(version) => {
            return reply(200, resources().to_string());
        }
        ["apis", "networking.istio.io", version, rest @ ..] if state.served.contains(version) => {
            (format!("networking.istio.io/{version}"), rest)
        }
        ["api", "v1", rest @ ..] => ("v1".to_owned(), rest),
        _ => return reply(404, "404 page not found\n"),
    };
    let (namespace, resource) = match rest {
        ["namespaces", namespace, resource] => (Some((*namespace).to_owned()), *resource),
        [resource] => (None, *resource),
        _ => return reply(404, "404 page not found\n"),
    };
    let asked = Asked {
        api_version: version,
        namespace,
        resource: resource.to_owned(),
        parameters: query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    };
    if state.forbidden.contains(resource) {
        let message = format!("{resource} is forbidden: User \"test\" cannot list resource");
        return reply(403, status(403, &message).to_string());
    }
    let fault = state.faults.iter().position(|(of, _)| of == resource);
    let fault = fault.map(|place| state.faults.remove(place).1);
    if let Some(Fault::Status(code, retry_after)) = fault {
        let mut response = reply(code, status(code, "as told").to_string());
        if let Some(seconds) = retry_after {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        return response;
    }
    if matches!(fault, Some(Fault::Garbage)) {
        return reply(200, "<html>this is a proxy</html>");
    }
    if !asked.is("watch", "true") {
        return asked.list(&state, fault.as_ref());
    }
    if asked.is("sendInitialEvents", "true") && !state.has_streams {
        let message = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch";
        return reply(422, status(422, message).to_string());
    }
    drop(state);
    let (sender, pieces) = body();
    tokio::spawn(asked.watch(shared, sender, fault));
    Response::new(pieces)
}

fn groups(state: &State) -> Value {
    let version = |version: &&str| json!({"groupVersion": format!("networking.istio.io/{version}"), "version": version});
    let versions: Vec<Value> = state.served.iter().map(version).collect();
    let apps = json!({"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]});
    let groups = if versions.is_empty() {
        vec![apps]
    } else {
        vec![
            apps,
            json!({"name": "networking.istio.io", "versions": versions}),
        ]
    };
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn resources() -> Value {
    let resource =
        |name: &str| json!({"name": name, "namespaced": true, "verbs": ["get", "list", "watch"]});
    let resources = ["serviceentries", "workloadentries", "workloadgroups"].map(resource);
    json!({"kind": "APIResourceList", "resources": resources})
}

/// What a request asks for.
struct Asked {
    api_version: String,
    namespace: Option<String>,
    resource: String,
    parameters: BTreeMap<String, String>,
}

impl Asked {
    fn is(&self, key: &str, value: &str) -> bool {
        self.parameters.get(key).is_some_and(|found| found == value)
    }

    fn holds(&self, resource: &str, object: &Value) -> bool {
        let namespace = object["metadata"]["namespace"].as_str();
        resource == self.resource
            && (self.namespace.is_none() || self.namespace.as_deref() == namespace)
    }

    fn objects(&self, state: &State) -> Vec<Value> {
        let objects = state.objects.iter();
        let held = objects.filter(|((resource, ..), object)| self.holds(resource, object));
        held.map(|(_, object)| object.clone()).collect()
    }

    /// An object at the version that is asked for.
    fn versioned(&self, object: &Value) -> Value {
        let mut object = object.clone();
        object["apiVersion"] = self.api_version.clone().into();
        object
    }

    fn list(&self, state: &State, fault: Option<&Fault>) -> Response<Pieces> {
        let parsed = |key: &str| self.parameters.get(key).and_then(|text| text.parse().ok());
        let begin: usize = parsed("continue").unwrap_or(0);
        let limit = parsed("limit").unwrap_or(usize::MAX).min(state.page_items);
        let objects = self.objects(state);
        let end = (begin.saturating_add(limit)).min(objects.len());
        let items: Vec<Value> = objects[begin.min(end)..end]
            .iter()
            .map(|object| {
                // As the lists of built-in kinds have it.
                let mut object = self.versioned(object);
                if self.resource == "pods" {
                    let fields = object.as_object_mut().expect("an object");
                    fields.remove("kind");
                    fields.remove("apiVersion");
                }
                object
            })
            .collect();
        let more = if end < objects.len() {
            end.to_string()
        } else {
            String::new()
        };
        let text = json!({
            "kind": "List",
            "apiVersion": self.api_version,
            "metadata": {"resourceVersion": state.version.to_string(), "continue": more},
            "items": items,
        })
        .to_string();
        let (sender, pieces) = body();
        if matches!(fault, Some(Fault::Cut)) {
            let half = text.len() / 2;
            let _ = sender.try_send(Ok(text[..half].to_owned().into()));
            let _ = sender.try_send(Err(io::Error::other("cut, as told")));
        } else {
            let _ = sender.try_send(Ok(text.into()));
        }
        Response::new(pieces)
    }

    /// Sends what happens until nobody listens.
    async fn watch(self, shared: Arc<Shared>, sender: Sender, fault: Option<Fault>) {
        let mut changed = shared.changed.subscribe();
        let cuts = |state: &State| state.cuts.get(&self.resource).copied();
        let (mut lines, mut version, begun) = {
            let state = shared.state.lock().expect("no holder panics");
            let mut lines = Vec::new();
            if self.is("sendInitialEvents", "true") {
                let objects = self.objects(&state);
                lines.extend(objects.iter().map(|object| self.event("ADDED", object)));
                if let Some(Fault::Event(code)) = fault {
                    lines.truncate(1);
                    lines.push(event("ERROR", &status(code, "as told")));
                } else {
                    lines.push(self.bookmark(state.version, true));
                }
                (lines, state.version, cuts(&state))
            } else {
                let from = &self.parameters["resourceVersion"];
                (lines, from.parse().expect("a version"), cuts(&state))
            }
        };
        let seconds = self.parameters["timeoutSeconds"].parse().expect("a time");
        let mut is_over = pin!(tokio::time::sleep(Duration::from_secs(seconds)));
        let must_end = matches!(fault, Some(Fault::Event(_)));
        loop {
            for line in lines.drain(..) {
                if matches!(fault, Some(Fault::Cut)) {
                    let half = line.len() / 2;
                    let _ = sender.send(Ok(line[..half].to_owned().into())).await;
                    let _ = sender.send(Err(io::Error::other("cut, as told"))).await;
                    return;
                }
                if sender.send(Ok(line.into())).await.is_err() {
                    return;
                }
                if matches!(fault, Some(Fault::Stall)) {
                    return sender.closed().await;
                }
            }
            if must_end {
                return;
            }
            let is_cut = {
                let state = shared.state.lock().expect("no holder panics");
                if version < state.compacted {
                    lines.push(event("ERROR", &status(410, "too old resource version")));
                } else {
                    let news = state.log.iter().filter(|event| event.version > version);
                    let held = news.filter(|event| self.holds(&event.resource, &event.object));
                    lines.extend(held.map(|event| self.event(event.kind, &event.object)));
                    version = state.version;
                }
                cuts(&state) != begun
            };
            if is_cut {
                let _ = sender.send(Ok("{\"type\":\"MODIFIED\",\"obj".into())).await;
                let _ = sender.send(Err(io::Error::other("cut, as told"))).await;
                return;
            }
            if !lines.is_empty() {
                let is_over = lines.iter().any(|line| line.contains("\"ERROR\""));
                if is_over {
                    for line in lines.drain(..) {
                        let _ = sender.send(Ok(line.into())).await;
                    }
                    return;
                }
                continue;
            }
            tokio::select! {
                changed = changed.changed() => if changed.is_err() {
                    return;
                },
                () = &mut is_over => {
                    let _ = sender.send(Ok(self.bookmark(version, false).into())).await;
                    return;
                }
                () = sender.closed() => return,
            }
        }
    }

    fn event(&self, kind: &str, object: &Value) -> String {
        event(kind, &self.versioned(object))
    }

    fn bookmark(&self, version: u64, ends_list: bool) -> String {
        let mut object = json!({"metadata": {"resourceVersion": version.to_string()}});
        if ends_list {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        self.event("BOOKMARK", &object)
    }
}

fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}
