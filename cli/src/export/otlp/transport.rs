//! One request to a collector, over gRPC or HTTP: spans, or values of counters.

use crate::export::{ExportError, OtlpProtocol};
use crate::text::clean;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use std::time::{Duration, SystemTime};
use tokio_rustls::rustls;
use tonic::Code;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic_types::StatusExt;

const AGENT: &str = concat!("spanring/", env!("CARGO_PKG_VERSION"));

const PROTOBUF: &str = "application/x-protobuf";

/// No answer of a collector is longer than this, in bytes, or what is more of it is not read.
const LONGEST_ANSWER: usize = 1 << 20;

/// So much of what a collector says is repeated to the user, in characters.
const LONGEST_QUOTE: usize = 300;

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The same request may be taken later; perhaps after a time that the collector names.
    Temporary { why: String, after: Option<Duration> },
    /// It will not.
    Permanent(String),
}

/// What a collector is asked to take.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(untagged)]
pub enum Request {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

/// What it says if it takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// So many spans, or values, it does not take.
    pub rejected: i64,
    pub said: String,
}

/// A way to a collector.
#[derive(Clone)]
pub enum Transport {
    Grpc { traces: TraceServiceClient<Channel>, metrics: MetricsServiceClient<Channel>, headers: MetadataMap },
    Http { client: HttpClient, traces: Uri, metrics: Option<Uri>, headers: HeaderMap },
}

#[derive(Clone)]
pub enum HttpClient {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Encrypted(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Transport {
    /// To the collector at `address`. It connects with the first request, so inside a runtime.
    ///
    /// # Errors
    /// If the address or a header is none, or the system's certificates are needed and cannot be read.
    pub fn new(address: &str, protocol: OtlpProtocol, headers: &[(String, String)]) -> Result<Transport, ExportError> {
        let refused = |why: &dyn std::fmt::Display| ExportError::Refused(format!("{address}: {why}"));
        let uri: Uri = address.parse().map_err(|error| refused(&error))?;
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refused(&"a collector's address begins with http:// or https://")),
        };
        let headers = header_map(headers)?;
        match protocol {
            OtlpProtocol::Grpc => {
                let mut endpoint = Endpoint::from(uri.clone()).user_agent(AGENT).map_err(|error| refused(&error))?;
                if encrypted {
                    let tls = ClientTlsConfig::new().with_native_roots();
                    endpoint = endpoint.tls_config(tls).map_err(|error| refused(&error))?;
                }
                let channel = endpoint.connect_lazy();
                Ok(Transport::Grpc {
                    traces: TraceServiceClient::new(channel.clone()),
                    metrics: MetricsServiceClient::new(channel),
                    headers: MetadataMap::from_headers(headers),
                })
            }
            OtlpProtocol::Http => {
                let builder = Client::builder(TokioExecutor::new());
                // Certificates are looked for only where they are needed: there may be none.
                let client = if encrypted {
                    let connector = HttpsConnectorBuilder::new().with_native_roots();
                    let connector = connector.map_err(|error| refused(&format!("{error}; {TRUSTED}")))?;
                    HttpClient::Encrypted(builder.build(connector.https_only().enable_http1().build()))
                } else {
                    HttpClient::Plain(builder.build_http())
                };
                let traces = traces_uri(uri).map_err(|error| refused(&error))?;
                let metrics = metrics_uri(&traces).map_err(|error| refused(&error))?;
                Ok(Transport::Http { client, traces, metrics, headers })
            }
        }
    }

    /// Sends one request, and returns the collector's answer.
    ///
    /// # Errors
    /// If it was not taken.
    pub async fn send(&mut self, request: &Request) -> Result<Answer, Refusal> {
        match self {
            Transport::Grpc { traces, metrics, headers } => match request {
                Request::Traces(request) => {
                    let answer = traces.export(with_headers(headers, request)).await;
                    answer.map(|answer| answer.into_inner().into()).map_err(|status| refusal_of(&status))
                }
                Request::Metrics(request) => {
                    let answer = metrics.export(with_headers(headers, request)).await;
                    answer.map(|answer| answer.into_inner().into()).map_err(|status| refusal_of(&status))
                }
            },
            Transport::Http { client, traces, metrics, headers } => {
                let (uri, body) = match request {
                    Request::Traces(request) => (&*traces, request.encode_to_vec()),
                    Request::Metrics(request) => match metrics {
                        Some(uri) => (&*uri, request.encode_to_vec()),
                        None => return Err(Refusal::Permanent(format!("{NO_METRICS}: {}", traces.path()))),
                    },
                };
                let mut post = hyper::Request::new(Full::new(Bytes::from(body)));
                *post.method_mut() = Method::POST;
                *post.uri_mut() = uri.clone();
                *post.headers_mut() = headers.clone();
                post.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
                let temporary = |why: String| Refusal::Temporary { why, after: None };
                let answer = match client {
                    HttpClient::Plain(client) => client.request(post).await,
                    HttpClient::Encrypted(client) => client.request(post).await,
                };
                let answer = answer.map_err(|error| distrust(&error).unwrap_or_else(|| temporary(chain(&error))))?;
                let (head, body) = answer.into_parts();
                let body = Limited::new(body, LONGEST_ANSWER).collect().await;
                let body = body.map_err(|error| temporary(format!("no answer: {error}")))?.to_bytes();
                match request {
                    Request::Traces(_) => answer_of::<ExportTraceServiceResponse>(head.status, &head.headers, &body),
                    Request::Metrics(_) => answer_of::<ExportMetricsServiceResponse>(head.status, &head.headers, &body),
                }
            }
        }
    }
}

fn with_headers<R: Clone>(headers: &MetadataMap, request: &R) -> tonic::Request<R> {
    tonic::Request::from_parts(headers.clone(), tonic::Extensions::new(), request.clone())
}

const TRACES: &str = "/v1/traces";
const METRICS: &str = "/v1/metrics";

/// Why values of counters cannot be sent.
const NO_METRICS: &str = "metrics go to a path that ends in /v1/metrics, and none is known beside";

/// The address with the path for traces, unless it has a path.
fn traces_uri(uri: Uri) -> Result<Uri, hyper::http::Error> {
    if uri.path() != "/" { Ok(uri) } else { with_path(uri, TRACES) }
}

/// The address for metrics beside that for traces, if that tells.
fn metrics_uri(traces: &Uri) -> Result<Option<Uri>, hyper::http::Error> {
    let Some(above) = traces.path().strip_suffix(TRACES) else { return Ok(None) };
    let query = traces.query().map_or_else(String::new, |query| format!("?{query}"));
    with_path(traces.clone(), &format!("{above}{METRICS}{query}")).map(Some)
}

fn with_path(uri: Uri, path: &str) -> Result<Uri, hyper::http::Error> {
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(path.parse()?);
    Ok(Uri::from_parts(parts)?)
}

impl From<ExportTraceServiceResponse> for Answer {
    fn from(response: ExportTraceServiceResponse) -> Answer {
        let partial = response.partial_success.unwrap_or_default();
        Answer { rejected: partial.rejected_spans, said: partial.error_message }
    }
}

impl From<ExportMetricsServiceResponse> for Answer {
    fn from(response: ExportMetricsServiceResponse) -> Answer {
        let partial = response.partial_success.unwrap_or_default();
        Answer { rejected: partial.rejected_data_points, said: partial.error_message }
    }
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, ExportError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        // The value may be a secret: it is not repeated.
        let refused =
            |_| ExportError::Refused(format!("`{name}` is no header, or its value has characters that none can have"));
        let name: HeaderName = name.parse().map_err(|_| refused(()))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| refused(()))?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    map.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    Ok(map)
}

/// What an answer over HTTP means.
fn answer_of<R: Message + Default + Into<Answer>>(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answer, Refusal> {
    let is_protobuf = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(PROTOBUF.as_bytes()));
    if status.is_success() {
        return match R::decode(body) {
            Ok(answer) if is_protobuf || body.is_empty() => Ok(answer.into()),
            _ => Err(Refusal::Permanent(format!("{status}, but the answer is none of a collector: {}", quote(body)))),
        };
    }
    let said = if is_protobuf { tonic_types::Status::decode(body).ok().map(|status| status.message) } else { None };
    let why = format!("{status}: {}", said.map_or_else(|| quote(body), |message| quote(message.as_bytes())));
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let after = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now()));
            Err(Refusal::Temporary { why, after })
        }
        _ => Err(Refusal::Permanent(why)),
    }
}

/// `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let seconds = text.trim().parse().ok().map(Duration::from_secs);
    seconds.or_else(|| Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()))
}

/// What a status of gRPC means, by OTLP's table.
fn refusal_of(status: &tonic::Status) -> Refusal {
    if let Some(refusal) = distrust(status) {
        return refusal;
    }
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let why = format!("{:?}: {}", status.code(), quote(chain(status).as_bytes()));
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Refusal::Temporary { why, after },
        // Only the collector knows whether what it lacks will come back.
        Code::ResourceExhausted if after.is_some() => Refusal::Temporary { why, after },
        _ => Refusal::Permanent(why),
    }
}

/// Whose certificates are trusted.
const TRUSTED: &str = "certificates are trusted whose authority the system trusts, or, where the environment variable \
                       SSL_CERT_FILE names a file in PEM format, one that is in there";

/// That the collector's certificate is not good, if that is the error: waiting does not make it better.
fn distrust(error: &(dyn std::error::Error + 'static)) -> Option<Refusal> {
    let mut next = Some(error);
    while let Some(cause) = next {
        // An I/O error passes over what it was made of.
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn std::error::Error + 'static));
        match inner.unwrap_or(cause).downcast_ref() {
            Some(why @ rustls::Error::InvalidCertificate(_)) => {
                return Some(Refusal::Permanent(format!("{}; {TRUSTED}", quote(why.to_string().as_bytes()))));
            }
            _ => next = inner.or_else(|| cause.source()),
        }
    }
    None
}

/// An error and what caused it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// What somebody else said, not too long, and without what a terminal would obey.
fn quote(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let short: String = text.trim().chars().take(LONGEST_QUOTE).collect();
    if short.is_empty() { "nothing said".to_owned() } else { clean(&short).into_owned() }
}
