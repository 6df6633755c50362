//! Labels in the form in which an object holds them: sorted texts in one piece of memory.

use std::fmt;

use smallvec::SmallVec;

/// How many labels have their places within the map itself.
const FEW: usize = 8;

/// Label keys and values, each key once.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct LabelMap {
    /// Every key with its value behind it, in the order of the keys.
    texts: Box<str>,
    /// Where each key and each value ends.
    ends: SmallVec<[(u32, u32); FEW]>,
}

impl LabelMap {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Keys and values in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.joined()
            .map(|(label, key_len)| label.split_at(key_len))
    }

    /// The value of the label `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let mut labels = self.iter();
        labels.find_map(|(other, value)| (other == key).then_some(value))
    }

    /// Keys and values, each key with its value behind it, and how long the key is.
    pub(crate) fn joined(&self) -> impl Iterator<Item = (&str, usize)> {
        let mut start = 0;
        self.ends.iter().map(move |&(key_end, value_end)| {
            let label = (
                &self.texts[start..value_end as usize],
                key_end as usize - start,
            );
            start = value_end as usize;
            label
        })
    }
}

/// Of two equal keys the later one stays.
impl<'t> FromIterator<(&'t str, &'t str)> for LabelMap {
    fn from_iter<I: IntoIterator<Item = (&'t str, &'t str)>>(labels: I) -> Self {
        let mut labels: SmallVec<[(&str, &str); 2 * FEW]> = labels.into_iter().collect();
        if !labels.is_sorted_by(|(one, _), (other, _)| one < other) {
            labels.sort_by_key(|(key, _)| *key);
            labels.dedup_by(|later, kept| {
                let equal = later.0 == kept.0;
                if equal {
                    *kept = *later;
                }
                equal
            });
        }
        let length = labels.iter().map(|(key, value)| key.len() + value.len());
        let mut texts = String::with_capacity(length.sum());
        let mut ends = SmallVec::with_capacity(labels.len());
        let end = |texts: &str| u32::try_from(texts.len()).expect("a file has less than 4 GiB");
        for (key, value) in labels {
            texts.push_str(key);
            let key_end = end(&texts);
            texts.push_str(value);
            ends.push((key_end, end(&texts)));
        }
        Self {
            texts: texts.into(),
            ends,
        }
    }
}

impl fmt::Debug for LabelMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_each_key_once_in_order() {
        let labels = LabelMap::from_iter([("b", "1"), ("a", ""), ("", "3"), ("b", "2")]);
        assert!(labels.iter().eq([("", "3"), ("a", ""), ("b", "2")]));
        assert_eq!(format!("{labels:?}"), r#"{"": "3", "a": "", "b": "2"}"#);
        assert_eq!(
            labels,
            LabelMap::from_iter([("", "3"), ("b", "2"), ("a", "")])
        );
        assert!(LabelMap::default().is_empty());
    }
}
