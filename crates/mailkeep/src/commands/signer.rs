use std::path::Path;

use mailkeep_identity::CredentialSeal;
use mailkeep_model::Secret;
use mailkeep_service::DataDirectory;
use mailkeep_signer::{Keys, Peers, RemoteOptions, Sealing, Signer, SignerOptions, refuse_dumps};
use serde_json::json;

use super::{Outcome, children, secret_file, workers};
use crate::{
    cli::{self, Global},
    exit::{Exit, Failure},
    output::Output,
};

pub(super) async fn run(global: &Global, arguments: cli::Signer, output: &Output) -> Outcome {
    if let Some(command) = arguments.command {
        return workers::run(global, command, output).await;
    }
    let data = DataDirectory::new(&global.data);
    data.create()?;
    let sealing = sealing(&arguments)?;
    let socket = arguments.socket.clone().unwrap_or_else(|| data.signer_socket());
    let mut options = SignerOptions::new(data.signer(), socket.clone(), sealing);
    options.keys = keys(&arguments)?;
    options.passphrase_seal = match &arguments.sealed_credential {
        Some(path) => Some(seal(path)?),
        None => None,
    };
    if !arguments.allow_user.is_empty() {
        options.peers = Peers::Users(arguments.allow_user.clone());
    }
    let names = arguments.tls_name.clone();
    options.remote = arguments.listen.map(|listen| RemoteOptions::new(listen, names));
    if let Err(error) = refuse_dumps() {
        tracing::warn!(%error, "the signer's memory can be dumped");
    }
    let failed = |error: mailkeep_signer::SignerError| Failure::failed(error.to_string());
    // Opening derives the master key, which takes a second of computing on purpose.
    let signer = tokio::task::spawn_blocking(|| Signer::open(options))
        .await
        .map_err(|error| Failure::failed(error.to_string()))?
        .map_err(failed)?;
    let place = match &arguments.pkcs11_token {
        Some(token) => format!("new keys are made inside the token '{token}'"),
        None => "keys are sealed in its directory".to_owned(),
    };
    let remote = signer.remote_address();
    let ready = json!({
        "signer": "ready", "socket": socket.display().to_string(), "token": arguments.pkcs11_token,
        "remote": remote,
    });
    let there = remote.map(|address| format!(" and, for workers, {address}")).unwrap_or_default();
    output.result(&ready, || {
        format!("signer: ready at {}{there}; {place}. End with Ctrl-C", socket.display())
    });
    signer
        .serve(children::until_told_to_end(arguments.until_stdin_closes))
        .await
        .map_err(failed)?;
    Ok(Exit::Done)
}

fn sealing(arguments: &cli::Signer) -> Result<Sealing, Failure> {
    match (&arguments.passphrase_file, &arguments.identity_file) {
        (Some(path), _) => secret("passphrase", path).map(Sealing::Passphrase),
        (None, Some(path)) => Ok(Sealing::IdentityFile(path.clone())),
        (None, None) => Err(Failure::usage(
            "the signer's keys are sealed with something from outside: name a passphrase with --passphrase-file FILE ('-' reads it from standard input), or a key with --identity-file FILE (an age identity, kept off this disk)",
        )),
    }
}

/// What a credential is sealed with. Where that cannot be told nobody is to believe that a TPM holds it.
fn seal(path: &Path) -> Result<CredentialSeal, Failure> {
    let unusable =
        |reason: &str| Failure::usage(format!("--sealed-credential {}: {reason}", path.display()));
    let credential = secret_file::read(path).map_err(|error| unusable(&error.to_string()))?;
    CredentialSeal::of(credential.as_bytes())
        .ok_or_else(|| unusable("it is not what 'systemd-creds encrypt' writes"))
}

fn keys(arguments: &cli::Signer) -> Result<Keys, Failure> {
    let (Some(module), Some(token), Some(pin)) =
        (&arguments.pkcs11_module, &arguments.pkcs11_token, &arguments.pkcs11_pin_file)
    else {
        return Ok(Keys::Sealed);
    };
    if pin == Path::new("-") && arguments.passphrase_file.as_deref() == Some(pin) {
        return Err(Failure::usage(
            "standard input has either the passphrase or the PIN: name a file for the other",
        ));
    }
    let pin = secret("PIN", pin)?;
    Ok(Keys::Pkcs11 { module: module.clone(), token: token.clone(), pin })
}

/// The first line of the file with a passphrase or PIN.
fn secret(what: &str, path: &Path) -> Result<Secret, Failure> {
    let unusable =
        |reason: String| Failure::usage(format!("{what} file {}: {reason}", path.display()));
    let text = secret_file::read(path).map_err(|error| unusable(error.to_string()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(unusable("its first line is empty".into()));
    }
    Ok(Secret::new(line.to_owned()))
}
