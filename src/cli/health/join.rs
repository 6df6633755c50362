//! What is known of checks, joined with a mesh that was read: for commands that look and leave, and probe nobody.

use std::time::SystemTime;

use tokio::runtime;

use super::{fetch, known::Known};
use crate::{
    cli::{Exit, Failure, output},
    config::Config,
    pipeline::Pipeline,
};

/// Takes in what the server at `url` shows, else what the state file of the configuration says, and tells on stderr which of them
/// it is, and how old. Where nobody is checked nothing is told.
pub(in crate::cli) fn join(
    pipeline: &mut Pipeline,
    config: &Config,
    url: Option<&str>,
) -> Result<(), Failure> {
    let endpoints = pipeline.checked_endpoints();
    if endpoints.is_empty() {
        return Ok(());
    }
    let file = config
        .health
        .as_ref()
        .and_then(|health| health.state_file.as_deref());
    let (source, known) = match (url, file) {
        (Some(url), _) => {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(anyhow::Error::from)?;
            let page = fetch(&runtime, url)?;
            let known = Known::of_page(&page);
            let known = known.map_err(|error| Failure::new(Exit::NoInput, error))?;
            (url.to_owned(), known)
        }
        (None, Some(file)) if file.exists() => {
            let known = Known::of_file(file, &endpoints);
            let known = known.map_err(|error| Failure::new(Exit::NoInput, error))?;
            (file.display().to_string(), known)
        }
        (None, _) => {
            output::talk(&format!(
                "what checks of {} came to is not known here: a server tells it with --server URL",
                output::count(endpoints.len(), "endpoint")
            ));
            return Ok(());
        }
    };
    let told = endpoints.iter().filter_map(|endpoint| {
        let known = known.targets.get(&endpoint.target)?;
        Some((endpoint.id, known.ruling.clone()))
    });
    pipeline.take_in_rulings(told.collect::<Vec<_>>());
    pipeline.compile(SystemTime::now());
    output::talk(&format!("checks as {source} had them {}", known.at));
    Ok(())
}
