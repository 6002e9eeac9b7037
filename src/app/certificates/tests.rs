//! Looks at real files, as they are when somebody renews what is in them.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;
use crate::tls::backend::{BackendTls, BackendTlsSettings};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// The two files of somebody who is valid from one day to another, in years.
fn renew(folder: &Path, from: i32, until: i32) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["narrows".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("cert"), &certificate).unwrap();
    std::fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("ca"), certificate).unwrap();
}

fn in_use(folder: &Path) -> TlsInUse {
    let settings = BackendTlsSettings {
        ca_file: Some(folder.join("ca")),
        cert_file: Some(folder.join("cert")),
        key_file: Some(folder.join("key")),
        ..BackendTlsSettings::default()
    };
    let backend_tls = Some(Arc::new(BackendTls::load(&settings).unwrap()));
    TlsInUse::of(&RuntimeSettings {
        backend_tls,
        ..RuntimeSettings::default()
    })
}

/// Why what is there now is refused.
fn refused(in_use: &TlsInUse) -> String {
    match look(in_use, NOW) {
        FilesLook::Refused { error, .. } => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_has_changed_is_used_and_what_has_not_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    renew(folder, 2020, 2030);
    let first = in_use(folder);
    assert_eq!(look(&first, NOW), FilesLook::Same);
    renew(folder, 2020, 2031);
    let FilesLook::Changed(second) = look(&first, NOW) else {
        panic!("it has changed");
    };
    assert_ne!(first, second);
    assert_eq!(look(&second, NOW), FilesLook::Same);
    let ends = |tls: &TlsInUse| tls.certificates().first().map(|file| file.not_after);
    assert!(ends(&first) < ends(&second));
}

#[test]
fn what_cannot_be_used_is_refused_as_long_as_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    renew(folder, 2020, 2030);
    let first = in_use(folder);
    let key = std::fs::read(folder.join("key")).unwrap();

    renew(folder, 2020, 2031);
    std::fs::write(folder.join("key"), &key).unwrap();
    let why = refused(&first);
    assert!(why.starts_with("is not of backend.tls.cert_file"), "{why}");
    assert_eq!(refused(&first), why);

    renew(folder, 2020, 2021);
    let why = refused(&first);
    assert!(
        why.contains("has expired, on Jan  1 00:00:00 2021"),
        "{why}"
    );
    renew(folder, 2040, 2041);
    let why = refused(&first);
    assert!(why.contains("is not valid before Jan  1"), "{why}");
    std::fs::remove_file(folder.join("ca")).unwrap();
    let why = refused(&first);
    assert!(why.contains("No such file"), "{why}");

    renew(folder, 2020, 2032);
    assert!(matches!(look(&first, NOW), FilesLook::Changed(_)));
}

/// Whoever has started with what had expired can change the rest.
#[test]
fn what_is_in_use_already_is_no_reason_to_refuse_another() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    renew(folder, 2020, 2021);
    let expired = in_use(folder);
    assert_eq!(expired.check(&expired, NOW), Ok(()));
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(Vec::<String>::new()).unwrap();
    let other = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("ca"), other).unwrap();
    assert!(matches!(look(&expired, NOW), FilesLook::Changed(_)));
}

/// Nobody can use two values of one figure.
#[test]
fn a_file_that_is_used_twice_is_listed_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    renew(folder, 2020, 2030);
    std::fs::remove_file(folder.join("ca")).unwrap();
    std::os::unix::fs::symlink("cert", folder.join("ca")).unwrap();
    let certificates = in_use(folder).certificates();
    let paths: Vec<_> = certificates.iter().map(|file| file.path.clone()).collect();
    assert_eq!(paths, [folder.join("ca"), folder.join("cert")]);
    let settings = BackendTlsSettings {
        ca_file: Some(folder.join("cert")),
        cert_file: Some(folder.join("cert")),
        key_file: Some(folder.join("key")),
        ..BackendTlsSettings::default()
    };
    let backend_tls = Some(Arc::new(BackendTls::load(&settings).unwrap()));
    let both = TlsInUse::of(&RuntimeSettings {
        backend_tls,
        ..RuntimeSettings::default()
    });
    assert_eq!(both.certificates().len(), 1);
}
