//! When a certificate ends: the one field of X.509 that is read here.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, NaiveDateTime, Utc};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{TlsError, content, read_certificates};

const SEQUENCE: u8 = 0x30;
/// In front of the version, which old certificates leave out.
const EXPLICIT_0: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the first certificate in a PEM file ends. One that ended before 1970 counts as of then.
pub fn expiry(path: &Path) -> Result<SystemTime, TlsError> {
    let pem = read_certificates(path)?;
    let first = CertificateDer::pem_slice_iter(&pem).flatten().next();
    let end = first.and_then(|certificate| not_after(&certificate));
    let end = end.ok_or_else(|| content(path, "certificate with an end"))?;
    let seconds = u64::try_from(end.timestamp()).unwrap_or(0);
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// certificate → what is signed → (version) serial algorithm issuer *validity* → from, *until*
fn not_after(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if rest.first() == Some(&EXPLICIT_0) {
        rest = skip(rest)?;
    }
    for _serial_algorithm_issuer in 0..3 {
        rest = skip(rest)?;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let until = skip(validity)?;
    let format = match *until.first()? {
        // Two digits are of 1950 to 2049.
        UTC_TIME => "%y%m%d%H%M%SZ",
        GENERALIZED_TIME => "%Y%m%d%H%M%SZ",
        _ => return None,
    };
    let (text, _) = element(until, *until.first()?)?;
    let text = std::str::from_utf8(text).ok()?;
    Some(NaiveDateTime::parse_from_str(text, format).ok()?.and_utc())
}

/// The content of the element in front, which has that tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        // So many bytes hold the length.
        let bytes = usize::from(first & 0x7f);
        if !(1..=4).contains(&bytes) {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(bytes)?;
        (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}

fn skip(der: &[u8]) -> Option<&[u8]> {
    element(der, *der.first()?).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_before_and_after_2050() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("certificate.pem");
        for (year, seconds) in [(2031, 1_924_992_000), (2064, 2_966_371_200)] {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(year, 1, 1);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            std::fs::write(&file, certificate.pem()).unwrap();
            let end = expiry(&file).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(end.as_secs(), seconds, "{year}");
        }
    }

    #[test]
    fn what_is_cut_or_of_another_kind_has_no_end() {
        let key = KeyPair::generate().unwrap();
        let whole = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let whole = whole.der();
        let end = not_after(whole);
        assert!(end.is_some());
        for length in 0..whole.len() {
            assert!(not_after(&whole[..length]).is_none(), "{length}");
        }
        for bytes in
            [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80], &[0x02, 0x01, 0x00]]
        {
            assert_eq!(not_after(bytes), None);
        }
    }
}
