//! A process to export, and memory to export to.
// Each test uses a part of it.
#![allow(dead_code)]

use spanring::reader::{Location, ProcessFacts};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// Facts of a process 42.
pub fn facts() -> ProcessFacts {
    let lines = [
        "session=20261123T140501.250Z-42-0",
        "pid=42",
        "boot_id=boot",
        "executable=/usr/bin/service",
        "host=here",
        "os=linux",
        "arch=x86_64",
        "version=0.1.0",
        "started_unix_ns=500",
    ];
    ProcessFacts::decode(&lines.join("\n"))
}

/// Some place.
pub fn location() -> Location {
    Location {
        lod: 3,
        target: "service".to_owned(),
        module_path: "service::db".to_owned(),
        file: "src/db.rs".to_owned(),
        line: 12,
    }
}

/// Bytes that can still be had when their writer is gone.
#[derive(Clone, Default)]
pub struct SharedBytes(Arc<Mutex<Vec<u8>>>);

impl SharedBytes {
    /// What was written.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().expect("nobody panics"))
    }
}

impl Write for SharedBytes {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics").write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
