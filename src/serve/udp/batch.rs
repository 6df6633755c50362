//! `recvmmsg` and `sendmmsg`: up to [`CAPACITY`] datagrams per system call, in buffers that are made once.
//!
//! Unsafe, as otherwise only two calls of `precedence` are. No safe crate offers these calls with buffers that outlive one call: rustix has no
//! `recvmmsg`, and nix borrows every buffer anew for each.
#![allow(unsafe_code)]

use std::{
    cell::UnsafeCell,
    io, mem,
    net::{IpAddr, UdpSocket},
    ops::Range,
    os::fd::{AsRawFd, RawFd},
    ptr,
};

/// How many datagrams one call moves at most.
const CAPACITY: usize = 64;

/// The longest query that is read whole; a longer one is passed over, like a message without a header.
const QUERY_BYTES: usize = 4096;

/// What an answer takes at most, so that its buffer never grows.
const REPLY_BYTES: usize = crate::wire::MAX_UDP_BYTES;

/// Room for the one control message that is asked for, which carries an address and an interface.
const CONTROL_BYTES: usize = 64;

/// How long a batch waits for room in the send buffer.
const SEND_WAIT_MILLIS: i32 = 20;

/// Aligned for `cmsghdr`.
type Control = [u64; CONTROL_BYTES / 8];

/// Where the kernel puts one datagram.
#[repr(C)]
struct Slot {
    peer: libc::sockaddr_storage,
    control: Control,
    query: [u8; QUERY_BYTES],
}

/// Datagrams received by one call, and the answers to them.
///
/// The headers point into the slots, which therefore are only reached through pointers: nobody holds a reference to a slot
/// while a system call runs. A batch stays on the thread that made it.
pub(super) struct Batch {
    slots: Vec<UnsafeCell<Slot>>,
    /// Pointed at by `inbound`; never touched again.
    _inbound_parts: Vec<UnsafeCell<libc::iovec>>,
    inbound: Vec<libc::mmsghdr>,
    outbound_parts: Vec<libc::iovec>,
    outbound: Vec<libc::mmsghdr>,
    replies: Vec<Vec<u8>>,
    received: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        // SAFETY: a slot is plain old data, for which all zeros are valid.
        let slot = || UnsafeCell::new(unsafe { mem::zeroed::<Slot>() });
        let slots: Vec<_> = std::iter::repeat_with(slot).take(CAPACITY).collect();
        let inbound_parts: Vec<_> = slots
            .iter()
            .map(|slot| {
                // SAFETY: the pointer is valid, and only the address of the field is taken.
                let query = unsafe { &raw mut (*slot.get()).query };
                UnsafeCell::new(libc::iovec {
                    iov_base: query.cast(),
                    iov_len: QUERY_BYTES,
                })
            })
            .collect();
        let inbound = slots
            .iter()
            .zip(&inbound_parts)
            .map(|(slot, part)| {
                // SAFETY: as above, for two fields; and `mmsghdr` is plain old data.
                let (mut header, peer, control) = unsafe {
                    let slot = slot.get();
                    (
                        mem::zeroed::<libc::mmsghdr>(),
                        &raw mut (*slot).peer,
                        &raw mut (*slot).control,
                    )
                };
                header.msg_hdr.msg_name = peer.cast();
                header.msg_hdr.msg_iov = part.get();
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = control.cast();
                header
            })
            .collect();
        Self {
            slots,
            _inbound_parts: inbound_parts,
            inbound,
            outbound_parts: Vec::with_capacity(CAPACITY),
            outbound: Vec::with_capacity(CAPACITY),
            replies: std::iter::repeat_with(|| Vec::with_capacity(REPLY_BYTES))
                .take(CAPACITY)
                .collect(),
            // All headers are to be prepared before the first call.
            received: CAPACITY,
        }
    }

    /// Waits for a datagram and takes those that are there, in place of the ones before.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        for header in &mut self.inbound[..self.received] {
            header.msg_hdr.msg_namelen = length_of::<libc::sockaddr_storage>();
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
            header.msg_hdr.msg_flags = 0;
        }
        self.received = 0;
        // SAFETY: the headers point into slots and parts that live as long as `self` and that nobody borrows now; the
        // lengths are theirs.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.inbound.as_mut_ptr(),
                call_count(CAPACITY),
                libc::MSG_WAITFORONE as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(())
    }

    /// How many datagrams were received.
    pub(super) fn len(&self) -> usize {
        self.received
    }

    /// The datagrams at `indices`, who sent them, and where their answers go, emptied: none is sent where that stays empty.
    pub(super) fn exchanges(
        &mut self,
        indices: Range<usize>,
    ) -> impl Iterator<Item = (&[u8], Peer<'_>, &mut Vec<u8>)> {
        let received = &self.inbound[..self.received];
        let queries = received[indices.clone()]
            .iter()
            .zip(&self.slots[indices.clone()])
            .map(|(header, slot)| {
                let is_cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
                let length = if is_cut { 0 } else { header.msg_len as usize };
                // SAFETY: the kernel wrote `length` bytes, all are initialised anyway, and the slots are not written
                // before the borrow of `self` ends.
                unsafe { (&(&(*slot.get()).query)[..length], Peer(&(*slot.get()).peer)) }
            });
        let replies = self.replies[indices].iter_mut().map(emptied);
        queries
            .zip(replies)
            .map(|((query, peer), reply)| (query, peer, reply))
    }

    /// Where the answer to a datagram goes, if it is to be sent after the batch.
    pub(super) fn way_back(&mut self, index: usize) -> WayBack {
        assert!(index < self.received, "only what was received is read");
        let inbound = &mut self.inbound[index].msg_hdr;
        // SAFETY: the kernel wrote an address and a control message there, which nobody borrows now.
        unsafe {
            WayBack {
                control_len: turn_around(inbound),
                peer: inbound.msg_name.cast::<libc::sockaddr_storage>().read(),
                peer_len: inbound.msg_namelen,
                control: inbound.msg_control.cast::<Control>().read(),
            }
        }
    }

    /// Takes back what stands in an answer.
    pub(super) fn withhold(&mut self, index: usize) {
        self.replies[index].clear();
    }

    /// Sends the answers, each from the address that its query was sent to. Returns how many could not be sent.
    ///
    /// What fails for one client does not keep the others from their answers. A full send buffer is waited for, once.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> u64 {
        self.address_replies();
        let (mut next, mut unsent, mut may_wait) = (0, 0, true);
        while next < self.outbound.len() {
            let rest = &mut self.outbound[next..];
            // SAFETY: the headers were filled by `address_replies` and point to peers, control messages and answers that
            // are neither moved nor written before this call returns.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    call_count(rest.len()),
                    libc::MSG_DONTWAIT as _,
                )
            };
            if let Ok(sent) = usize::try_from(sent) {
                next += sent;
                continue;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) if may_wait => {
                    may_wait = false;
                    wait_until_writable(socket.as_raw_fd());
                }
                // The kernel names an error for the first message only.
                _ => {
                    next += 1;
                    unsent += 1;
                }
            }
        }
        unsent
    }

    fn address_replies(&mut self) {
        self.outbound.clear();
        self.outbound_parts.clear();
        for index in 0..self.received {
            let reply = &mut self.replies[index];
            let inbound = &mut self.inbound[index].msg_hdr;
            // SAFETY: the kernel wrote an address of the socket's family there.
            if reply.is_empty() || unsafe { port_of(inbound.msg_name.cast()) } == 0 {
                continue;
            }
            self.outbound_parts.push(libc::iovec {
                iov_base: reply.as_mut_ptr().cast(),
                iov_len: reply.len(),
            });
            // SAFETY: the control message is the kernel's own, in a buffer of the length that the header tells.
            let control_len = unsafe { turn_around(inbound) };
            // SAFETY: plain old data.
            let mut header = unsafe { mem::zeroed::<libc::mmsghdr>() };
            header.msg_hdr.msg_name = inbound.msg_name;
            header.msg_hdr.msg_namelen = inbound.msg_namelen;
            header.msg_hdr.msg_iovlen = 1;
            if control_len > 0 {
                header.msg_hdr.msg_control = inbound.msg_control;
                header.msg_hdr.msg_controllen = control_len as _;
            }
            self.outbound.push(header);
        }
        // The parts have their places only when all are pushed.
        for (header, part) in self.outbound.iter_mut().zip(&mut self.outbound_parts) {
            header.msg_hdr.msg_iov = part;
        }
    }
}

/// Who sent a datagram, told where somebody asks.
#[derive(Clone, Copy)]
pub(super) struct Peer<'b>(&'b libc::sockaddr_storage);

impl From<Peer<'_>> for IpAddr {
    fn from(Peer(address): Peer<'_>) -> Self {
        // SAFETY: the kernel wrote an address of the socket's family there.
        unsafe { ip_of(address) }
    }
}

fn emptied(reply: &mut Vec<u8>) -> &mut Vec<u8> {
    reply.clear();
    reply
}

/// Where a datagram came from and what it was sent to, to answer it after its batch.
pub(super) struct WayBack {
    peer: libc::sockaddr_storage,
    peer_len: libc::socklen_t,
    control: Control,
    control_len: usize,
}

impl WayBack {
    /// Sends an answer through the socket that received the datagram, without waiting for room in its send buffer.
    pub(super) fn send(mut self, socket: &UdpSocket, reply: &[u8]) -> io::Result<()> {
        // SAFETY: as for the datagram that this goes back to.
        if unsafe { port_of(&raw const self.peer) } == 0 {
            return Ok(());
        }
        let mut part = libc::iovec {
            iov_base: reply.as_ptr().cast_mut().cast(),
            iov_len: reply.len(),
        };
        // SAFETY: plain old data.
        let mut header = unsafe { mem::zeroed::<libc::msghdr>() };
        header.msg_name = (&raw mut self.peer).cast();
        header.msg_namelen = self.peer_len;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        if self.control_len > 0 {
            header.msg_control = (&raw mut self.control).cast();
            header.msg_controllen = self.control_len as _;
        }
        // SAFETY: the header points to the peer, the control message and the answer, which live until the call returns; the
        // kernel only reads them.
        let sent =
            unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// Makes the kernel tell with each datagram which address it was sent to.
pub(in crate::serve) fn ask_for_destinations(socket: &UdpSocket, is_ipv6: bool) -> io::Result<()> {
    let (level, option) = if is_ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    };
    let on: libc::c_int = 1;
    // SAFETY: the value is an int of the length given, read during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            length_of::<libc::c_int>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Turns the control message that says where a datagram was sent to into the one that says where its answer comes from.
/// Returns the length of the control message to send; 0 where the kernel is to choose the address.
///
/// The interface is left to routing, except for link-local addresses, which mean nothing without it.
///
/// # Safety
///
/// `header` is as `recvmmsg` left it.
unsafe fn turn_around(header: &mut libc::msghdr) -> usize {
    // SAFETY: the header is valid, says the caller; the macro checks the length against that of a `cmsghdr`.
    let Some(message) = (unsafe { libc::CMSG_FIRSTHDR(header).as_mut() }) else {
        return 0;
    };
    let data = {
        // SAFETY: the kernel wrote a whole control message.
        unsafe { libc::CMSG_DATA(message) }
    };
    match (message.cmsg_level, message.cmsg_type) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let info: *mut libc::in_pktinfo = data.cast();
            // SAFETY: this type of message carries this structure; it may lie unaligned.
            unsafe {
                let mut value = info.read_unaligned();
                value.ipi_ifindex = 0;
                info.write_unaligned(value);
                libc::CMSG_SPACE(length_of::<libc::in_pktinfo>()) as usize
            }
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let info: *mut libc::in6_pktinfo = data.cast();
            // SAFETY: as above.
            unsafe {
                let mut value = info.read_unaligned();
                let [first, second, ..] = value.ipi6_addr.s6_addr;
                let is_multicast = first == 0xff;
                if is_multicast {
                    return 0;
                }
                let is_link_local = first == 0xfe && second & 0xc0 == 0x80;
                if !is_link_local {
                    value.ipi6_ifindex = 0;
                }
                info.write_unaligned(value);
                libc::CMSG_SPACE(length_of::<libc::in6_pktinfo>()) as usize
            }
        }
        _ => 0,
    }
}

/// The port of a peer, in network byte order; a reply to port 0 would go nowhere.
///
/// # Safety
///
/// `peer` points to an IPv4 or IPv6 socket address, or to a `sockaddr_storage` of another family.
unsafe fn port_of(peer: *const libc::sockaddr_storage) -> u16 {
    // SAFETY: the family says which structure it is; both are shorter than the storage.
    unsafe {
        match libc::c_int::from((*peer).ss_family) {
            libc::AF_INET => (*peer.cast::<libc::sockaddr_in>()).sin_port,
            libc::AF_INET6 => (*peer.cast::<libc::sockaddr_in6>()).sin6_port,
            _ => 0,
        }
    }
}

/// The address of a peer; that of nobody for a family that the sockets don't have.
///
/// # Safety
///
/// As for [`port_of`].
unsafe fn ip_of(peer: *const libc::sockaddr_storage) -> IpAddr {
    // SAFETY: as there.
    unsafe {
        match libc::c_int::from((*peer).ss_family) {
            libc::AF_INET => {
                let address = (*peer.cast::<libc::sockaddr_in>()).sin_addr.s_addr;
                IpAddr::from(address.to_ne_bytes())
            }
            libc::AF_INET6 => IpAddr::from((*peer.cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr),
            _ => IpAddr::from([0; 4]),
        }
    }
}

fn wait_until_writable(socket: RawFd) {
    let mut poll = libc::pollfd {
        fd: socket,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one valid structure, for the duration of the call. Whatever the outcome, sending is tried again.
    unsafe { libc::poll(&raw mut poll, 1, SEND_WAIT_MILLIS) };
}

fn call_count(messages: usize) -> libc::c_uint {
    libc::c_uint::try_from(messages).expect("at most the capacity")
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(mem::size_of::<T>()).expect("a small structure")
}
