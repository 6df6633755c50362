//! This machine is ill, not the endpoint.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use meshdns::health::{Nothing, Observation, Target};
use tokio::{runtime, task::JoinSet};

use crate::{
    fleet::{Vm, wait_for_end},
    observe::{get, observer, probe},
};

#[test]
fn a_server_that_is_busy_for_longer_than_the_timeout_learns_nothing_from_that() {
    const PROBES: usize = 100;
    const TIMEOUT: u32 = 2;
    let vm = Vm::at("127.8.0.1", |stream, _| wait_for_end(stream));
    let observer = observer();
    let target = Target {
        address: vm.address.ip(),
        probe: Arc::new(probe(
            meshdns::manifest::ProbeMethod::Http(get(vm.port())),
            TIMEOUT,
        )),
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let observations = runtime.expect("a runtime").block_on(async {
        let mut probes = JoinSet::new();
        let begun = Arc::<AtomicUsize>::default();
        for _ in 0..PROBES {
            let (observer, target, begun) = (observer.clone(), target.clone(), begun.clone());
            probes.spawn(async move {
                begun.fetch_add(1, SeqCst);
                observer.observe(&target).await
            });
        }
        // All of them begin, and then the thread has other things to do.
        while begun.load(SeqCst) < PROBES {
            tokio::task::yield_now().await;
        }
        thread::sleep(Duration::from_secs(u64::from(TIMEOUT) * 2));
        probes.join_all().await
    });
    let late = Observation::Nothing(Nothing::Late);
    assert_eq!(observations, vec![late; PROBES]);
}
