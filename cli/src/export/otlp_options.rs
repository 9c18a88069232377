//! What can be chosen about the format `otlp`.

use crate::text::parse_duration;
use clap::ValueEnum;
use std::time::Duration;

/// What can be chosen about the format `otlp`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Options of the format otlp")]
pub struct OtlpOptions {
    /// The name of the service, instead of its executable's
    #[arg(long, value_name = "NAME")]
    pub service_name: Option<String>,
    /// How to talk to a collector; without it gRPC at port 4317 and HTTP elsewhere
    #[arg(long, value_enum)]
    pub protocol: Option<OtlpProtocol>,
    /// A header to send to a collector, such as a key; may be given again
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = parse_header)]
    pub headers: Vec<(String, String)>,
    /// A request to a collector that has no answer after so long is sent again
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// How long a collector may refuse a request, or not be there, before the export fails
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub retry_for: Duration,
}

impl Default for OtlpOptions {
    fn default() -> OtlpOptions {
        OtlpOptions {
            service_name: None,
            protocol: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            retry_for: Duration::from_secs(60),
        }
    }
}

/// How to talk to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OtlpProtocol {
    /// gRPC
    Grpc,
    /// Protocol buffers over HTTP, to the path /v1/traces unless the address has one
    Http,
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a header is given as NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
