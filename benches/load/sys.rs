//! The system calls that `std` has no function for.
//!
//! Owns all unsafe code of the bench: moving packets by the batch, when the kernel took them in, who gets a core first,
//! signals to the processes that the bench started, and their CPU time.

#![allow(
    unsafe_code,
    reason = "recvmmsg, sendmmsg, setsockopt for time stamps, sched_setattr, kill, prctl and the CPU clock of a process have no safe form in std"
)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "the sizes of a batch and of an address fit every C integer"
)]

use std::{
    io, mem,
    net::UdpSocket,
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::Command,
    ptr,
    time::Duration,
};

use anyhow::{Context, Result};

/// How many packets one system call moves at most.
const BATCH: usize = 64;
/// The longest packet.
const PACKET: usize = 2048;
/// Room for the time at which a packet arrived.
type Control = [u64; 8];
const ADDRESS: libc::socklen_t = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;

/// Room for a batch of packets and for the addresses they came from.
///
/// The headers point into the other fields, which are boxed and never replaced: the pointers hold for as long as the
/// batch does, wherever it is moved.
pub(crate) struct Batch {
    headers: Box<[libc::mmsghdr; BATCH]>,
    vectors: Box<[libc::iovec; BATCH]>,
    packets: Box<[[u8; PACKET]]>,
    _addresses: Box<[libc::sockaddr_storage; BATCH]>,
    _controls: Box<[Control; BATCH]>,
    count: usize,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let mut packets = vec![[0; PACKET]; BATCH].into_boxed_slice();
        // SAFETY: the three are plain C structs of numbers and pointers, for which all zeros is a value.
        let (address, vector, header): (libc::sockaddr_storage, libc::iovec, libc::mmsghdr) =
            unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        let mut addresses = Box::new([address; BATCH]);
        let mut vectors = Box::new([vector; BATCH]);
        let mut controls = Box::new([Control::default(); BATCH]);
        let mut headers = Box::new([header; BATCH]);
        for index in 0..BATCH {
            vectors[index].iov_base = packets[index].as_mut_ptr().cast();
            vectors[index].iov_len = PACKET;
            let header = &mut headers[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut addresses[index]).cast();
            header.msg_namelen = ADDRESS;
            header.msg_iov = ptr::from_mut(&mut vectors[index]);
            header.msg_iovlen = 1;
            header.msg_control = ptr::from_mut(&mut controls[index]).cast();
            header.msg_controllen = mem::size_of::<Control>() as _;
        }
        Self {
            headers,
            vectors,
            packets,
            _addresses: addresses,
            _controls: controls,
            count: 0,
        }
    }

    /// Waits for a packet and takes up to [`BATCH`] of those that are there.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        for index in 0..self.count {
            self.vectors[index].iov_len = PACKET;
            self.headers[index].msg_hdr.msg_namelen = ADDRESS;
            self.headers[index].msg_hdr.msg_controllen = mem::size_of::<Control>() as _;
        }
        self.count = 0;
        // SAFETY: each of the BATCH headers points to an address, a vector, through it a packet, and a control of this
        // batch, with the lengths that they have.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_WAITFORONE,
                ptr::null_mut(),
            )
        };
        self.count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(())
    }

    /// The packets received last, each with the time since 1970 at which it reached a socket that [`stamp_arrivals`] was
    /// called for.
    pub(crate) fn packets(&self) -> impl Iterator<Item = (&[u8], Option<Duration>)> {
        let headers = self.headers[..self.count].iter();
        headers.zip(&self.packets).map(|(header, packet)| {
            let length = (header.msg_len as usize).min(PACKET);
            (&packet[..length], arrival(&header.msg_hdr))
        })
    }

    /// Changes the packets received last in place: `change` gets the room and the packet's length, and returns the
    /// length to send.
    pub(crate) fn change(&mut self, change: impl Fn(&mut [u8], usize) -> usize) {
        for index in 0..self.count {
            let length = self.headers[index].msg_len as usize;
            self.vectors[index].iov_len = change(&mut self.packets[index], length).min(PACKET);
        }
    }

    /// Sends every packet back to where it came from.
    pub(crate) fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        for header in &mut self.headers[..self.count] {
            header.msg_hdr.msg_controllen = 0;
        }
        let mut rest = &mut self.headers[..self.count];
        while !rest.is_empty() {
            // SAFETY: as for recvmmsg; `change` kept every length within its packet.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    0,
                )
            };
            let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
            rest = &mut rest[sent..];
        }
        Ok(())
    }
}

/// Sends up to [`BATCH`] of `messages` from a connected socket, and tells how many the kernel took.
pub(crate) fn send_each(socket: &UdpSocket, messages: &[Vec<u8>]) -> io::Result<usize> {
    let messages = &messages[..messages.len().min(BATCH)];
    // SAFETY: both are plain C structs of numbers and pointers, for which all zeros is a value.
    let (mut vectors, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
        unsafe { (mem::zeroed(), mem::zeroed()) };
    for ((message, vector), header) in messages.iter().zip(&mut vectors).zip(&mut headers) {
        vector.iov_base = message.as_ptr().cast_mut().cast();
        vector.iov_len = message.len();
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: as many headers as messages point to a vector each, and that to a message, which the kernel only reads.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            messages.len() as libc::c_uint,
            0,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// When the kernel took a packet in; `None` where it did not say.
fn arrival(header: &libc::msghdr) -> Option<Duration> {
    // SAFETY: the kernel filled the header's control in, whose length it wrote; it belongs to a batch that lives on.
    let message = unsafe { libc::CMSG_FIRSTHDR(header).as_ref()? };
    if (message.cmsg_level, message.cmsg_type) != (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) {
        return None;
    }
    // SAFETY: a message of this type holds a timespec, which need not be aligned.
    let time: libc::timespec =
        unsafe { ptr::read_unaligned(libc::CMSG_DATA(message).cast::<libc::timespec>()) };
    Some(Duration::new(
        time.tv_sec.try_into().ok()?,
        time.tv_nsec.try_into().ok()?,
    ))
}

/// Has the kernel note when a packet reaches `socket`.
pub(crate) fn stamp_arrivals(socket: &UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: reads an integer of the length that is given.
    let code = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            ptr::from_ref(&on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a thread that becomes runnable gets a core at once.
#[derive(Clone, Copy)]
pub(crate) enum Precedence {
    /// As soon as the kernel can make it so; each time for a tenth of a millisecond before others.
    First,
    /// With the least part of a core that others want, but with one.
    Late,
    /// When nothing else wants the core.
    Last,
}

/// Has the kernel treat this thread so from here on; kernels before 6.12 know no [`Precedence::First`].
pub(crate) fn take(precedence: Precedence) -> Result<()> {
    const SLICE_NANOSECONDS: u64 = 100_000;
    // SAFETY: a plain C struct of numbers, for which all zeros is a value.
    let mut attributes: libc::sched_attr = unsafe { mem::zeroed() };
    attributes.size = mem::size_of::<libc::sched_attr>() as u32;
    match precedence {
        Precedence::First => attributes.sched_runtime = SLICE_NANOSECONDS,
        Precedence::Late => attributes.sched_nice = 19,
        Precedence::Last => attributes.sched_policy = libc::SCHED_IDLE as u32,
    }
    // SAFETY: reads the structure, whose size it tells.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()).context("tell the scheduler whose turn it is"),
    }
}

/// Makes `command` end with this process, however this process ends.
pub(crate) fn end_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec the closure makes one system call, which is async-signal-safe, and touches no
    // memory that another thread may hold.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
}

/// What a process is told.
#[derive(Clone, Copy)]
pub(crate) enum Signal {
    /// To reload.
    HangUp = libc::SIGHUP as isize,
    /// To end.
    Terminate = libc::SIGTERM as isize,
}

/// Sends a signal to the process `id`. The caller started it and did not reap it, so that the id is still its own.
pub(crate) fn signal(id: u32, signal: Signal) -> Result<()> {
    let id = libc::pid_t::try_from(id).context("a process id")?;
    // SAFETY: kill touches no memory.
    match unsafe { libc::kill(id, signal as libc::c_int) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()).context("send a signal"),
    }
}

/// The time on a core that the process `id` has used, in its own code and in the kernel, threads that ended included.
///
/// In nanoseconds by the scheduler's own count: the times in `/proc` come in hundredths of a second.
pub(crate) fn cpu_time(id: u32) -> Result<Duration> {
    let id = libc::pid_t::try_from(id).context("a process id")?;
    let mut clock = 0;
    // SAFETY: writes to `clock` alone.
    let code = unsafe { libc::clock_getcpuclockid(id, &raw mut clock) };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code)).context("find the CPU clock of a process");
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to `time` alone.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error()).context("read the CPU clock of a process");
    }
    let seconds = u64::try_from(time.tv_sec).context("a time")?;
    let nanoseconds = u32::try_from(time.tv_nsec).context("a time")?;
    Ok(Duration::new(seconds, nanoseconds))
}
