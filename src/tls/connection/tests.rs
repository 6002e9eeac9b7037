//! Both ends in one place, with bytes between them cut wherever.

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use super::*;
use crate::tls::backend::{BackendTls, BackendTlsSettings};
use crate::tls::verify::{Fingerprint, Verify};

/// A server that presents a certificate with a key, be it its own or not.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesServerCert for Presents {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

pub(crate) struct Ends {
    pub(crate) client: TlsConnection,
    pub(crate) server: TlsConnection,
    random: fastrand::Rng,
}

/// A client that has pinned the certificate, and a server with it and `key`, or its own key.
fn ends(
    version: &'static rustls::SupportedProtocolVersion,
    key: Option<KeyPair>,
    seed: u64,
) -> Ends {
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["redis".to_owned()]).unwrap();
    let certificate = params.self_signed(&own).unwrap().der().clone();
    let settings = BackendTlsSettings {
        verify: Verify::Pin(Fingerprint::of(&certificate)),
        ..BackendTlsSettings::default()
    };
    let provider: Arc<CryptoProvider> = Arc::new(default_provider());
    let key = PrivateKeyDer::try_from(key.unwrap_or(own).serialize_der()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let presents = Presents(Arc::new(CertifiedKey::new(vec![certificate], key)));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(presents));
    Ends {
        client: BackendTls::load(&settings)
            .unwrap()
            .connect("redis")
            .unwrap(),
        server: TlsConnection::server(Arc::new(config)).unwrap(),
        random: fastrand::Rng::with_seed(seed),
    }
}

/// Ends whose handshake is over. With its last part `bytes` have come to the server's.
pub(crate) fn ends_with_kept(bytes: &[u8]) -> Ends {
    let mut ends = ends(&TLS13, None, 5);
    ends.client.shake_hands(&[]).unwrap();
    let hello = all_of(&mut ends.client);
    ends.server.shake_hands(&hello).unwrap();
    let flight = all_of(&mut ends.server);
    let done = ends.client.shake_hands(&flight);
    assert_eq!(done, Ok(HandshakeProgress::Done));
    ends.client.seal(bytes).unwrap();
    let finished = all_of(&mut ends.client);
    let done = ends.server.shake_hands(&finished);
    assert_eq!(done, Ok(HandshakeProgress::Done));
    let tickets = all_of(&mut ends.server);
    assert!(opened(&mut ends.client, &tickets, 0).unwrap().is_empty());
    ends
}

pub(crate) fn all_of(from: &mut TlsConnection) -> Vec<u8> {
    let all = from.unsent().to_vec();
    from.sent(all.len());
    all
}

/// Takes a part of what one end has to send, of a length by chance.
fn part(from: &mut TlsConnection, random: &mut fastrand::Rng) -> Vec<u8> {
    let unsent = from.unsent();
    let n = match random.bool() {
        true => random.usize(..=unsent.len().min(40)),
        false => random.usize(..=unsent.len()),
    };
    let part = unsent[..n].to_vec();
    from.sent(n);
    part
}

impl Ends {
    fn shake_hands(&mut self) -> Result<(), Error> {
        let (mut client, mut server) =
            (HandshakeProgress::NeedsInput, HandshakeProgress::NeedsInput);
        client = self.client.shake_hands(&[]).map(|_| client)?;
        for _ in 0..100_000 {
            if (client, server) == (HandshakeProgress::Done, HandshakeProgress::Done)
                && self.is_quiet()
            {
                return Ok(());
            }
            let to_server = part(&mut self.client, &mut self.random);
            match server {
                HandshakeProgress::NeedsInput => server = self.server.shake_hands(&to_server)?,
                HandshakeProgress::Done => {
                    assert!(opened(&mut self.server, &to_server, 0)?.is_empty())
                }
            }
            let to_client = part(&mut self.server, &mut self.random);
            match client {
                HandshakeProgress::NeedsInput => client = self.client.shake_hands(&to_client)?,
                HandshakeProgress::Done => {
                    assert!(opened(&mut self.client, &to_client, 0)?.is_empty())
                }
            }
        }
        panic!("no end");
    }

    fn is_quiet(&self) -> bool {
        self.client.unsent().is_empty() && self.server.unsent().is_empty()
    }
}

/// What comes out where this comes in, with so much room less than there could be.
pub(crate) fn opened(end: &mut TlsConnection, come: &[u8], less: usize) -> Result<Vec<u8>, Error> {
    let mut all = [&end.kept()[..], come].concat();
    let mut room = vec![0; all.len().saturating_sub(less)];
    let n = end.open(&mut all, &mut room)?;
    room.truncate(n);
    while end.has_plaintext() {
        let (mut kept, mut more) = (end.kept(), [0; 100]);
        let n = end.open(&mut kept, &mut more)?;
        room.extend_from_slice(&more[..n]);
    }
    Ok(room)
}

/// What one end sends comes out at the other, and then nothing is kept of it.
fn carries(from: &mut TlsConnection, to: &mut TlsConnection, random: &mut fastrand::Rng) {
    let (mut sent, mut come) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let length = match random.u8(..4) {
            0 => random.usize(..3),
            1 => random.usize(16_383..16_386),
            _ => random.usize(..50_000),
        };
        let piece: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(length)
            .collect();
        from.seal(&piece).unwrap();
        sent.extend_from_slice(&piece);
        let part = part(from, random);
        come.extend(opened(to, &part, random.usize(..2000)).unwrap());
    }
    while !from.unsent().is_empty() {
        let part = part(from, random);
        come.extend(opened(to, &part, random.usize(..2000)).unwrap());
    }
    assert!(sent == come);
    for buffer in [&from.outgoing, &to.incoming, &to.plain] {
        assert_eq!(buffer.capacity(), 0, "an idle connection holds no buffer");
    }
}

#[test]
fn whatever_is_sent_comes_whole_however_it_is_cut() {
    for seed in 0..40 {
        let version = [&TLS12, &TLS13][seed as usize % 2];
        let mut ends = ends(version, None, seed);
        ends.shake_hands().unwrap();
        let Ends {
            client,
            server,
            random,
        } = &mut ends;
        carries(client, server, random);
        carries(server, client, random);
        carries(client, server, random);
    }
}

#[test]
fn an_end_is_seen_behind_all_that_was_sent_before() {
    let mut ends = ends(&TLS13, None, 1);
    ends.shake_hands().unwrap();
    let Ends { client, server, .. } = &mut ends;
    server.seal(b"+OK\r\n").unwrap();
    server.close().unwrap();
    let mut come = server.unsent().to_vec();
    assert_eq!(client.open(&mut come, &mut []), Ok(0));
    assert!(client.has_plaintext() && !client.has_ended());
    let mut room = [0; 9];
    assert_eq!(client.open(&mut [], &mut room), Ok(5));
    assert!(client.has_ended());
    // The other direction is still open.
    client.seal(b"QUIT\r\n").unwrap();
    let come = client.unsent().to_vec();
    assert_eq!(opened(server, &come, 0).unwrap(), b"QUIT\r\n");
}

#[test]
fn a_pinned_certificate_without_its_key_does_not_pass() {
    for version in [&TLS12, &TLS13] {
        let other = KeyPair::generate().unwrap();
        assert!(ends(version, Some(other), 2).shake_hands().is_err());
        assert!(ends(version, None, 2).shake_hands().is_ok());
    }
}

#[test]
fn bytes_that_were_changed_on_the_way_end_the_connection_and_the_other_end_is_told() {
    let mut ends = ends(&TLS13, None, 3);
    ends.shake_hands().unwrap();
    let Ends { client, server, .. } = &mut ends;
    server.seal(b"$5\r\nvalue\r\n").unwrap();
    let mut come = server.unsent().to_vec();
    *come.last_mut().unwrap() ^= 1;
    let mut room = [0; 99];
    assert!(client.open(&mut come, &mut room).is_err());
    assert_eq!(room, [0; 99]);
    assert!(!client.unsent().is_empty());
    assert!(client.seal(b"PING\r\n").is_err());
}

#[test]
fn what_is_no_tls_is_refused() {
    let mut ends = ends(&TLS13, None, 4);
    ends.client.shake_hands(&[]).unwrap();
    assert!(
        ends.client
            .shake_hands(b"-ERR unknown command\r\n")
            .is_err()
    );
}
