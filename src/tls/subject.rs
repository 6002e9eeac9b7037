//! What a certificate is for: the hosts that it names, and the user that a client's names.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// What of a client's certificate is the name of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CertificateUser {
    /// Nothing: clients log in with a password, or need not.
    #[default]
    None,
    /// The common name.
    Cn,
    /// A host in the subjectAltName.
    SanDns,
    /// A URI in the subjectAltName.
    SanUri,
}

const UNREADABLE: &str = "cannot be read as a certificate";

/// The hosts that a certificate is for: those of its subjectAltName, or else its common name.
///
/// # Errors
/// It cannot be read.
pub fn hosts(certificate: &[u8]) -> Result<Vec<String>, &'static str> {
    let parsed = parse(certificate)?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    let hosts: Vec<_> = named(&parsed, CertificateUser::SanDns)
        .into_iter()
        .filter_map(text)
        .collect();
    match hosts.is_empty() {
        false => Ok(hosts),
        true => Ok(named(&parsed, CertificateUser::Cn)
            .into_iter()
            .filter_map(text)
            .collect()),
    }
}

/// The names that a client's certificate has for its user, in their order, byte for byte.
///
/// # Errors
/// Why nobody should go by it, in words that follow "its certificate".
pub fn users(certificate: &[u8], of: CertificateUser) -> Result<Vec<Vec<u8>>, &'static str> {
    let parsed = parse(certificate)?;
    let names = named(&parsed, of);
    // Whoever reads such a name up to there takes it for another one.
    if names.iter().any(|name| name.contains(&0)) {
        return Err("has a NUL byte in the name of its user");
    }
    // Which of them counts is a matter of opinion, and so who it is.
    if of == CertificateUser::Cn && names.len() > 1 {
        return Err("has more than one common name");
    }
    Ok(names)
}

fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, &'static str> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(parsed),
        Err(_) => Err(UNREADABLE),
    }
}

fn named(certificate: &X509Certificate<'_>, of: CertificateUser) -> Vec<Vec<u8>> {
    if of == CertificateUser::Cn {
        let names = certificate.subject().iter_common_name();
        return names.map(|name| name.attr_value().data.to_vec()).collect();
    }
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative.map(|names| names.value.general_names.iter());
    let names = names
        .into_iter()
        .flatten()
        .filter_map(|name| match (name, of) {
            (GeneralName::DNSName(name), CertificateUser::SanDns) => Some(name.as_bytes().to_vec()),
            (GeneralName::URI(uri), CertificateUser::SanUri) => Some(uri.as_bytes().to_vec()),
            _ => None,
        });
    names.collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common_name: &str, alternative: Vec<SanType>) -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, common_name);
        parameters.distinguished_name = name;
        parameters.subject_alt_names = alternative;
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn uri(name: &str) -> SanType {
        SanType::URI(name.try_into().unwrap())
    }

    #[test]
    fn the_user_is_named_by_what_the_configuration_says_and_by_nothing_else() {
        let certificate = certificate(
            "app",
            vec![dns("a.example"), uri("spiffe://x/y"), dns("b.example")],
        );
        let users = |of| users(&certificate, of).unwrap();
        assert_eq!(users(CertificateUser::Cn), [b"app"]);
        assert_eq!(users(CertificateUser::SanDns), [b"a.example", b"b.example"]);
        assert_eq!(users(CertificateUser::SanUri), [b"spiffe://x/y"]);
        assert!(users(CertificateUser::None).is_empty());
    }

    #[test]
    fn a_name_with_a_nul_byte_is_nobodys() {
        let certificate = certificate("admin\0.example", vec![uri("a\0b")]);
        for of in [CertificateUser::Cn, CertificateUser::SanUri] {
            assert!(users(&certificate, of).unwrap_err().contains("NUL"));
        }
        assert!(
            users(&certificate, CertificateUser::SanDns)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_certificate_is_for_the_hosts_of_its_alternative_names_or_else_for_its_common_name() {
        let of = |alternative| hosts(&certificate("old.example", alternative)).unwrap();
        assert_eq!(
            of(vec![dns("a.example"), dns("*.b.example")]),
            ["a.example", "*.b.example"]
        );
        assert_eq!(of(vec![uri("x:y")]), ["old.example"]);
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert_eq!(hosts(b"0\x03abc"), Err(UNREADABLE));
        assert_eq!(users(b"", CertificateUser::Cn), Err(UNREADABLE));
    }
}
