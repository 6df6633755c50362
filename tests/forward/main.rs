//! Names that are not in the mesh: the real binary in front of upstreams that do what they are told.

mod aliases;
mod answers;
mod authority;
mod basics;
mod cache;
mod chaos;
mod commands;
mod endpoints;
mod endpoints_in_need;
mod fairness;
mod harness;
mod mesh_names;
mod odd_upstreams;
#[path = "../program/mod.rs"]
mod program;
mod reload;
#[path = "../serving/mod.rs"]
mod serving;
mod settings;
mod special;
mod streams;
mod tls;
mod upstream;
