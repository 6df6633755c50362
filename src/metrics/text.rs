//! From `OpenMetrics` to the older text format of Prometheus.

/// Rewrites a page: in the older format a counter's family has the name of its samples, and there are no units and no
/// end mark.
pub(super) fn from_open_metrics(page: &str) -> String {
    let mut out = String::with_capacity(page.len() + 1024);
    let mut help = None;
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), text) => {
                help = Some((name, text.unwrap_or_default()));
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let suffix = if kind == "counter" { "_total" } else { "" };
                if let Some((_, text)) = help.take().filter(|(of, _)| *of == name) {
                    push_words(&mut out, &["# HELP ", name, suffix, " ", text]);
                }
                push_words(&mut out, &["# TYPE ", name, suffix, " ", kind]);
            }
            (Some("#"), ..) => {}
            _ => push_words(&mut out, &[line]),
        }
    }
    out
}

fn push_words(out: &mut String, words: &[&str]) {
    out.extend(words.iter().copied());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_get_their_samples_name_and_the_end_mark_goes() {
        let page = "# HELP m_queries Queries answered.\n# TYPE m_queries counter\nm_queries_total{zone=\"a b\"} 1\n\
                    # HELP m_size_bytes Size.\n# TYPE m_size_bytes gauge\n# UNIT m_size_bytes bytes\nm_size_bytes 2\n# EOF\n";
        assert_eq!(
            from_open_metrics(page),
            "# HELP m_queries_total Queries answered.\n# TYPE m_queries_total counter\nm_queries_total{zone=\"a b\"} 1\n\
             # HELP m_size_bytes Size.\n# TYPE m_size_bytes gauge\nm_size_bytes 2\n"
        );
    }
}
