//! `cargo run -p spanring-example-two-processes --bin shop`: see the README.

use clap::Parser;
use spanring::Recorder;
use spanring_example_two_processes::shop::Shop;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Places orders
#[derive(Parser)]
struct Arguments {
    /// Where to record
    #[arg(long, default_value = "recording/shop")]
    out: PathBuf,
    /// Where the warehouse listens
    #[arg(long, default_value = "127.0.0.1:8080")]
    to: SocketAddr,
    /// How many
    #[arg(long, default_value_t = 3)]
    orders: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments = Arguments::parse();
    let recorder = Recorder::builder().directory(&arguments.out).start()?;
    let shop = Shop::new(arguments.to);
    for number in 1..=arguments.orders {
        let scarcest = shop.order(number, &["tea", "coffee", "sugar"]).await?;
        println!("order {number}: {scarcest} could be had");
    }
    println!("{}", recorder.stop()?);
    Ok(())
}
