//! When certificates that are in use expire, and who is to be told of it when. Knows no clock: the time
//! is an argument, in seconds since 1970 as certificates have it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{ASN1Time, FromDer, Validity, X509Certificate};

/// A moment, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixSeconds(pub i64);

impl UnixSeconds {
    /// By this machine's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        Self(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// How many seconds later `other` is.
    fn until(self, other: Self) -> i64 {
        other.0.saturating_sub(self.0)
    }
}

impl fmt::Display for UnixSeconds {
    /// As certificates are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ASN1Time::from_timestamp(self.0) {
            Ok(time) => time.fmt(f),
            Err(_) => write!(f, "{} s after 1970", self.0),
        }
    }
}

/// What certificates are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateUse {
    /// Towards the server.
    Backend,
    /// Towards clients.
    Listen,
}

impl CertificateUse {
    /// The value of the label `use`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Listen => "listen",
        }
    }
}

/// A file of certificates that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFile {
    /// What it is used for.
    pub used_for: CertificateUse,
    /// The key that names it.
    pub key: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// When the first of its certificates expires.
    pub not_after: UnixSeconds,
    /// From when on the file is of use.
    valid_from: UnixSeconds,
    /// Until when it is.
    valid_until: UnixSeconds,
}

/// So long before it expires a certificate is told of. Those that are renewed by themselves are so weeks
/// before.
const SOON: i64 = 14 * DAY;
const DAY: i64 = 24 * 60 * 60;

impl CertificateFile {
    /// One whose first certificate is shown: as long as that is valid the file is of use. `None` if
    /// nothing can be read of them.
    pub(super) fn own(
        used_for: CertificateUse,
        key: &'static str,
        path: &Path,
        chain: &[CertificateDer<'_>],
    ) -> Option<Self> {
        let first = chain.first().and_then(validity_of)?;
        Some(Self {
            used_for,
            key,
            path: path.to_owned(),
            not_after: chain.iter().filter_map(validity_of).map(end_of).min()?,
            valid_from: UnixSeconds(first.not_before.timestamp()),
            valid_until: end_of(first),
        })
    }

    /// One of authorities, of which any will do.
    pub(super) fn authorities(
        used_for: CertificateUse,
        key: &'static str,
        path: &Path,
        all: &[CertificateDer<'_>],
    ) -> Option<Self> {
        let ends = || all.iter().filter_map(validity_of).map(end_of);
        Some(Self {
            used_for,
            key,
            path: path.to_owned(),
            not_after: ends().min()?,
            valid_from: UnixSeconds(i64::MIN),
            valid_until: ends().max()?,
        })
    }

    /// Whether the file is of use at `now`.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&self, now: UnixSeconds) -> Result<(), String> {
        let (path, begin, end) = (self.path.display(), self.valid_from, self.valid_until);
        if end < now {
            return Err(format!("{path}: the certificate has expired, on {end}"));
        }
        if begin > now {
            return Err(format!(
                "{path}: the certificate is not valid before {begin}: is this machine's clock right?"
            ));
        }
        Ok(())
    }

    /// A sentence, if one of its certificates expires within two weeks or has expired.
    pub fn warning(&self, now: UnixSeconds) -> Option<String> {
        let left = now.until(self.not_after);
        if left >= SOON {
            return None;
        }
        let when = match left / DAY {
            _ if left < 0 => "has expired".to_owned(),
            0 => "expires in less than a day".to_owned(),
            1 => "expires in 1 day".to_owned(),
            days => format!("expires in {days} days"),
        };
        let (key, path, end) = (self.key, self.path.display(), self.not_after);
        Some(format!("{key}: {path}: a certificate {when}, on {end}"))
    }
}

fn validity_of(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().clone())
}

fn end_of(validity: Validity) -> UnixSeconds {
    UnixSeconds(validity.not_after.timestamp())
}

/// Which certificates have been warned of: each once a day, and at once when it is another one.
#[derive(Debug, Default)]
pub struct ExpiryReminders {
    told: BTreeMap<PathBuf, Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    not_after: UnixSeconds,
    at: UnixSeconds,
}

impl ExpiryReminders {
    /// What is to be said at `now` of the certificates `in_use`.
    pub fn due(&mut self, in_use: &[CertificateFile], now: UnixSeconds) -> Vec<String> {
        let mut due = Vec::new();
        for file in in_use {
            let Some(warning) = file.warning(now) else {
                self.told.remove(&file.path);
                continue;
            };
            let told = self.told.get(&file.path).copied();
            let is_told = told
                .is_some_and(|told| told.not_after == file.not_after && told.at.until(now) < DAY);
            if !is_told {
                let not_after = file.not_after;
                self.told
                    .insert(file.path.clone(), Told { not_after, at: now });
                due.push(warning);
            }
        }
        due
    }

    /// All is to be said again: the configuration has been read again.
    pub fn forget(&mut self) {
        self.told.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn file(name: &str, left: i64) -> CertificateFile {
        let not_after = UnixSeconds(NOW.0 + left);
        CertificateFile {
            used_for: CertificateUse::Backend,
            key: "backend.tls.cert_file",
            path: PathBuf::from(name),
            not_after,
            valid_from: UnixSeconds(NOW.0 - DAY),
            valid_until: not_after,
        }
    }

    #[test]
    fn what_expires_within_two_weeks_is_said_in_days() {
        for (left, words) in [
            (15 * DAY, None),
            (14 * DAY, None),
            (14 * DAY - 1, Some("expires in 13 days")),
            (DAY, Some("expires in 1 day")),
            (DAY - 1, Some("expires in less than a day")),
            (0, Some("expires in less than a day")),
            (-1, Some("has expired")),
            (-900 * DAY, Some("has expired")),
            (i64::MIN / 2, Some("has expired")),
        ] {
            let said = file("a.pem", left).warning(NOW);
            let expected = words.map(|words| {
                let end = UnixSeconds(NOW.0 + left);
                format!("backend.tls.cert_file: a.pem: a certificate {words}, on {end}")
            });
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn what_is_not_valid_is_refused_with_the_date() {
        let why = |file: &CertificateFile| file.check(NOW);
        assert_eq!(why(&file("a.pem", 0)), Ok(()));
        let said = why(&file("a.pem", -1)).unwrap_err();
        assert_eq!(
            said,
            "a.pem: the certificate has expired, on Jan 15 07:59:59 2027 +00:00"
        );
        let mut early = file("a.pem", DAY);
        early.valid_from = UnixSeconds(NOW.0 + 1);
        let said = why(&early).unwrap_err();
        assert!(
            said.contains("not valid before Jan 15 08:00:01 2027"),
            "{said}"
        );
    }

    #[test]
    fn a_certificate_is_told_of_once_a_day_and_when_it_is_another_one() {
        let mut reminders = ExpiryReminders::default();
        let mut due = |files: &[CertificateFile], after: i64| {
            let said = reminders.due(files, UnixSeconds(NOW.0 + after));
            said.len()
        };
        let files = [
            file("a.pem", 3 * DAY),
            file("b.pem", 4 * DAY),
            file("c.pem", 90 * DAY),
        ];
        assert_eq!(due(&files, 0), 2);
        assert_eq!(due(&files, 1), 0);
        assert_eq!(due(&files, DAY - 1), 0);
        assert_eq!(due(&files, DAY), 2);
        let renewed = [file("a.pem", 5 * DAY), file("b.pem", 90 * DAY)];
        assert_eq!(due(&renewed, DAY + 1), 1, "the new one of a.pem");
        assert_eq!(due(&files, DAY + 2), 2);
        reminders.forget();
        let said = reminders.due(&files, UnixSeconds(NOW.0 + DAY + 3));
        assert_eq!(said.len(), 2);
    }
}
