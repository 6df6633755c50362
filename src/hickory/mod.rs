//! The mesh inside of a program that serves DNS with [hickory-server](hickory_server). Feature `hickory`.
//!
//! [`MeshHandler`] answers every name of a mesh, and hands other names to the program's own handler. [`MeshZone`] is one
//! declared zone of the mesh as an entry of the program's [`Catalog`](hickory_server::zone_handler::Catalog). Both take
//! the snapshots of [`control`](crate::control), and follow them as they change.
//!
//! Owns the way between hickory's types and ours. What an answer is, [`answer`](crate::answer) decides; what it looks like
//! in bytes, hickory-server does. So a test that asks both servers compares two encoders of the same answers.
//!
//! Never binds a socket, and never looks up a name at an upstream: an endpoint that is a name adds addresses only where
//! the program tells them to `control`.
//!
//! ```
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use arc_swap::ArcSwap;
//! use hickory_server::{Server, zone_handler::Catalog};
//! use meshdns::{hickory::MeshHandler, zone::Snapshot};
//! use tokio::net::UdpSocket;
//!
//! let snapshots = Arc::new(ArcSwap::from_pointee(Snapshot::not_ready(Arc::default())));
//! let zones_of_my_own = Catalog::new();
//! let mut server = Server::new(MeshHandler::before(snapshots, zones_of_my_own));
//! server.register_socket(UdpSocket::bind("127.0.0.1:0").await?);
//! server.shutdown_gracefully().await?;
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().expect("a runtime").block_on(serve()).expect("it serves");
//! ```

mod handler;
mod question;
mod records;
mod reply;
mod zone;

pub use handler::MeshHandler;
pub use zone::MeshZone;
