//! The real program beside a real API server of Kubernetes with etcd, and what goes wrong between the two.
//!
//! `scripts/build-go-program.sh` builds the server, and an etcd that is newer than the one that `scripts/install-tools.sh test`
//! brings; without them these tests count as skipped. There is no controller, no scheduler and no kubelet: the tests write what those would.
#![cfg(feature = "kubernetes")]

mod connection;
mod deploy;
mod kinds;
mod lists;
mod mesh;
mod much;
mod ourselves;
mod pages;
mod place;
#[path = "../program/mod.rs"]
mod program;
mod restart;
mod rig;
mod rights;
mod sources;
mod start;
mod story;
