//! The least that a UDP server can do: what the kernel takes for a packet in and a packet out.
//!
//! Sends every packet back with the bit set that makes it a response, longer by as many bytes as the real answer is.
//! Reads nothing else of it.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    thread,
};

use socket2::{Domain, Socket, Type};

use crate::sys::Batch;

/// Reflects what arrives at `addresses`, with `workers` threads each, until the process ends.
pub(crate) fn serve(addresses: &[SocketAddr], workers: u32, append: usize) -> io::Result<()> {
    let each = |&address| (0..workers).map(move |_| bind(address, workers > 1));
    let loops: Vec<_> = addresses
        .iter()
        .flat_map(each)
        .map(|socket| {
            let socket = socket?;
            Ok(thread::spawn(move || reflect(&socket, append)))
        })
        .collect::<io::Result<_>>()?;
    loops
        .into_iter()
        .try_for_each(|reflecting| reflecting.join().expect("reflecting does not panic"))
}

/// A socket that shares its address with others where it `is_shared`.
fn bind(address: SocketAddr, is_shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_port(is_shared)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn reflect(socket: &UdpSocket, append: usize) -> io::Result<()> {
    const FLAGS: usize = 2;
    const RESPONSE: u8 = 0x80;
    let mut batch = Batch::new();
    loop {
        batch.receive(socket)?;
        batch.change(|packet, length| {
            packet[FLAGS] |= RESPONSE;
            length + append
        });
        batch.send(socket)?;
    }
}
