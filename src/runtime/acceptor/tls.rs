//! Accepting clients that speak TLS: each has its handshake, and is somebody by its certificate if that is
//! configured, before it is handed to a worker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;

use crate::telemetry::reject_counts::RejectReason;
use crate::tls::connection::TlsConnection;
use crate::tls::listener::ListenTls;
use crate::tls::subject::{self, CertificateUser};

use super::{Acceptor, DetachedSocket};
use crate::runtime::handshakes::{HandshakeFailure, HandshakePlace, Handshakes};
use crate::runtime::message::ConnectionGuard;

/// What a client is told that does not speak TLS where it should.
const NO_TLS: &[u8] =
    b"-ERR this port speaks TLS: connect with TLS, for instance with rediss:// in the URL\r\n";

/// A client on its way in.
struct ComingIn {
    stream: TcpStream,
    peer: SocketAddr,
    guard: ConnectionGuard,
}

/// The user that a client's certificate names, if it is one that there is.
type ProvenUser = Option<Arc<Box<[u8]>>>;

impl Acceptor {
    /// Takes a client that has its handshake first, in a task of its own.
    pub(super) async fn take_tls(
        &self,
        handshakes: Arc<Handshakes>,
        stream: TcpStream,
        peer: SocketAddr,
    ) {
        let settings = self.current.settings();
        let Some(tls) = settings.client_tls.clone() else {
            return;
        };
        // As Redis: nothing can be said to one that waits for a handshake.
        let Ok(guard) = self.policy.enter(Some(peer), tls.requires_certificate()) else {
            return;
        };
        let place = handshakes.place(settings.handshakes).await;
        let acceptor = self.clone();
        let client = ComingIn {
            stream,
            peer,
            guard,
        };
        self.spawn(async move { acceptor.secure(&handshakes, client, &tls, place).await });
    }

    async fn secure(
        &self,
        handshakes: &Handshakes,
        client: ComingIn,
        tls: &ListenTls,
        place: HandshakePlace,
    ) {
        let ComingIn {
            stream,
            peer,
            guard,
        } = client;
        let limits = self.current.settings().handshakes;
        let mut accepted = self.accepted(&stream, peer);
        let mut connection = match tls.accept() {
            Ok(connection) => Box::new(connection),
            Err(why) => return self.no_handshake(peer, &HandshakeFailure::Failed(why)),
        };
        let shaken = handshakes.shake_hands(&stream, &mut connection, &place, limits);
        let outcome = match shaken.await {
            Ok(()) => self.user_of(&connection, tls.client_user(), peer),
            Err(failure) => Err(failure),
        };
        drop(place);
        match outcome {
            Ok(user) => {
                self.policy.handshakes.fetch_add(1, Ordering::Relaxed);
                accepted.certificate_user = user;
                accepted.is_proven = connection.peer_certificate().is_some();
                if let Ok(stream) = stream.into_std() {
                    let socket = DetachedSocket::Tls(stream, connection);
                    self.bring(socket, accepted, guard).await;
                }
            }
            Err(failure) => {
                self.no_handshake(peer, &failure);
                if let HandshakeFailure::NoTls(_) = failure {
                    // A fresh socket takes this much at once.
                    let _ = stream.try_write(NO_TLS);
                }
                if let Ok(stream) = stream.into_std() {
                    handshakes.close(DetachedSocket::Tcp(stream)).await;
                }
            }
        }
    }

    /// Who a client is by its certificate: the first of its names that is a user's.
    fn user_of(
        &self,
        connection: &TlsConnection,
        of: CertificateUser,
        peer: SocketAddr,
    ) -> Result<ProvenUser, HandshakeFailure> {
        let Some(certificate) = connection.peer_certificate() else {
            return Ok(None);
        };
        if of == CertificateUser::None {
            return Ok(None);
        }
        let names = subject::users(certificate, of);
        let names =
            names.map_err(|why| HandshakeFailure::Failed(format!("its certificate {why}")))?;
        let rules = self.current.rules();
        let known = names
            .iter()
            .find(|name| rules.access.users.contains_key(&name[..]));
        match known {
            Some(name) => Ok(Some(Arc::new(name.clone().into_boxed_slice()))),
            None => {
                self.policy.tell_unknown_user(peer, &names);
                Ok(None)
            }
        }
    }

    fn no_handshake(&self, peer: SocketAddr, failure: &HandshakeFailure) {
        let key = "listen.addresses";
        let reason = match failure {
            // Whoever only looks whether somebody listens.
            HandshakeFailure::Gone => {
                return tracing::debug!(%peer, "gone before its TLS handshake");
            }
            HandshakeFailure::NoTls(_) | HandshakeFailure::Failed(_) => RejectReason::TlsHandshake,
            HandshakeFailure::TimedOut => RejectReason::TlsTimeout,
            HandshakeFailure::MadeWay => RejectReason::TlsOverload,
        };
        self.policy.reject(reason, |turned_away| match failure {
            HandshakeFailure::NoTls(first) => {
                let first = first.escape_ascii();
                tracing::warn!(%peer, key, turned_away, "connection closed: it begins with '{first}' and not with TLS, which is spoken here");
            }
            HandshakeFailure::TimedOut => {
                let key = "tls.handshake_timeout";
                tracing::warn!(%peer, key, turned_away, "connection closed: no TLS handshake in time");
            }
            HandshakeFailure::MadeWay => {
                let key = "tls.handshakes_max";
                tracing::warn!(%peer, key, turned_away, "connection closed: it made others wait for its TLS handshake");
            }
            HandshakeFailure::Failed(why) => {
                tracing::warn!(%peer, turned_away, "connection closed: no TLS handshake: {why}");
            }
            HandshakeFailure::Gone => {}
        });
    }
}
