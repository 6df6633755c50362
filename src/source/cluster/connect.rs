//! The way to an API server: who is asked, with which credentials, and when these are read anew.
//!
//! kube finds and reads kubeconfigs and service accounts, runs exec plugins, and speaks TLS and HTTP. What it retries and
//! decompresses by itself is off: pauses are ours, and lists are cheaper as they are.

use std::{
    env, fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use hyper::{
    Request, Response, StatusCode,
    header::{ACCEPT, USER_AGENT},
};
use hyper_util::client::proxy::matcher::Matcher;
use kube::{
    Client, Config,
    client::Body,
    config::{Kubeconfig, KubeconfigError},
};
use tokio::{sync::Mutex, task::spawn_blocking, time::timeout};
use tracing::warn;

use super::{
    super::cluster_settings::ClusterSettings,
    trouble::{Why, one_line},
};
use crate::chain::Chain;

/// How this server names itself.
const AGENT: &str = concat!("meshdns/", env!("CARGO_PKG_VERSION"));

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long nothing may come from a server that has something to send now and then, until the connection counts as dead.
pub(super) const SILENCE: Duration = Duration::from_secs(40);

/// How long nothing may come of a list until nobody waits for what else it has to tell.
pub(super) const SHORT_SILENCE: Duration = Duration::from_secs(2);

/// How long credentials may take to be had, from a program that asks somebody else.
const MAKE_TIMEOUT: Duration = Duration::from_secs(40);

/// What says that this process runs in a Pod.
const SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";

/// A cluster can't even be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A kubeconfig can't be read.
    #[error("cluster {cluster}: read the kubeconfig {}", path.display())]
    Read {
        /// What the cluster is called.
        cluster: Arc<str>,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// There is no context of that name, or none is the current one.
    #[error(
        "cluster {cluster}: {of} has {what}: name one that it has with --context (`context` in the file)"
    )]
    NoContext {
        /// What the cluster is called.
        cluster: Arc<str>,
        /// Where contexts were looked for.
        of: Place,
        /// What it lacks.
        what: String,
    },
    /// What it says can't be used.
    #[error("cluster {cluster}: {of} can't be used: {why}")]
    Kubeconfig {
        /// What the cluster is called.
        cluster: Arc<str>,
        /// Where it is written.
        of: Place,
        /// What is wrong with it.
        why: String,
    },
    /// The service account of this Pod can't be used.
    #[error("cluster {cluster}: the service account of this Pod can't be used: {why}")]
    ServiceAccount {
        /// What the cluster is called.
        cluster: Arc<str>,
        /// What is wrong with it.
        why: String,
    },
    /// There is nothing that says where a cluster is.
    #[error(
        "cluster {cluster}: nothing says where it is: name a file with --kubeconfig (`kubeconfig` in the file) or in KUBECONFIG, or run in a Pod with a service account"
    )]
    Nowhere {
        /// What the cluster is called.
        cluster: Arc<str>,
    },
}

/// Where it is written how to reach a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// This file.
    File(PathBuf),
    /// The files that `KUBECONFIG` names.
    Variable,
    /// `~/.kube/config`.
    Home,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the kubeconfig {}", path.display()),
            Self::Variable => f.write_str("the kubeconfig of KUBECONFIG"),
            Self::Home => f.write_str("the kubeconfig ~/.kube/config"),
        }
    }
}

/// Fails where `settings` don't lead to a cluster. Asks nobody.
///
/// # Errors
///
/// As [`ConnectError`] says.
pub fn probe(settings: &ClusterSettings) -> Result<(), ConnectError> {
    config(settings).map(drop)
}

/// Reads how to reach the cluster: from the file that is named, else those of `KUBECONFIG`, else as the service account of this
/// Pod, else from `~/.kube/config`.
fn config(settings: &ClusterSettings) -> Result<Config, ConnectError> {
    let cluster = || settings.name.clone();
    let (read, of) = if let Some(path) = &settings.kubeconfig {
        let place = Place::File(path.clone());
        (Kubeconfig::read_from(path), place)
    } else if env::var_os("KUBECONFIG").is_some_and(|paths| !paths.is_empty()) {
        (Kubeconfig::read(), Place::Variable)
    } else if settings.context.is_none() && env::var_os(SERVICE_HOST).is_some() {
        let config = Config::incluster_env();
        return config.map(|config| tune(config, false)).map_err(|error| {
            ConnectError::ServiceAccount {
                cluster: cluster(),
                why: one_line(&error.to_string()),
            }
        });
    } else {
        (Kubeconfig::read(), Place::Home)
    };
    let config = read.and_then(|kubeconfig| from_kubeconfig(kubeconfig, settings));
    config.map_err(|error| match error {
        KubeconfigError::FindPath => ConnectError::Nowhere { cluster: cluster() },
        KubeconfigError::ReadConfig(source, _)
            if of == Place::Home && source.kind() == std::io::ErrorKind::NotFound =>
        {
            ConnectError::Nowhere { cluster: cluster() }
        }
        KubeconfigError::ReadConfig(source, path) => ConnectError::Read {
            cluster: cluster(),
            path,
            source,
        },
        KubeconfigError::CurrentContextNotSet => ConnectError::NoContext {
            cluster: cluster(),
            of,
            what: "no current context".to_owned(),
        },
        KubeconfigError::LoadContext(name) => ConnectError::NoContext {
            cluster: cluster(),
            of,
            what: format!("no context `{name}`"),
        },
        error => ConnectError::Kubeconfig {
            cluster: cluster(),
            of,
            why: one_line(&error.to_string()),
        },
    })
}

fn from_kubeconfig(
    mut kubeconfig: Kubeconfig,
    settings: &ClusterSettings,
) -> Result<Config, KubeconfigError> {
    if settings.context.is_some() {
        kubeconfig.current_context.clone_from(&settings.context);
    }
    let names_proxy = names_proxy(&kubeconfig);
    Config::try_from(kubeconfig).map(|config| tune(config, names_proxy))
}

/// Whether the current context names a proxy of its own.
fn names_proxy(kubeconfig: &Kubeconfig) -> bool {
    let current = kubeconfig.current_context.as_deref();
    let mut contexts = kubeconfig.contexts.iter();
    let context = contexts.find(|context| Some(&*context.name) == current);
    let context = context.and_then(|context| context.context.as_ref());
    let mut clusters = kubeconfig.clusters.iter();
    let cluster = clusters.find(|cluster| Some(&cluster.name) == context.map(|it| &it.cluster));
    let cluster = cluster.and_then(|cluster| cluster.cluster.as_ref());
    cluster.is_some_and(|cluster| {
        cluster
            .proxy_url
            .as_ref()
            .is_some_and(|url| !url.is_empty())
    })
}

/// What kube makes of it, with waits of ours. Where the kubeconfig names no proxy, the variables decide, as for every client:
/// kube compares `NO_PROXY` with the proxy itself, and reads neither in a Pod.
fn tune(mut config: Config, names_proxy: bool) -> Config {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(SILENCE);
    config.default_retry = false;
    if !names_proxy {
        let of_variables = Matcher::from_env().intercept(&config.cluster_url);
        config.proxy_url = match (of_variables, config.proxy_url.take()) {
            (None, _) => None,
            // As it is written: with a password that it may have.
            (Some(_), Some(url)) => Some(url),
            (Some(proxy), None) => Some(proxy.uri().clone()),
        };
    }
    config
}

/// The connections to one API server, which all its kinds share.
pub(super) struct Connection {
    settings: ClusterSettings,
    client: Mutex<Held>,
    turns: AtomicU64,
}

/// The client that is in use, and the one before it.
#[derive(Default)]
struct Held {
    current: Option<Made>,
    former: Option<Made>,
    /// Whether it was said that none can be made.
    is_told: bool,
}

/// A client, and how many were made before it.
#[derive(Clone)]
struct Made {
    client: Client,
    turn: u64,
    valid_until: Option<SystemTime>,
}

impl Connection {
    pub(super) fn new(settings: ClusterSettings) -> Self {
        Self {
            settings,
            client: Mutex::default(),
            turns: AtomicU64::new(0),
        }
    }

    /// Asks for `path`; returns when the reply begins.
    pub(super) async fn get(&self, path: &str) -> Result<Response<Body>, Why> {
        let made = self.made().await?;
        let request = Request::get(path)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, AGENT)
            .body(Body::empty())
            .expect("a path of ours is one of a URL");
        let sent = timeout(SILENCE, made.client.send(request)).await;
        let why = match sent {
            Ok(Ok(response)) if response.status() == StatusCode::UNAUTHORIZED => {
                // Tokens that are in files may have been replaced there.
                self.forget(made.turn).await;
                return Ok(response);
            }
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => Why::of_request(&error),
            Err(_) => Why::Silent(SILENCE),
        };
        if why.is_of_connection() {
            self.forget(made.turn).await;
        }
        Err(why)
    }

    /// The client that is in use, or one that is made anew from what is written; where that can't be read, the one before it.
    async fn made(&self) -> Result<Made, Why> {
        let mut held = self.client.lock().await;
        let is_valid = |made: &&Made| {
            made.valid_until
                .is_none_or(|until| SystemTime::now() < until)
        };
        if let Some(made) = held.current.as_ref().filter(is_valid) {
            return Ok(made.clone());
        }
        let client = match (self.make().await, held.former.clone()) {
            (Ok(client), _) => client,
            (Err(why), Some(former)) => {
                if !std::mem::replace(&mut held.is_told, true) {
                    let cluster = &self.settings.name;
                    warn!(%cluster, "going on with what was read before: {why}");
                }
                return Ok(former);
            }
            (Err(why), None) => return Err(why),
        };
        held.is_told = false;
        let made = Made {
            valid_until: client.valid_until().map(SystemTime::from),
            client,
            turn: self.turns.fetch_add(1, Relaxed),
        };
        held.current = Some(made.clone());
        Ok(made)
    }

    async fn make(&self) -> Result<Client, Why> {
        let settings = self.settings.clone();
        // It reads files, and may run a program.
        let making = spawn_blocking(move || make(&settings));
        match timeout(MAKE_TIMEOUT, making).await {
            Ok(Ok(made)) => made,
            Ok(Err(_)) => Err(Why::Credentials("what gets them has ended".to_owned())),
            Err(_) => {
                let waited = format!("nothing came for {} s", MAKE_TIMEOUT.as_secs());
                Err(Why::Credentials(waited))
            }
        }
    }

    /// Gives up the client of this turn, where it is still in use.
    async fn forget(&self, turn: u64) {
        let mut held = self.client.lock().await;
        if held.current.as_ref().is_some_and(|made| made.turn == turn) {
            held.former = held.current.take();
        }
    }
}

fn make(settings: &ClusterSettings) -> Result<Client, Why> {
    let config = config(settings).map_err(|error| Why::Credentials(Chain(&error).to_string()))?;
    Client::try_from(config).map_err(|error| Why::of_request(&error))
}
