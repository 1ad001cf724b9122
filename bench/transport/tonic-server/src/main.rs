//! Serves tonic-health's service and ../tokens.proto with tonic, on one thread. It prints its port and its software as
//! one line of JSON, and turns the overall status over at each SIGUSR2.
//! Arguments: none for plaintext; the files of a certificate and its key for TLS.
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::watch;
use tokio::time::{interval, interval_at, Instant};
use tokio_stream::wrappers::{IntervalStream, TcpListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;

include!(concat!(env!("OUT_DIR"), "/tokenwire.bench.Tokens.rs"));

#[derive(Clone, PartialEq, prost::Message)]
pub struct GenerateRequest {
    #[prost(uint32, tag = "1")]
    pub messages: u32,
    #[prost(uint32, tag = "2")]
    pub interval_ms: u32,
    #[prost(uint32, tag = "3")]
    pub step_ms: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TokenChunk {
    #[prost(uint32, repeated, tag = "1")]
    pub token_ids: Vec<u32>,
    #[prost(uint32, tag = "2")]
    pub index: u32,
}

/// Clocks that all streams share, one for each length of a step that a stream wants now.
type StepClocks = Arc<Mutex<HashMap<u32, Arc<watch::Sender<()>>>>>;

#[derive(Default)]
struct Tokens {
    clocks: StepClocks,
}

impl Tokens {
    fn steps(&self, step_ms: u32) -> WatchStream<()> {
        let mut clocks = self.clocks.lock().expect("no panic before");
        let clock = clocks.entry(step_ms).or_insert_with(|| {
            let clock = Arc::new(watch::Sender::new(()));
            tokio::spawn(run_clock(self.clocks.clone(), step_ms, clock.clone()));
            clock
        });
        WatchStream::from_changes(clock.subscribe())
    }
}

async fn run_clock(clocks: StepClocks, step_ms: u32, clock: Arc<watch::Sender<()>>) {
    let mut ticks = interval(Duration::from_millis(u64::from(step_ms)));
    loop {
        ticks.tick().await;
        let mut clocks = clocks.lock().expect("no panic before");
        if clock.receiver_count() == 0 {
            clocks.remove(&step_ms);
            return;
        }
        clock.send_replace(());
    }
}

#[tonic::async_trait]
impl tokens_server::Tokens for Tokens {
    type GenerateStream = Pin<Box<dyn Stream<Item = Result<TokenChunk, Status>> + Send>>;

    async fn generate(&self, request: Request<GenerateRequest>) -> Result<Response<Self::GenerateStream>, Status> {
        let GenerateRequest { messages, interval_ms, step_ms } = request.into_inner();
        let mut index = 0..messages;
        if step_ms > 0 {
            return Ok(Response::new(Box::pin(self.steps(step_ms).map_while(move |_| index.next().map(chunk)))));
        }
        if interval_ms == 0 {
            return Ok(Response::new(Box::pin(tokio_stream::iter(index).map(chunk))));
        }
        let period = Duration::from_millis(u64::from(interval_ms));
        let ticks = IntervalStream::new(interval_at(Instant::now() + period, period));
        Ok(Response::new(Box::pin(ticks.map_while(move |_| index.next().map(chunk)))))
    }
}

fn chunk(index: u32) -> Result<TokenChunk, Status> {
    let token_ids = vec![1000 + index % 30_000];
    Ok(TokenChunk { token_ids, index })
}

async fn serve() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::Serving).await;
    tokio::spawn(async move {
        let mut flips = signal(SignalKind::user_defined2()).expect("a signal");
        let mut next = ServingStatus::NotServing;
        while flips.recv().await.is_some() {
            reporter.set_service_status("", next).await;
            next = match next {
                ServingStatus::Serving => ServingStatus::NotServing,
                _ => ServingStatus::Serving,
            };
        }
    });
    let mut server = Server::builder();
    if let [certificate, key] = files.as_slice() {
        let read = |file: &String| std::fs::read(file).expect("a PEM file");
        let identity = Identity::from_pem(read(certificate), read(key));
        server = server.tls_config(ServerTlsConfig::new().identity(identity)).expect("a certificate");
    }
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    println!("{{\"port\":{port},\"software\":\"{}\"}}", env!("SOFTWARE"));
    // TCP_NODELAY is what tonic sets itself when it opens the listener.
    let connections = TcpListenerStream::new(listener).map(|accepted| {
        accepted.inspect(|socket| socket.set_nodelay(true).expect("a socket"))
    });
    let router = server.add_service(health).add_service(tokens_server::TokensServer::new(Tokens::default()));
    router.serve_with_incoming(connections).await.expect("a server");
}

fn main() {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(serve());
}
