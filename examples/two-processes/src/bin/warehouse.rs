//! `cargo run -p spanring-example-two-processes --bin warehouse`: see the README.

use clap::Parser;
use spanring::Recorder;
use spanring_example_two_processes::warehouse::routes;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::net::TcpListener;

/// Says what is in stock, until it is told to stop by Ctrl-C
#[derive(Parser)]
struct Arguments {
    /// Where to record
    #[arg(long, default_value = "recording/warehouse")]
    out: PathBuf,
    /// Port on the loopback interface; 0 for any
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let recorder = Recorder::builder().directory(&arguments.out).start()?;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], arguments.port))).await?;
    println!("{}", listener.local_addr()?);
    tokio::select! {
        ended = axum::serve(listener, routes()) => ended?,
        told = tokio::signal::ctrl_c() => told?,
    }
    println!("{}", recorder.stop()?);
    Ok(())
}
