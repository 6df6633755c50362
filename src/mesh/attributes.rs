//! What many objects say alike, held once: nearly all endpoints of a service have the same ports.

use std::{
    hash::Hash,
    sync::{Arc, LazyLock},
};

use foldhash::{HashMap, HashSet};

use super::statement::Statement;
use crate::manifest::{Attributes, LabelMap, ServicePort};

/// How many different values of a sort are known. Where there are more, each is held more than once at worst.
const MAX_KNOWN: usize = 1_024;

/// What a WorkloadEntry says that is reported to be well, and nothing else.
static WELL: LazyLock<Arc<Statement>> = LazyLock::new(|| {
    Arc::new(Statement {
        reports_well: true,
        ..Statement::default()
    })
});

/// What an inline endpoint says of itself besides its address.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Details {
    pub(super) attributes: Attributes,
    pub(super) labels: LabelMap,
}

/// What many objects say alike, as it was met last.
#[derive(Clone, Debug, Default)]
pub(super) struct Alike {
    /// Statements of nothing else, without and with a report that all is well.
    statements: HashMap<Arc<Attributes>, [Arc<Statement>; 2]>,
    details: HashSet<Arc<Details>>,
    ports: HashSet<Arc<[ServicePort]>>,
}

impl Alike {
    /// What an object says with its attributes; `None` where that is nothing. Of what many say there is one copy.
    pub(super) fn statement(
        &mut self,
        said: Statement,
        attributes: &Attributes,
    ) -> Option<Arc<Statement>> {
        let is_plain = attributes.is_plain();
        if said.is_usual() {
            return match (is_plain, said.reports_well) {
                (true, false) => None,
                (true, true) => Some(WELL.clone()),
                (false, reports_well) => {
                    let (_, statements) = self.known(attributes);
                    Some(statements[usize::from(reports_well)].clone())
                }
            };
        }
        let attributes = (!is_plain).then(|| self.known(attributes).0.clone());
        Some(Arc::new(Statement { attributes, ..said }))
    }

    /// The one copy of attributes, with the statements of nothing else.
    fn known(&mut self, attributes: &Attributes) -> (&Arc<Attributes>, &[Arc<Statement>; 2]) {
        if !self.statements.contains_key(attributes) {
            if self.statements.len() >= MAX_KNOWN {
                self.statements.clear();
            }
            let attributes = Arc::new(attributes.clone());
            let statement = |reports_well| {
                Arc::new(Statement {
                    reports_well,
                    attributes: Some(attributes.clone()),
                    ..Statement::default()
                })
            };
            let statements = [false, true].map(statement);
            self.statements.insert(attributes, statements);
        }
        let known = self.statements.get_key_value(attributes);
        known.expect("it was put there where it was not")
    }

    /// The one copy of the details of an inline endpoint; `None` of those that say nothing.
    pub(super) fn details(&mut self, details: Details) -> Option<Arc<Details>> {
        if details.attributes.is_plain() && details.labels.is_empty() {
            return None;
        }
        if let Some(known) = self.details.get(&details) {
            return Some(known.clone());
        }
        let details = Arc::new(details);
        insert(&mut self.details, &details);
        Some(details)
    }

    /// The one copy of a service's ports.
    pub(super) fn ports(&mut self, ports: Vec<ServicePort>) -> Arc<[ServicePort]> {
        if let Some(known) = self.ports.get(&*ports) {
            return known.clone();
        }
        let ports = ports.into();
        insert(&mut self.ports, &ports);
        ports
    }
}

fn insert<T: ?Sized + Eq + Hash>(known: &mut HashSet<Arc<T>>, value: &Arc<T>) {
    if known.len() >= MAX_KNOWN {
        known.clear();
    }
    known.insert(value.clone());
}
