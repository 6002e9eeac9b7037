//! Whether the server is who it should be, by its certificate; and if not, why, in words that say what can be
//! done. Redis that people run themselves often has certificates that no public authority would have signed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// What has to be right of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// That somebody who is trusted has signed it, and that it is for this server.
    #[default]
    Full,
    /// That somebody who is trusted has signed it, whatever server it is for.
    Ca,
    /// That it is this one.
    Pin(Fingerprint),
}

/// SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of this certificate.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Ca => f.write_str("ca"),
            Self::Pin(fingerprint) => write!(f, "pin:{fingerprint}"),
        }
    }
}

impl FromStr for Verify {
    type Err = &'static str;

    /// Colons between the digits of a fingerprint are let pass, as openssl writes them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "full" => return Ok(Self::Full),
            "ca" => return Ok(Self::Ca),
            _ => {}
        }
        let wrong = "is neither \"full\", \"ca\" nor \"pin:\" with the 64 digits of a fingerprint";
        let digits = text.strip_prefix("pin:").ok_or(wrong)?;
        let digits: Vec<char> = digits.chars().filter(|c| *c != ':').collect();
        let mut fingerprint = [0; 32];
        if digits.len() != 2 * fingerprint.len() {
            return Err(wrong);
        }
        for (byte, pair) in fingerprint.iter_mut().zip(digits.chunks(2)) {
            *byte = pair.iter().try_fold(0, |byte, digit| {
                let digit = digit.to_digit(16).ok_or(wrong)?;
                u8::try_from(u32::from(byte) << 4 | digit).map_err(|_| wrong)
            })?;
        }
        Ok(Self::Pin(Fingerprint(fingerprint)))
    }
}

/// See the module.
#[derive(Debug)]
pub struct ServerVerifier {
    /// Who has to have signed it; `None` where that does not matter.
    pub authorities: Option<Arc<WebPkiServerVerifier>>,
    /// What has to be right.
    pub verify: Verify,
    /// Signatures that are understood.
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let fingerprint = Fingerprint::of(end_entity);
        let refused = |why: String| Err(Error::General(why));
        if let Verify::Pin(pinned) = self.verify {
            return match pinned == fingerprint {
                true => Ok(ServerCertVerified::assertion()),
                false => refused(format!(
                    "its certificate is not the one that backend.tls.verify names, but \"pin:{fingerprint}\""
                )),
            };
        }
        let Some(authorities) = &self.authorities else {
            return refused("nobody is trusted to sign its certificate".to_owned());
        };
        let outcome = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match outcome {
            Ok(verified) => Ok(verified),
            // Names are looked at last: all else is right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.verify == Verify::Ca => Ok(ServerCertVerified::assertion()),
            Err(error) => refused(format!(
                "{}; or take this very certificate: backend.tls.verify = \"pin:{fingerprint}\"",
                explained(&error, end_entity, server_name)
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if let Verify::Pin(_) = self.verify {
            // Its key alone counts, so that a form of certificate that is refused otherwise can be pinned.
            let (_, parsed) = X509Certificate::from_der(cert)
                .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
            let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
            return verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms);
        }
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What is wrong with a server's certificate, and what to do about it.
fn explained(error: &Error, certificate: &[u8], name: &ServerName<'_>) -> String {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return "its certificate cannot be read".to_owned();
    };
    let name = name.to_str();
    match error {
        Error::InvalidCertificate(CertificateError::NotValidForName)
        | Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }) => {
            let names = names_of(&parsed);
            match names.is_empty() {
                true => format!(
                    "its certificate names no server (a common name alone does not count), so not {name} \
                     either: have it made with a subjectAltName, or set backend.tls.verify = \"ca\""
                ),
                false => format!(
                    "its certificate is for {}, not for {name}: set backend.tls.server_name to one of \
                     these, or backend.tls.verify = \"ca\"",
                    names.join(", ")
                ),
            }
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!(
            "its certificate has expired, on {}",
            parsed.validity().not_after
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => format!(
            "its certificate is not valid before {}: is this machine's clock right?",
            parsed.validity().not_before
        ),
        _ if parsed.version().0 == 0 => {
            "its certificate is one of version 1, which cannot say whom it is for: have it made anew as \
             version 3 (openssl x509 -req with -extfile)"
                .to_owned()
        }
        _ if parsed.is_ca() && parsed.issuer() == parsed.subject() => {
            "its certificate is that of an authority, signed by itself: have the server present one that \
             the authority has signed"
                .to_owned()
        }
        // One of the same name with another key has signed it.
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => format!(
            "its certificate is signed by nobody who is trusted ({}): name the file with that \
             certificate in backend.tls.ca_file",
            parsed.issuer()
        ),
        Error::InvalidCertificate(why) => format!("its certificate is refused: {why}"),
        other => format!("its certificate is refused: {other}"),
    }
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter());
    let shown = names.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress([a, b, c, d]) => {
            Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string())
        }
        GeneralName::IPAddress(bytes) => <[u8; 16]>::try_from(*bytes)
            .ok()
            .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        _ => None,
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_be_right_reads_as_it_is_written() {
        let digits = "0123456789abcdef".repeat(4);
        for text in ["full", "ca", &format!("pin:{digits}")] {
            assert_eq!(text.parse::<Verify>().unwrap().to_string(), text);
        }
        let with_colons = format!("pin:{}", "01:23:45:67:89:AB:CD:EF:".repeat(4));
        let pinned: Verify = with_colons.trim_end_matches(':').parse().unwrap();
        assert_eq!(pinned.to_string(), format!("pin:{digits}"));
    }

    #[test]
    fn what_is_no_fingerprint_is_refused() {
        let digits = "0123456789abcdef".repeat(4);
        for text in [
            "",
            "none",
            "FULL",
            "pin:",
            &format!("pin:{digits}0"),
            &format!("pin:{}", digits.replace('0', "g")),
            &format!("pin:+{}", &digits[1..]),
            &digits,
        ] {
            assert!(text.parse::<Verify>().is_err(), "{text}");
        }
    }
}
