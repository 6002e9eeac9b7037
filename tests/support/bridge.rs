//! From clients without TLS to a port with it: for tests whose clients speak plain RESP. It has a thread and a
//! runtime of its own and a connection to the port for each of its clients; bytes go on as they come, and so do
//! half-closes, ends and resets. What it cannot pass on is that nobody listens at the port: whoever connects then
//! is reset.

mod link;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A running bridge. It ends with all its connections on drop.
pub struct Bridge {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bridge {
    /// From `listen` to the port at `to`, whose certificate `authority` has signed.
    pub fn start(listen: SocketAddr, to: SocketAddr, authority: &str) -> Self {
        let listener = bind(listen);
        let address = listener.local_addr().unwrap();
        let config = trusting(authority);
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build().unwrap();
            // Dropping the runtime ends every link.
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = accept(listener, to, config) => {}
                }
            });
        });
        Self {
            address,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// Where clients without TLS connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic of its own has been seen by the test already.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, to: SocketAddr, config: Arc<ClientConfig>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of descriptors, most likely: others may give theirs back.
            tokio::task::yield_now().await;
            continue;
        };
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            match TcpStream::connect(to).await {
                Ok(port) => link::Link::new(client, port, config).run().await,
                Err(_) => reset_on_close(&client),
            }
        });
    }
}

/// A port of before is taken again although connections to it may linger.
fn bind(address: SocketAddr) -> std::net::TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(1024).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

fn trusting(authority: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The next close of this socket sends RST.
fn reset_on_close(stream: &TcpStream) {
    // A socket that has ended by itself cannot be reset any more.
    let _ = SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}
