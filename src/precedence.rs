//! Which threads get a core first where there are fewer cores than work: those that answer queries.
//!
//! Both functions are requests to the scheduler, need no rights, and change nothing where the system refuses them or
//! does not know them. What a thread starts afterwards inherits its precedence.
#![allow(
    unsafe_code,
    reason = "no safe crate has sched_setattr for ordinary threads"
)]

use std::{io, mem};

use rustix::process::getpriority_process;

/// How long a thread that answers queries wants a core for at a time, in nanoseconds: the least that Linux grants. Since
/// Linux 6.12 a thread that wakes up with a shorter slice need not wait for the end of a longer one.
const SHORT_SLICE: u64 = 100_000;

/// How willingly a thread that does not answer queries leaves the core to others, by niceness: the most there is.
///
/// A thread that wakes up is given the core at once only where it has not used more than its part of late. If it has, by
/// however little, Linux looks again at its next tick, up to 4 ms later at 250 Hz. The less the others' part is, the sooner it
/// is through with what it used too much. Of a core that is saturated with queries, 1.5 % is left for changes
/// (a weight of 15 beside 1024), so that they are served later there, but are served.
const NICENESS: i32 = 19;

/// Lets this thread have a core as soon as it wants one.
pub(crate) fn go_first() {
    ask(&Wish {
        policy: libc::SCHED_OTHER,
        niceness: 0,
        slice: SHORT_SLICE,
    });
}

/// Lets the threads that answer queries go before this one.
pub(crate) fn give_way() {
    ask(&Wish {
        // As ordinary, but never in place of a thread that has the core.
        policy: libc::SCHED_BATCH,
        niceness: NICENESS,
        slice: 0,
    });
}

struct Wish {
    policy: libc::c_int,
    /// On top of that which the thread has.
    niceness: i32,
    /// In nanoseconds; 0 for what is usual.
    slice: u64,
}

fn ask(wish: &Wish) {
    const MOST_NICE: i32 = 19;
    // SAFETY: plain old data, for which all zeros are valid.
    let mut attributes: libc::sched_attr = unsafe { mem::zeroed() };
    attributes.size = u32::try_from(mem::size_of_val(&attributes)).expect("a small structure");
    attributes.sched_policy = u32::try_from(wish.policy).expect("policies are small numbers");
    attributes.sched_nice = MOST_NICE.min(getpriority_process(None).unwrap_or(0) + wish.niceness);
    attributes.sched_runtime = wish.slice;
    // SAFETY: the kernel reads the structure, whose size it tells, during the call. Thread 0 is the one that calls.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result != 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "the scheduler refuses a precedence");
    }
}
