//! A customer certifies our keys with his own authority.

mod story;

use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    IsCa, KeyPair,
};
use story::World;
use time::{Duration, OffsetDateTime};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Acme root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// What the authority answers to a request: valid from so many days ago, for so many days.
fn issue(authority: &Authority, request: &str, ago: i64, days: i64) -> String {
    let mut request = CertificateSigningRequestParams::from_pem(request).expect("a request");
    request.params.not_before = OffsetDateTime::now_utc() - Duration::days(ago);
    request.params.not_after = request.params.not_before + Duration::days(days);
    let leaf = request.signed_by(authority).expect("a certificate").pem();
    format!("{leaf}{}", authority.pem())
}

#[test]
fn a_key_is_certified_by_the_customer_who_is_told_in_time_when_that_ends() {
    // 1. Before anything is registered, a request for the first key.
    let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "1"]);
    world.add_tenant("acme");
    let mailkeep = &world.mailkeep;
    let (csr, chain) = (world.path("reader.csr"), world.path("chain.pem"));
    let (csr_name, chain_name) = (csr.to_string_lossy(), chain.to_string_lossy());
    let request = ["identity", "csr", "acme", "--function", "reader"];
    mailkeep.run(&[&request[..], &["--out", &csr_name]].concat()).ok().says(&["identity install"]);
    let text = fs::read_to_string(&csr).expect("a request");
    assert!(text.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    let install = ["identity", "install", "acme", "--function", "reader", &chain_name];

    // 2. What does not fit is refused, with the reason, and changes nothing.
    let (root, other) = (authority(), authority());
    let of_another = mailkeep.run(&["identity", "csr", "acme", "--function", "auditor"]).ok();
    let of_another = String::from_utf8(of_another.stdout).expect("text");
    let before = mailkeep.run(&["identity", "certificate", "acme", "reader"]).ok().stdout;
    for (answer, why) in [
        (issue(&root, &of_another, 0, 20), "another key"),
        (issue(&root, &text, 30, 20), "expired"),
        (issue(&root, &text, -2, 20), "not valid before"),
        (issue(&root, &text, 0, 500), "at most 398"),
        (issue(&root, &text, 0, 20).replace(&root.pem(), &other.pem()), "not in order"),
        ("nonsense".to_owned(), "no certificate"),
    ] {
        fs::write(&chain, answer).expect("a file");
        mailkeep.run(&install).exits(12).says(&[why]);
    }
    assert_eq!(mailkeep.run(&["identity", "certificate", "acme", "reader"]).ok().stdout, before);
    mailkeep.run(&[&install[..5], &["/nowhere"]].concat()).exits(2).says(&["/nowhere"]);

    // 3. What fits is taken, registered, and works; that it ends in twenty days is said everywhere.
    fs::write(&chain, issue(&root, &text, 0, 20)).expect("a file");
    mailkeep.run(&install).ok().says(&["Acme root", "tenant setup acme"]);
    let certificate = mailkeep.run(&["identity", "certificate", "acme", "reader"]).ok().stdout;
    let certificate = String::from_utf8(certificate).expect("text");
    let client_id = world.lab.register("Mailkeep reader", &certificate, story::READER_ROLES);
    world.name_client("acme", &client_id);
    let what_to_do = ["Acme root", "identity csr acme --function reader"];
    for look in [&["tenant", "check", "acme"][..], &["identity", "status"], &["doctor"]] {
        mailkeep.run(look).ok().says(&what_to_do);
    }
    world.backup("acme");

    // 4. Nothing puts a certificate of ours into its place by itself.
    mailkeep.run(&["identity", "rotate", "acme"]).exits(3).says(&what_to_do);

    // 5. The next request is for the key that comes next; its certificate signs only after a rotation.
    let next = mailkeep.json(&request).ok().json();
    assert_eq!(next["slot"], "prepared", "{next}");
    let text = next["request_pem"].as_str().expect("a request").to_owned();
    fs::write(&chain, issue(&root, &text, 0, 90)).expect("a file");
    mailkeep.run(&install).ok().says(&["identity rotate acme --function reader"]);
    let now = mailkeep.run(&["identity", "certificate", "acme", "reader"]).ok().stdout;
    assert_eq!(String::from_utf8(now).expect("text"), certificate);
}
