use std::{collections::HashMap, sync::Arc};

use crate::manifest::LabelMap;

/// A label key or value, as a number of the [`Symbols`] that gave it out.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Symbol(u32);

/// One label: key and value.
pub type Label = (Symbol, Symbol);

/// A set of labels, sorted, each key once.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Labels(Box<[Label]>);

impl Labels {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels in order.
    pub fn iter(&self) -> impl Iterator<Item = Label> + '_ {
        self.0.iter().copied()
    }

    /// Whether every label of this set is in `other` with the same value (`SubsetOf` in Istio's
    /// `pkg/config/labels/instance.go`).
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.0
            .iter()
            .all(|label| other.0.binary_search(label).is_ok())
    }
}

/// The texts of all labels, each held once.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols {
    numbers: HashMap<Arc<str>, Symbol>,
    texts: Vec<Arc<str>>,
}

impl Symbols {
    /// Turns texts into numbers.
    pub(super) fn intern(&mut self, labels: &LabelMap) -> Labels {
        let mut interned: Vec<Label> = labels
            .iter()
            .map(|(key, value)| (self.symbol(key), self.symbol(value)))
            .collect();
        interned.sort_unstable();
        Labels(interned.into())
    }

    /// Turns numbers back into texts, in the order of the keys' texts.
    pub(super) fn texts<'a>(&'a self, labels: &'a Labels) -> Vec<(&'a str, &'a str)> {
        let text = |symbol: Symbol| &*self.texts[symbol.0 as usize];
        let mut texts: Vec<_> = labels
            .iter()
            .map(|(key, value)| (text(key), text(value)))
            .collect();
        texts.sort_unstable();
        texts
    }

    fn symbol(&mut self, text: &str) -> Symbol {
        if let Some(&symbol) = self.numbers.get(text) {
            return symbol;
        }
        let symbol = Symbol(
            u32::try_from(self.texts.len()).expect("fewer than 2^32 label texts fit the memory"),
        );
        let text: Arc<str> = text.into();
        self.texts.push(text.clone());
        self.numbers.insert(text, symbol);
        symbol
    }
}
