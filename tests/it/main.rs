//! The tests that see meshdns from outside: as a library, over sockets, as a program.

mod big_mesh;
mod cases;
mod dns_client;
mod docs;
mod process;
mod properties;
mod scale;
mod walkthrough;
