//! A stand-in for what newer servers do by themselves (`tls-auth-clients-user`): it ends TLS in front of a real
//! server, and logs each connection in for the certificate that was presented, before anybody has said anything.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use narrows::tls::connection::{HandshakeProgress, TlsConnection};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::certificates::Identity;
use crate::support::{RedisServer, command};

/// See the file's head.
pub(crate) struct CertificateLogin {
    pub(crate) port: u16,
    /// As whom. `None`: nobody is.
    user: Arc<Mutex<Option<String>>>,
    _ends_with_it: oneshot::Sender<()>,
}

impl CertificateLogin {
    /// In front of `server`, presenting `identity`, whose authority has to have signed what narrows presents.
    /// Users have the password `pw`.
    pub(crate) fn start(server: &RedisServer, identity: &Identity, user: Option<&str>) -> Self {
        let config = Arc::new(config(identity));
        let user = Arc::new(Mutex::new(user.map(str::to_owned)));
        let (_ends_with_it, ended) = oneshot::channel::<()>();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server: SocketAddr = server.address().parse().unwrap();
        let of_each = Arc::clone(&user);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::spawn(async move {
                    while let Ok((tcp, _)) = listener.accept().await {
                        let login = of_each.lock().unwrap().clone();
                        tokio::spawn(carry(tcp, Arc::clone(&config), server, login));
                    }
                });
                let _ = ended.await;
            });
        });
        Self {
            port,
            user,
            _ends_with_it,
        }
    }

    /// New connections are logged in as this one.
    pub(crate) fn log_in_as(&self, user: &str) {
        *self.user.lock().unwrap() = Some(user.to_owned());
    }
}

fn config(identity: &Identity) -> ServerConfig {
    let certificates = |pem: &str| -> Vec<CertificateDer<'static>> {
        let all = CertificateDer::pem_slice_iter(pem.as_bytes());
        all.map(Result::unwrap).collect()
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&identity.authority));
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(certificates(&identity.certificate), key)
        .unwrap()
}

/// One connection, until one of its ends closes it.
async fn carry(
    mut tcp: TcpStream,
    config: Arc<ServerConfig>,
    server: SocketAddr,
    login: Option<String>,
) -> Option<()> {
    let mut tls = TlsConnection::server(config).ok()?;
    let (mut come, mut said) = (vec![0; 20_000], vec![0; 20_000]);
    let mut n = 0;
    while tls.shake_hands(&come[..n]).ok()? != HandshakeProgress::Done {
        send(&mut tcp, &mut tls).await?;
        n = tcp.read(&mut come).await.ok().filter(|n| *n > 0)?;
    }
    send(&mut tcp, &mut tls).await?;
    let mut plain = TcpStream::connect(server).await.ok()?;
    if let Some(user) = login {
        let request = command(&["AUTH", &user, "pw"]);
        plain.write_all(&request).await.ok()?;
        let mut reply = [0; 5];
        plain.read_exact(&mut reply).await.ok()?;
        assert_eq!(&reply, b"+OK\r\n", "{user} can log in");
    }
    // What came right behind the handshake has been read with it.
    let mut n = 0;
    loop {
        let mut all = [&tls.kept()[..], &come[..n]].concat();
        let mut room = vec![0; 2 * come.len()];
        let opened = tls.open(&mut all, &mut room).ok()?;
        plain.write_all(&room[..opened]).await.ok()?;
        n = 0;
        tokio::select! {
            read = tcp.read(&mut come) => n = read.ok().filter(|n| *n > 0)?,
            read = plain.read(&mut said) => {
                let n = read.ok().filter(|n| *n > 0)?;
                tls.seal(&said[..n]).ok()?;
            }
        }
        send(&mut tcp, &mut tls).await?;
    }
}

async fn send(tcp: &mut TcpStream, tls: &mut TlsConnection) -> Option<()> {
    let n = tls.unsent().len();
    tcp.write_all(tls.unsent()).await.ok()?;
    tls.sent(n);
    Some(())
}
