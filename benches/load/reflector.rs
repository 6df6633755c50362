//! The least that a UDP server can do: what the kernel takes for a packet in and a packet out.
//!
//! Sends every packet back with the bit set that makes it a response, longer by as many bytes as the real answer is.
//! Reads nothing else of it.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    thread,
};

use crate::sys::Batch;

/// Reflects what arrives at `addresses`, one thread each, until the process ends.
pub(crate) fn serve(addresses: &[SocketAddr], append: usize) -> io::Result<()> {
    let loops: Vec<_> = addresses
        .iter()
        .map(|address| {
            let socket = UdpSocket::bind(address)?;
            Ok(thread::spawn(move || reflect(&socket, append)))
        })
        .collect::<io::Result<_>>()?;
    loops
        .into_iter()
        .try_for_each(|reflecting| reflecting.join().expect("reflecting does not panic"))
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
