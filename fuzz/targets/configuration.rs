#![no_main]
//! Any configuration file is taken or refused with a place.

use libfuzzer_sys::fuzz_target;
use meshdns::config::{Config, File, FileError, Overrides};

fuzz_target!(|text: &str| {
    match File::parse("meshdns.yaml".into(), text) {
        Ok(file) => {
            let config = Config::resolve(&Overrides::default(), &file);
            let _ = config.check();
            let _ = config.policy(0);
            assert!(config.needs_restart(&config).is_empty());
        }
        Err(FileError::Invalid { position, .. }) => {
            assert!(position.line >= 1 && position.column >= 1);
        }
        Err(error @ FileError::Read { .. }) => panic!("nothing was read: {error}"),
    }
});
