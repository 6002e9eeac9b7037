//! Certificates for these tests, beside those that are as they should be: the ones that people have.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};

use crate::support::certificates::fingerprint;
pub(crate) use crate::support::certificates::{Authority, Identity, good};

pub(crate) fn expired() -> Identity {
    Authority::new().signs(&["127.0.0.1"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    })
}

/// Its own authority: `openssl req -x509` makes such ones.
pub(crate) fn own_authority() -> Identity {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "redis");
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity {
        fingerprint: fingerprint(certificate.der()),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        authority: certificate.pem(),
    }
}

/// One of version 1, which cannot be made with today's libraries: made by `openssl x509 -req`.
pub(crate) fn version_1() -> Identity {
    let certificate = include_str!("version1.pem");
    let pem = certificate.lines().filter(|line| !line.starts_with("---"));
    let der = base64(&pem.collect::<String>());
    Identity {
        fingerprint: fingerprint(&der),
        certificate: certificate.to_owned(),
        key: include_str!("version1.key").to_owned(),
        authority: certificate.to_owned(),
    }
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut have, mut bytes) = (0u32, 0, Vec::new());
    for digit in text.bytes().filter(|byte| *byte != b'=') {
        let value = DIGITS.iter().position(|known| *known == digit).unwrap();
        bits = bits << 6 | value as u32;
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have) as u8);
        }
    }
    bytes
}
