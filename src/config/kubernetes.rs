use super::{
    Overrides,
    file::ClusterKeys,
    value::{Context, Folder, Namespace, PodSelector},
    yaml::{Listed, OneOrMore},
};
use crate::source::ClusterSettings;

/// Joins what was said of clusters: those of the file, or the one that flags describe.
pub(super) fn resolve(
    flags: &Overrides,
    file: Option<Listed<ClusterKeys>>,
) -> Vec<ClusterSettings> {
    let is_described =
        flags.kubeconfig.is_some() || flags.context.is_some() || !flags.namespaces.is_empty();
    let listed = file.map(|clusters| clusters.0).unwrap_or_default();
    if !flags.kubernetes || !is_described && !listed.is_empty() {
        return listed.into_iter().map(cluster).collect();
    }
    vec![cluster(ClusterKeys {
        kubeconfig: flags.kubeconfig.clone().map(Folder),
        context: flags.context.clone(),
        namespaces: Some(OneOrMore(flags.namespaces.clone())),
        ..ClusterKeys::default()
    })]
}

/// A cluster without a name is called as its context.
fn cluster(keys: ClusterKeys) -> ClusterSettings {
    let context = keys.context.map(|Context(name)| name);
    let name = keys.name.map(|name| name.0);
    let name = name.or_else(|| context.clone());
    let namespaces = keys.namespaces.map(|namespaces| namespaces.0);
    let mut namespaces: Vec<_> = namespaces
        .into_iter()
        .flatten()
        .map(|Namespace(name)| name)
        .collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    ClusterSettings {
        name: name
            .as_deref()
            .unwrap_or(ClusterSettings::DEFAULT_NAME)
            .into(),
        kubeconfig: keys.kubeconfig.map(|path| path.0),
        context: context.map(Into::into),
        namespaces,
        pod_selector: keys.pod_selector.map(|PodSelector(text)| text),
    }
}
