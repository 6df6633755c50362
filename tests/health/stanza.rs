//! What a stanza says that says little.

use meshdns::manifest::Probe;

/// Period, timeout, passes and failures of a probe.
#[track_caller]
fn check(text: &str, expected: [u32; 4]) {
    let probe = Probe::from_text(text).expect("a stanza");
    let found = [
        probe.period_seconds,
        probe.timeout_seconds,
        probe.success_threshold,
        probe.failure_threshold,
    ];
    assert_eq!(found, expected, "{text}");
}

#[test]
fn numbers_that_are_missing_or_zero_are_what_a_kubelet_takes() {
    let usual = [10, 1, 1, 3];
    check("{tcpSocket: {port: 80}}", usual);
    check(
        "{tcpSocket: {port: 80}, periodSeconds: 0, timeoutSeconds: 0, successThreshold: 0, failureThreshold: 0}",
        usual,
    );
    check(
        "{tcpSocket: {port: 80}, periodSeconds: 5, timeoutSeconds: 2, successThreshold: 4, failureThreshold: 1}",
        [5, 2, 4, 1],
    );
}
