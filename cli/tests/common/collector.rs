//! A collector of OpenTelemetry that answers as it is told, over HTTP and over gRPC.
// Each test uses a part of it.
#![allow(dead_code)]

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// What a collector answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Everything is taken.
    Take,
    /// So many spans are not, because of this.
    Reject(i64, &'static str),
    /// HTTP: a status, and seconds to wait, if any.
    Status(u16, Option<u64>),
    /// HTTP: a page, as from something that is no collector.
    Page,
    /// gRPC: a status.
    GrpcStatus(tonic::Status),
    /// Nothing, for that long; then everything is taken.
    Late(Duration),
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// When.
    pub at: Instant,
    /// Where to.
    pub path: String,
    /// What stood above it.
    pub headers: HeaderMap,
    /// What it was, if it was for spans.
    pub request: ExportTraceServiceRequest,
    /// Whether its spans were taken.
    pub taken: bool,
}

/// A collector on the loopback interface, until it is dropped.
pub struct FakeCollector {
    /// `http://` and its address.
    pub address: String,
    received: Arc<Mutex<Vec<Received>>>,
    _runtime: Runtime,
}

impl FakeCollector {
    /// One that talks HTTP, or gRPC. The n-th request gets the n-th answer, later ones the last.
    pub fn start(answers: &[Answer], grpc: bool) -> FakeCollector {
        FakeCollector::answering(answers, Answer::Take, grpc)
    }

    /// One that takes spans, and answers so to metrics.
    pub fn with_metrics(answer: Answer, grpc: bool) -> FakeCollector {
        FakeCollector::answering(&[Answer::Take], answer, grpc)
    }

    /// One that takes everything, by TLS, with the certificate in `tests/tls`.
    pub fn encrypted(grpc: bool) -> FakeCollector {
        let protocol: &[u8] = if grpc { b"h2" } else { b"http/1.1" };
        let read = |name: &str| format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"));
        let certificate = CertificateDer::from_pem_file(read("collector.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(read("collector.key")).expect("its key");
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions of TLS");
        let config = builder.with_no_client_auth().with_single_cert(vec![certificate], key);
        let mut config = config.expect("they belong together");
        config.alpn_protocols = vec![protocol.to_vec()];
        let mut collector =
            FakeCollector::listening(&[Answer::Take], Answer::Take, grpc, Some(Arc::new(config).into()));
        collector.address = collector.address.replacen("http", "https", 1);
        collector
    }

    fn answering(answers: &[Answer], to_metrics: Answer, grpc: bool) -> FakeCollector {
        FakeCollector::listening(answers, to_metrics, grpc, None)
    }

    fn listening(answers: &[Answer], to_metrics: Answer, grpc: bool, tls: Option<TlsAcceptor>) -> FakeCollector {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let received = Arc::new(Mutex::new(Vec::new()));
        let answers = Answers { to_spans: answers.to_vec(), to_metrics };
        runtime.spawn(serve(listener, answers, received.clone(), grpc, tls));
        FakeCollector { address, received, _runtime: runtime }
    }

    /// What has come so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("nobody panics").clone()
    }
}

/// What is answered to what.
#[derive(Clone)]
struct Answers {
    to_spans: Vec<Answer>,
    to_metrics: Answer,
}

async fn serve(
    listener: TcpListener,
    answers: Answers,
    received: Arc<Mutex<Vec<Received>>>,
    grpc: bool,
    tls: Option<TlsAcceptor>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (answers, received, tls) = (answers.clone(), received.clone(), tls.clone());
        let service = service_fn(move |request| answer(request, answers.clone(), received.clone(), grpc));
        tokio::spawn(async move {
            match tls {
                None => connection(stream, service, grpc).await,
                Some(tls) => {
                    // A client that does not trust it hangs up.
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, service, grpc).await;
                    }
                }
            }
        });
    }
}

async fn connection<S>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S, grpc: bool)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let io = TokioIo::new(stream);
    if grpc {
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(server.serve_connection(io, service).await);
    } else {
        let mut server = hyper::server::conn::http1::Builder::new();
        drop(server.timer(TokioTimer::new()).serve_connection(io, service).await);
    }
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(
    request: Request<Incoming>,
    answers: Answers,
    received: Arc<Mutex<Vec<Received>>>,
    grpc: bool,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let mut body = body.collect().await.expect("a body").to_bytes();
    if grpc {
        // A byte for whether it is compressed, and four for its length.
        body = body.slice(5..);
    }
    let path = head.uri.path().to_owned();
    let is_metrics = path.contains("metrics");
    let request = if is_metrics {
        ExportMetricsServiceRequest::decode(body).expect("a request");
        ExportTraceServiceRequest::default()
    } else {
        ExportTraceServiceRequest::decode(body).expect("a request")
    };
    let answer = {
        let mut received = received.lock().expect("nobody panics");
        let answer = match is_metrics {
            true => answers.to_metrics,
            false => answers.to_spans[received.len().min(answers.to_spans.len() - 1)].clone(),
        };
        let taken = matches!(answer, Answer::Take | Answer::Reject(..) | Answer::Late(_));
        received.push(Received { at: Instant::now(), path, headers: head.headers, request, taken });
        answer
    };
    if let Answer::Late(time) = answer {
        tokio::time::sleep(time).await;
    }
    let partial_success = match &answer {
        Answer::Reject(rejected_spans, why) => {
            Some(ExportTracePartialSuccess { rejected_spans: *rejected_spans, error_message: (*why).to_owned() })
        }
        _ => None,
    };
    let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    Ok(if grpc { over_grpc(&answer, &message) } else { over_http(&answer, message) })
}

fn over_http(answer: &Answer, message: Vec<u8>) -> Response<Body> {
    let response = Response::builder();
    let (response, body) = match answer {
        Answer::Status(status, after) => {
            let response = response.status(*status).header("content-type", "text/plain");
            let response = match after {
                Some(seconds) => response.header("retry-after", seconds.to_string()),
                None => response,
            };
            (response, b"not now".to_vec())
        }
        Answer::Page => (response.header("content-type", "text/html"), b"<html>hello</html>".to_vec()),
        _ => (response.header("content-type", "application/x-protobuf"), message),
    };
    response.body(Full::from(body).boxed()).expect("a response")
}

fn over_grpc(answer: &Answer, message: &[u8]) -> Response<Body> {
    let response = Response::builder().header("content-type", "application/grpc");
    if let Answer::GrpcStatus(status) = answer {
        let mut response = response.body(Full::default().boxed()).expect("a response");
        status.add_header(response.headers_mut()).expect("a header");
        return response;
    }
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    let trailers = async {
        Some(Ok(HeaderMap::from_iter([("grpc-status".parse().expect("a name"), "0".parse().expect("a value"))])))
    };
    response.body(Full::from(frame.freeze()).with_trailers(trailers).boxed()).expect("a response")
}
