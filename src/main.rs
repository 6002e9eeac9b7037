//! main
use narrows::*;
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut a = std::env::args().skip(1);
    let listen: std::net::SocketAddr = a.next().unwrap().parse().unwrap();
    let b = a.next().unwrap();
    let (host, port) = b.split_once(':').unwrap();
    let max: u32 = a.next().map_or(16, |s| s.parse().unwrap());
    let workers: usize = a.next().map_or(0, |s| s.parse().unwrap());
    let settings = runtime::settings::Settings {
        listen: vec![runtime::settings::Listen::Tcp(listen)],
        backend: runtime::settings::Endpoint::Tcp { host: host.into(), port: port.parse().unwrap() },
        backend_connections_max: max, workers, ..Default::default()
    };
    let rules = engine::Rules { settings: Default::default(), commands: command::CommandTable::builtin(), policy: command::Policy::new(&Default::default()).unwrap() };
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let n = runtime::start(settings, rules).unwrap();
        eprintln!("listening addr={}", n.addresses[0]);
        tokio::signal::ctrl_c().await.unwrap();
        n.drain().await;
    });
}
