//! Both programs, run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Orders that are placed.
pub const ORDERS: usize = 3;
/// Items of each.
pub const ITEMS: usize = 3;

/// Two recordings.
pub struct Recordings {
    /// The client's.
    pub shop: PathBuf,
    /// The server's.
    pub warehouse: PathBuf,
}

/// Runs both below that directory. The server is killed, as servers are: what it recorded is in its rings.
pub fn run(place: &Path) -> Recordings {
    let recordings = Recordings { shop: place.join("shop"), warehouse: place.join("warehouse") };
    let mut warehouse = Command::new(env!("CARGO_BIN_EXE_warehouse"))
        .args(["--port", "0", "--out"])
        .arg(&recordings.warehouse)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(warehouse.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
    let shop = Command::new(env!("CARGO_BIN_EXE_shop"))
        .args(["--to", address.trim(), "--orders", &ORDERS.to_string(), "--out"])
        .arg(&recordings.shop)
        .output();
    warehouse.kill().unwrap();
    warehouse.wait().unwrap();
    let shop = shop.unwrap();
    assert!(shop.status.success(), "{}", String::from_utf8_lossy(&shop.stderr));
    recordings
}
