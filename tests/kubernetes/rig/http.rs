//! As much of HTTP/1.1 as a client and a proxy of a test need: heads, and bodies piece by piece as they come.

use std::{
    fmt::Write as _,
    io::{self, BufRead, ErrorKind, Read},
};

/// The longest head that anyone here sends.
const MAX_HEAD_BYTES: u64 = 64 * 1024;

/// The largest part of a body that is taken at once.
const PIECE_BYTES: u64 = 64 * 1024;

/// A request line or status line, and the fields below it.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) first: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The next head of a connection; `None` where it ends before.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut lines = from.by_ref().take(MAX_HEAD_BYTES);
        let mut line = || {
            let mut line = String::new();
            lines.read_line(&mut line)?;
            Ok::<_, io::Error>(line.trim_end().to_owned())
        };
        let first = line()?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut fields = Vec::new();
        loop {
            let line = line()?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok(Some(Self { first, fields }));
            };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The value of a field, named in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find_map(|(field, value)| (field == name).then_some(value.as_str()))
    }

    /// The second word of the first line: a path, or a status.
    pub(crate) fn second(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    /// The head as it goes over the wire, with `more` fields in place of those of the same name and of `without`.
    pub(crate) fn with(&self, more: &[(&str, &str)], without: &[&str]) -> String {
        let mut text = format!("{}\r\n", self.first);
        let is_kept = |name: &str| {
            !without.contains(&name) && !more.iter().any(|(replaced, _)| *replaced == name)
        };
        let kept = self.fields.iter();
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let kept = kept.filter(|(name, _)| is_kept(name));
        for (name, value) in kept.chain(more.iter().copied()) {
            write!(text, "{name}: {value}\r\n").expect("a string can be written to");
        }
        text + "\r\n"
    }
}

/// What is left of a body.
#[derive(Debug)]
pub(crate) enum Body {
    Bytes(u64),
    Chunks,
    UntilTheEnd,
    Nothing,
}

impl Body {
    /// The body that a head of a response, or of a request, announces.
    pub(crate) fn below(head: &Head) -> Self {
        let is_response = head.first.starts_with("HTTP/");
        if head.field("transfer-encoding") == Some("chunked") {
            return Self::Chunks;
        }
        match head.field("content-length") {
            Some(length) => Self::Bytes(length.parse().expect("a number")),
            None if is_response => Self::UntilTheEnd,
            None => Self::Nothing,
        }
    }

    /// The next piece, as soon as there is one; `None` at the end.
    pub(crate) fn next(&mut self, from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
        let mut length = match self {
            Self::Nothing | Self::Bytes(0) => return Ok(None),
            Self::Bytes(left) => *left,
            Self::UntilTheEnd => PIECE_BYTES,
            Self::Chunks => chunk_length(from)?,
        };
        if let Self::Chunks = self {
            let mut chunk = Vec::new();
            from.by_ref().take(length).read_to_end(&mut chunk)?;
            let mut end = String::new();
            from.read_line(&mut end)?;
            if length == 0 {
                *self = Self::Nothing;
                return Ok(None);
            }
            if chunk.len() as u64 != length || end != "\r\n" {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            return Ok(Some(chunk));
        }
        let there = from.fill_buf()?;
        length = length.min(there.len() as u64).min(PIECE_BYTES);
        let piece = there[..usize::try_from(length).expect("at most what is there")].to_vec();
        from.consume(piece.len());
        if piece.is_empty() {
            return match self {
                Self::UntilTheEnd => Ok(None),
                _ => Err(ErrorKind::UnexpectedEof.into()),
            };
        }
        if let Self::Bytes(left) = self {
            *left -= length;
        }
        Ok(Some(piece))
    }

    /// All of it.
    pub(crate) fn read(mut self, from: &mut impl BufRead) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.next(from)? {
            all.extend(piece);
        }
        Ok(all)
    }
}

fn chunk_length(from: &mut impl BufRead) -> io::Result<u64> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    u64::from_str_radix(line.trim_end(), 16).map_err(|_| ErrorKind::UnexpectedEof.into())
}
