//! `cargo run --release -p spanring-example-axum-sqlx -- run --record on --out recording`: see the README beside this.

use clap::{Args, Parser};
use spanring_example_axum_sqlx::database::{Contents, Database};
use spanring_example_axum_sqlx::load::{self, Load, Plan};
use spanring_example_axum_sqlx::measure;
use spanring_example_axum_sqlx::recording::Record;
use spanring_example_axum_sqlx::run::{Options, run};
use spanring_example_axum_sqlx::service::Service;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "A service of axum and sqlx, recorded")]
enum Command {
    /// Runs the service until it is told to stop by Ctrl-C
    Serve {
        #[command(flatten)]
        setup: Setup,
        /// Port on the loopback interface
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
    /// Sends load to a service that runs
    Load {
        #[command(flatten)]
        clients: Clients,
        /// Where it listens
        #[arg(long, default_value = "127.0.0.1:8080")]
        to: SocketAddr,
        /// Orders that it began with
        #[arg(long, default_value_t = ORDERS)]
        orders: u32,
    },
    /// Runs the service and sends it load
    Run {
        #[command(flatten)]
        setup: Setup,
        #[command(flatten)]
        clients: Clients,
        /// Prints one line for `measure`
        #[arg(long, hide = true)]
        figures: bool,
    },
    /// Measures what recording takes: rounds of `run`, with everything recorded, with less, and with nothing
    Measure {
        #[command(flatten)]
        clients: Clients,
        /// Rounds, in each of which every one has its turn
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
}

const ORDERS: u32 = 200_000;

#[derive(Args)]
struct Setup {
    /// What is recorded
    #[arg(long, value_enum, default_value = "on")]
    record: Record,
    /// Where to
    #[arg(long, default_value = "recording")]
    out: PathBuf,
    /// Orders to begin with
    #[arg(long, default_value_t = ORDERS)]
    orders: u32,
    /// Makes the index that finds the orders of a customer
    #[arg(long)]
    indexed: bool,
    /// Connections to the database
    #[arg(long, default_value_t = 4)]
    connections: u32,
}

#[derive(Args)]
struct Clients {
    /// Requests in all
    #[arg(long, default_value_t = 5000)]
    requests: u64,
    /// Clients, each of which sends one after the other
    #[arg(long, default_value_t = 4)]
    concurrency: u32,
}

impl Setup {
    fn contents(&self) -> Contents {
        Contents { orders: self.orders, indexed: self.indexed }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    match Command::parse() {
        Command::Serve { setup, port } => serve(&setup, port),
        Command::Load { clients: Clients { requests, concurrency }, to, orders } => {
            let customers = Contents { orders, indexed: false }.customers();
            print(&load::drive(to, Plan { requests, concurrency, orders, customers })?);
            Ok(())
        }
        Command::Run { setup, clients, figures } => {
            let contents = setup.contents();
            let Setup { connections, record, out: directory, .. } = setup;
            let Clients { requests, concurrency } = clients;
            let options = Options { contents, connections, requests, concurrency };
            let (outcome, health) = run(&options, record, &directory)?;
            if figures {
                println!("{}", measure::Figures::of(&outcome)?);
                return Ok(());
            }
            print(&outcome.load);
            if let Some(health) = health {
                println!("{health}");
            }
            Ok(())
        }
        Command::Measure { clients: Clients { requests, concurrency }, rounds } => {
            println!("{}", measure::measure(&measure::ROWS, rounds, requests, concurrency)?);
            Ok(())
        }
    }
}

fn serve(setup: &Setup, port: u16) -> Result<(), Box<dyn Error>> {
    let recorder = setup.record.start(&setup.out)?;
    let place = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("service").build()?;
    runtime.block_on(async {
        let file = place.path().join("orders.sqlite");
        let database = Database::create(&file, setup.contents(), setup.connections).await?;
        let service = Service::start(database, port).await?;
        println!("http://{}", service.address);
        tokio::signal::ctrl_c().await?;
        service.stop().await?;
        Ok::<_, Box<dyn Error>>(())
    })?;
    drop(runtime);
    if let Some(recorder) = recorder {
        println!("{}", recorder.stop()?);
    }
    Ok(())
}

fn print(load: &Load) {
    let [median, p99] = [0.5, 0.99].map(|quantile| load.latencies.value_at_quantile(quantile) as f64 / 1e6);
    let (answered, failed, rate) = (load.answered(), load.failed, load.rate());
    println!("{answered} requests answered, {failed} failed; {rate:.0} a second; p50 {median:.2} ms, p99 {p99:.2} ms");
}
