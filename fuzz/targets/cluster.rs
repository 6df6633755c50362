#![no_main]
//! What an API server sends is cut and read, whatever it is, and means the same in whatever pieces it comes.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| meshdns::source::cluster::check_reply(bytes));
