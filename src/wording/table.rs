//! Tables as `kubectl` prints them: upper-case headers, columns aligned, no lines.

use std::io::{self, Write};

/// Between two columns.
const GAP: usize = 3;

/// Writes `rows` under `headers`, indented by `indent`; the last column is as wide as it is.
pub(crate) fn write<const N: usize>(
    out: &mut dyn Write,
    indent: usize,
    headers: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let headers = headers.map(str::to_owned);
    let lines = || std::iter::once(&headers).chain(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = lines().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    });
    for row in lines() {
        let mut line = " ".repeat(indent);
        for (column, cell) in row.iter().enumerate() {
            let padding = (widths[column] + GAP).saturating_sub(cell.chars().count());
            line.push_str(cell);
            line.push_str(&" ".repeat(padding));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_columns() {
        let mut out = Vec::new();
        let rows = [["a.test", "1"], ["much-longer.test", "12"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        write(&mut out, 2, ["HOST", "IN"], &rows).expect("a Vec takes everything");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "  HOST               IN\n  a.test             1\n  much-longer.test   12\n"
        );
    }
}
