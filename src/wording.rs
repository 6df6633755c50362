//! How numbers and tables are written for people.

pub(crate) mod table;

/// `1 error`, `2 errors`.
pub(crate) fn count(number: usize, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    }
}
