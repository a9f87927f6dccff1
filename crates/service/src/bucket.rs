//! One object, put into a bucket with object lock (Amazon S3 and what speaks like it), where nobody can
//! change or remove it before its time: neither whoever owns this machine nor whoever has the credentials.
//!
//! Requests are signed with AWS Signature Version 4
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>). Libraries for object
//! storage sign no headers of a request's own, and the lock is in headers.

use std::{path::PathBuf, time::Duration};

use aws_lc_rs::{digest, hmac};
use data_encoding::{BASE64, HEXLOWER};
use mailkeep_model::Secret;
use reqwest::{Method, StatusCode, redirect};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use url::Url;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// `20261127T080000Z`.
const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]");
/// As a lock's end is written.
const UNTIL: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// A place in a bucket whose objects can be locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where the objects go: `https://BUCKET.s3.REGION.amazonaws.com/PREFIX` or
    /// `https://HOST/BUCKET/PREFIX`.
    pub url: Url,
    /// The region that requests are signed for.
    pub region: String,
    /// For how many days an object is locked.
    pub keep_days: u16,
    /// Whose certificates are trusted (PEM); absent: the system's.
    pub ca: Option<PathBuf>,
}

/// Who may put objects there.
pub(crate) struct BucketKey {
    /// The access key's id.
    pub(crate) id: String,
    /// The secret access key.
    pub(crate) secret: Secret,
}

/// Why an object is not there.
pub(crate) struct NotPut {
    /// Why, and what to do, for people.
    pub(crate) why: String,
    /// Whether another key may help.
    pub(crate) by_its_key: bool,
}

impl From<String> for NotPut {
    fn from(why: String) -> Self {
        Self { why, by_its_key: false }
    }
}

impl BucketKey {
    /// Two lines: the id, and the secret.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let (id, secret) = (lines.next()?, lines.next()?);
        let plain = |text: &str| text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic());
        let fits = plain(id) && plain(secret) && lines.next().is_none();
        fits.then(|| Self { id: id.to_owned(), secret: Secret::new(secret.to_owned()) })
    }
}

impl Bucket {
    /// Puts an object under a name that none has yet; one that is there under this name is left as it is,
    /// and is no error: an answer may have got lost. The name has letters, digits, `-` and `.` alone.
    ///
    /// # Errors
    /// Why it was not done.
    pub(crate) async fn put(
        &self,
        key: &BucketKey,
        name: &str,
        content: Vec<u8>,
        now: OffsetDateTime,
    ) -> Result<(), NotPut> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| "its address cannot have a path".to_owned())?
            .pop_if_empty()
            .push(name);
        let mut request = self.client().await?.request(Method::PUT, url.clone());
        for (header, value) in self.headers(key, &url, &content, now)? {
            request = request.header(header, value);
        }
        let sent = request.body(content).send().await;
        let answer = sent.map_err(|error| error.without_url().to_string())?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            // Something of this name is there, and the name says what.
            StatusCode::PRECONDITION_FAILED => Ok(()),
            status => Err(NotPut {
                why: refusal(status),
                by_its_key: matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
            }),
        }
    }

    async fn client(&self) -> Result<reqwest::Client, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("mailkeep/", env!("CARGO_PKG_VERSION")))
            // A signature is for one host.
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE);
        if let Some(ca) = &self.ca {
            let pem = tokio::fs::read(ca).await;
            let pem = pem.map_err(|error| format!("{}: {error}", ca.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|_| format!("{} holds no certificates (PEM)", ca.display()))?;
            builder = builder.tls_certs_only(certificates);
        }
        builder.build().map_err(|error| error.to_string())
    }

    /// What the request says besides its content, signed.
    fn headers(
        &self,
        key: &BucketKey,
        url: &Url,
        content: &[u8],
        now: OffsetDateTime,
    ) -> Result<Vec<(&'static str, String)>, String> {
        let write = |time: OffsetDateTime, form| {
            time.to_offset(time::UtcOffset::UTC).format(form).map_err(|error| error.to_string())
        };
        let (moment, day) = (write(now, MOMENT)?, write(now, DAY)?);
        let until = write(now + time::Duration::days(self.keep_days.into()), UNTIL)?;
        let sum = digest::digest(&digest::SHA256, content);
        let host = url.host_str().ok_or("its address has no host")?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        // In the order of their names, as they are signed.
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("host", host),
            ("if-none-match", "*".to_owned()),
            ("x-amz-checksum-sha256", BASE64.encode(sum.as_ref())),
            ("x-amz-content-sha256", HEXLOWER.encode(sum.as_ref())),
            ("x-amz-date", moment.clone()),
            // Nobody can lift this one, the account's owner included.
            ("x-amz-object-lock-mode", "COMPLIANCE".to_owned()),
            ("x-amz-object-lock-retain-until-date", until),
            // Without it no lock is taken.
            ("x-amz-sdk-checksum-algorithm", "SHA256".to_owned()),
        ];
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let mut canonical = format!("PUT\n{}\n\n", url.path());
        for (name, value) in &headers {
            canonical.push_str(&format!("{name}:{value}\n"));
        }
        canonical.push_str(&format!("\n{names}\n{}", HEXLOWER.encode(sum.as_ref())));
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let hash = digest::digest(&digest::SHA256, canonical.as_bytes());
        let text =
            format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", HEXLOWER.encode(hash.as_ref()));
        let signature = HEXLOWER.encode(&signature(&key.secret, &day, &self.region, &text));
        headers.push((
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
                key.id
            ),
        ));
        Ok(headers)
    }
}

fn signature(secret: &Secret, day: &str, region: &str, text: &str) -> Vec<u8> {
    let first = format!("AWS4{}", secret.expose()).into_bytes();
    [day, region, "s3", "aws4_request", text].iter().fold(first, |key, part| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec()
    })
}

fn refusal(status: StatusCode) -> String {
    let what = match status.as_u16() {
        400 => "the bucket does not take it: does it have object lock, and is this its region?",
        401 | 403 => {
            "the credentials are not taken, or lack s3:PutObject and s3:PutObjectRetention; or the clock of this machine is wrong"
        }
        404 => "there is no such bucket",
        409 => "somebody else wrote the same at the same time",
        301 | 307 | 308 => "the bucket is in another region: name it, and its address there",
        _ => "the storage is out of order",
    };
    format!("{what} (HTTP {})", status.as_u16())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_signature_is_the_one_of_amazon_s_own_example() {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "PUT Object".
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let text = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
                    9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d";
        let found = HEXLOWER.encode(&signature(&secret, "20130524", "us-east-1", text));
        assert_eq!(found, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    }

    #[test]
    fn what_is_signed_says_who_for_how_long_and_that_nothing_is_overwritten() {
        let bucket = Bucket {
            url: "https://s3.example:9000/witness/ledger".parse().unwrap(),
            region: "eu-central-1".into(),
            keep_days: 400,
            ca: None,
        };
        let key = BucketKey::parse("AKIA1\nhush\n").unwrap();
        let url = "https://s3.example:9000/witness/ledger/7.json".parse().unwrap();
        let now = datetime!(2026-11-27 08:00 UTC);
        let headers = bucket.headers(&key, &url, b"{}", now).unwrap();
        let value = |name: &str| {
            headers.iter().find(|(one, _)| *one == name).map(|(_, value)| value.as_str()).unwrap()
        };
        assert_eq!(value("host"), "s3.example:9000");
        assert_eq!(value("x-amz-object-lock-retain-until-date"), "2028-01-01T08:00:00Z");
        assert_eq!((value("x-amz-object-lock-mode"), value("if-none-match")), ("COMPLIANCE", "*"));
        let authorization = value("authorization");
        assert!(authorization.contains("AKIA1/20261127/eu-central-1/s3/aws4_request"));
        assert!(authorization.contains("if-none-match") && authorization.contains("object-lock"));
        assert!(!headers.iter().any(|(_, value)| value.contains("hush")));
    }

    #[test]
    fn credentials_are_two_lines() {
        assert!(BucketKey::parse("id\nsecret\n").is_some());
        for bad in ["", "id\n", "id\nsecret\nmore\n", "i d\nsecret", "id\ns\u{1}"] {
            assert!(BucketKey::parse(bad).is_none(), "{bad:?}");
        }
    }
}
