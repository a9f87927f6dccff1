//! Arguments of what is below `mailkeep signer`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mailkeep_identity::CallerLabel;
use mailkeep_model::{Function, TenantName};

use super::SignerRecover;

#[derive(Subcommand, Debug)]
pub(crate) enum SignerCommand {
    /// Let a worker of another machine ask: give it a certificate
    Enroll(Enroll),
    /// On a worker's machine: make its key, and what the signer is asked for a certificate with
    Request {
        /// What the worker is called: a-z, 0-9 and '-'
        name: CallerLabel,
        /// Where the key stays, and the request is written
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// List the workers of other machines, and cut one off
    #[command(subcommand)]
    Workers(Workers),
    /// Say that this signer takes the place of one that is lost for good
    ///
    /// Its ledger says so from then on, with the reason and where the lost one ended, and nothing can take
    /// that back. Possible once, before the signer has signed anything, for the signer's own user and root.
    /// Then 'mailkeep identity recover TENANT' for each tenant.
    Recover(SignerRecover),
}

#[derive(Args, Debug)]
pub(crate) struct Enroll {
    /// What the worker is called: a-z, 0-9 and '-'
    pub(crate) name: CallerLabel,
    /// Where its certificate is written, with a key when there is no --request
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// What 'mailkeep signer request' wrote on the worker's machine: then its key never leaves that
    #[arg(long, value_name = "FILE")]
    pub(crate) request: Option<PathBuf>,
    /// It may ask for this tenant; may be repeated [default: for all]
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Vec<TenantName>,
    /// It may ask for keys of this function; may be repeated [default: of all]
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) function: Vec<Function>,
    /// The signer's socket, when it is not in the data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Workers {
    /// List them, with those that were revoked, until their certificates expire
    List {
        /// The signer's socket, when it is not in the data directory
        #[arg(long, value_name = "FILE")]
        socket: Option<PathBuf>,
    },
    /// Cut a worker off at once: its certificates are good for nothing, its connections are closed
    Revoke {
        /// What it is called
        name: CallerLabel,
        /// The signer's socket, when it is not in the data directory
        #[arg(long, value_name = "FILE")]
        socket: Option<PathBuf>,
    },
}
