//! The socket serves its own user, one signer at a time, whatever is sent.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

use common::{Home, job, tenant};
use mailkeep_identity::{
    IdentityError, SignerClient,
    ledger::LedgerEvent,
    protocol::{Failure, MAX_FRAME, Response, decode_response, read_frame},
};
use mailkeep_model::Function;
use mailkeep_signer::{Peers, Signer, SignerError};
use tokio::{io::AsyncWriteExt, net::UnixStream};

async fn say(stream: &mut UnixStream, bytes: &[u8]) -> Option<Response> {
    stream.write_all(bytes).await.unwrap();
    let json = read_frame(stream).await.unwrap()?;
    Some(decode_response(&json).unwrap().response)
}

fn frame(json: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(json.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(json);
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_gets_an_answer_and_the_signer_goes_on() {
    let home = Home::new();
    let running = home.start().await;
    let mut stream = UnixStream::connect(home.socket()).await.unwrap();
    let deep = [b"{\"v\":1,\"request\":".as_slice(), &[b'['; 10_000]].concat();
    for garbage in [
        b"".as_slice(),
        b"garbage",
        b"{}",
        b"\xff\xfe",
        br#"{"v":1}"#,
        br#"{"v":1,"caller":"x","request":{"op":"give_me_the_key"}}"#,
        br#"{"v":1,"caller":"X Y","request":{"op":"status"}}"#,
        br#"{"v":1,"caller":"x","request":{"op":"sign_assertion","job":"j","tenant":"../a","function":"reader"}}"#,
        br#"{"v":1,"caller":"x","request":{"op":"sign_assertion","job":"j\n","tenant":"a","function":"reader"}}"#,
        &deep,
    ] {
        let answer = say(&mut stream, &frame(garbage)).await.unwrap();
        assert!(
            matches!(answer, Response::Failed(Failure::Malformed { .. })),
            "{}: {answer:?}",
            String::from_utf8_lossy(garbage)
        );
    }
    let newer = br#"{"v":2,"question":"?"}"#;
    let answer = say(&mut stream, &frame(newer)).await.unwrap();
    assert!(matches!(answer, Response::Failed(Failure::Version { speaks: 1 })), "{answer:?}");
    // The same connection still works.
    let status = br#"{"v":1,"caller":"x","request":{"op":"status"}}"#;
    let answer = say(&mut stream, &frame(status)).await.unwrap();
    assert!(matches!(answer, Response::Status(_)), "{answer:?}");

    let too_long = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes();
    let answer = say(&mut stream, &too_long).await.unwrap();
    assert!(matches!(answer, Response::Failed(Failure::Malformed { .. })), "{answer:?}");
    assert!(read_frame(&mut stream).await.unwrap().is_none(), "the connection is closed");

    let mut half = UnixStream::connect(home.socket()).await.unwrap();
    half.write_all(&frame(status)[..9]).await.unwrap();
    drop(half);
    running.client().await.status().await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signer_ends_with_a_clear_error_and_the_first_goes_on() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    let options = home.options();
    let error = tokio::task::spawn_blocking(|| Signer::open(options)).await.unwrap().unwrap_err();
    let SignerError::AlreadyRunning { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, Some(std::process::id()));
    client.create_key(&job(), &tenant("acme"), Function::Reader).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_are_turned_away_and_it_is_recorded() {
    let home = Home::new();
    let mut options = home.options();
    // Nobody has this number, least of all the user that runs this test.
    options.peers = Peers::Users(vec![4_000_000_000]);
    let running = home.start_with(options).await.unwrap();
    let error = SignerClient::connect(home.socket(), "test".parse().unwrap()).await.unwrap_err();
    let IdentityError::Refused { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("may not talk to the signer"), "{reason}");
    running.stop().await;
    let turned_away = home.events().into_iter().any(|event| {
        matches!(event, LedgerEvent::Refused { reason, .. } if reason.contains("may not talk"))
    });
    assert!(turned_away);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_open_the_socket_or_the_files() {
    let home = Home::new();
    let running = home.start().await;
    let client = running.client().await;
    client.create_key(&job(), &tenant("acme"), Function::Reader).await.unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.socket()), 0o600);
    assert_eq!(mode(home.signer()), 0o700);
    assert_eq!(mode(home.signer().join("keys/acme")), 0o700);
    for path in common::files(&home.signer()) {
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
    running.stop().await;
    assert!(!home.socket().exists(), "a signer that stopped leaves no socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_left_by_a_crash_is_replaced_and_a_file_is_not() {
    let home = Home::new();
    drop(UnixListener::bind(home.socket()).unwrap());
    let refused = SignerClient::connect(home.socket(), "test".parse().unwrap()).await.unwrap_err();
    assert!(matches!(refused, IdentityError::NotRunning { .. }), "{refused}");
    let running = home.start().await;
    running.client().await;
    running.stop().await;

    fs::write(home.socket(), b"precious").unwrap();
    let error = home.start_with(home.options()).await.err().unwrap();
    assert!(matches!(error, SignerError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read(home.socket()).unwrap(), b"precious");

    let mut options = home.options();
    options.socket = home.path(&"x".repeat(100));
    let error = home.start_with(options).await.err().unwrap();
    assert!(matches!(error, SignerError::SocketPathTooLong { .. }), "{error}");
}
