//! What this crate must never be able to do.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{fs, path::Path};

use mailkeep_identity::{IdentityError, SignerClient};

#[test]
fn no_other_process_can_name_a_private_key() {
    let forbidden = ["PrivateKey", "KeyPair", "pkcs8", "from_pkcs", "SigningKey", "PKCS"];
    let mut files = 0;
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |path| {
        let source = fs::read_to_string(path).unwrap();
        for word in forbidden {
            assert!(!source.contains(word), "{} names {word}", path.display());
        }
        files += 1;
    });
    assert!(files > 10, "the sources were not found");
}

fn walk(directory: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, each) } else { each(&path) }
    }
}

#[tokio::test]
async fn a_signer_that_does_not_run_is_called_so_and_what_to_do_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("signer.sock");
    let error = SignerClient::connect(&socket, "test".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, IdentityError::NotRunning { .. }), "{error:?}");
    assert!(error.is_transient());
    let text = error.to_string();
    assert!(text.contains("mailkeep signer") && text.contains("signer.sock"), "{text}");
}
