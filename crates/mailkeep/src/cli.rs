mod alerts;
mod blast;
mod canary;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use mailkeep_model::{Address, Function, MailboxKind, ProviderKind, TenantName};
use mailkeep_service::ClamAddress;
use time::OffsetDateTime;

mod policy;
mod recover;
mod remedy;
mod workers;

pub(crate) use alerts::{AlertKind, Alerts, AlertsAdd};
pub(crate) use blast::BlastRadius;
pub(crate) use canary::{Canary, TenantCanary};
pub(crate) use policy::{Policy, PolicyCheck, PolicyDecisions, PolicyHash};
pub(crate) use recover::{IdentityRecover, SignerRecover};
pub(crate) use remedy::{Findings, Remedy, RemedyOrder};
pub(crate) use workers::{Enroll, SignerCommand, Workers};

use crate::commands::{ItemName, Place, parse_deadline, parse_time};

/// Backup, inspection and monitoring of Microsoft 365 mailboxes, with keys of your own.
///
/// Start with `mailkeep demo`: it brings a simulated tenant along and needs nothing else.
#[derive(Parser, Debug)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Where everything is kept on this machine
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "MAILKEEP_DATA",
        default_value = "mailkeep-data"
    )]
    pub(crate) data: PathBuf,
    /// Settings [default: DATA/config.toml, when it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON: one object, or one a line for lists and progress
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show all of it on a simulated tenant, nothing to configure
    Demo(Demo),
    /// Run the simulated Entra ID and Exchange Online alone
    Lab(Lab),
    /// Back up all tenants again and again
    Serve(Serve),
    /// Run the signer: the one process that holds private keys
    Signer(Box<Signer>),
    /// Say what is set up, what is missing and what to do
    Doctor,
    /// Add, list, show and check tenants
    #[command(subcommand)]
    Tenant(Tenant),
    /// Keys: how they stand, changing them, and who else used them
    #[command(subcommand)]
    Identity(Identity),
    /// What somebody did as us
    Incidents(Incidents),
    /// Whom incidents are told to
    #[command(subcommand)]
    Alerts(Alerts),
    /// Rehearse what attackers have done, on a simulated tenant, and see whether it is noticed
    #[command(subcommand)]
    Drill(Drill),
    /// Run one pass over a tenant's mailboxes now
    Backup(Backup),
    /// List the snapshots of a tenant
    Snapshots(Snapshots),
    /// List mailboxes, folders or items as a snapshot has them
    Ls(Ls),
    /// Print one item as it is in the vault: MIME, iCalendar or vCard
    Cat(Cat),
    /// Bring items, folders or mailboxes back
    Restore(Restore),
    /// Write items out as files
    Export(Export),
    /// Check that the vault holds what it should
    Verify(Verify),
    /// Write down where the repository is and its password, for stock restic and for a safe
    RecoveryKit(RecoveryKit),
    /// Look for malicious links and sensitive content in files; needs no server
    Inspect(Inspect),
    /// What was found in mail
    Findings(Findings),
    /// Take a message out of all mailboxes that it got into, or put it back
    #[command(subcommand)]
    Remedy(Remedy),
    /// What follows from what was found: check a policy, see what it decided
    #[command(subcommand)]
    Policy(Policy),
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Do one full pass, print the summary and exit
    #[arg(long)]
    pub(crate) once: bool,
    /// Use this mail instead of the built-in set: a directory, a .tar.xz or a .mbox
    #[arg(long, value_name = "PATH")]
    pub(crate) mail: Vec<PathBuf>,
    /// Number of mailboxes with built-in mail
    #[arg(long, value_name = "N", conflicts_with = "mail")]
    pub(crate) mailboxes: Option<usize>,
    /// The interface that the mailboxes are read through
    #[arg(long, value_enum, default_value_t = LabProvider::Graph)]
    pub(crate) provider: LabProvider,
}

/// Interfaces of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LabProvider {
    /// Microsoft Graph
    Graph,
}

#[derive(Args, Debug)]
pub(crate) struct Lab {
    /// Where to listen; loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Mail to begin with: a directory, a .tar.xz, a .mbox or an .eml; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) seed: Vec<PathBuf>,
    /// Number of tenants
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) tenants: usize,
    /// Number of mailboxes of each tenant, with built-in mail
    #[arg(long, value_name = "N")]
    pub(crate) mailboxes: Option<usize>,
    /// End when standard input does: for a program that starts the lab and may be killed
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Which part of the service to run
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
}

/// Parts of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything that this version has
    All,
    /// Passes over mailboxes
    Worker,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Signer {
    /// A file with the passphrase under which the master key is sealed; '-' reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "identity_file")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The credential that the passphrase came sealed in, as systemd-creds wrote it: its head says whether
    /// a TPM holds it, for 'mailkeep doctor'
    #[arg(long, value_name = "FILE", requires = "passphrase_file")]
    pub(crate) sealed_credential: Option<PathBuf>,
    /// The master key as an age identity file, kept outside the data directory; made when absent
    #[arg(long, value_name = "FILE")]
    pub(crate) identity_file: Option<PathBuf>,
    /// Where to listen, instead of in the data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) socket: Option<PathBuf>,
    /// A user (numeric id) whose processes may connect, and no others; may be repeated [default: the
    /// signer's own]
    #[arg(long, value_name = "UID")]
    pub(crate) allow_user: Vec<u32>,
    /// Make and keep keys inside a hardware security module, reached with this library (PKCS#11)
    #[arg(long, value_name = "FILE", requires_all = ["pkcs11_token", "pkcs11_pin_file"])]
    pub(crate) pkcs11_module: Option<PathBuf>,
    /// The label of the token there
    #[arg(long, value_name = "LABEL", requires = "pkcs11_module")]
    pub(crate) pkcs11_token: Option<String>,
    /// A file with the user's PIN at the token; '-' reads standard input
    #[arg(long, value_name = "FILE", requires = "pkcs11_module")]
    pub(crate) pkcs11_pin_file: Option<PathBuf>,
    /// Answer workers of other machines there as well, over TLS 1.3 with certificates on both sides
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// A name or address under which workers reach that; may be repeated [default: the address of
    /// --listen]
    #[arg(long, value_name = "NAME", requires = "listen")]
    pub(crate) tls_name: Vec<String>,
    /// End when standard input does: for a program that starts the signer and may be killed
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
    #[command(subcommand)]
    pub(crate) command: Option<SignerCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Tenant {
    /// Add a tenant and print what its administrator has to register; again with --client-id
    /// once that is done
    Add(Box<TenantAdd>),
    /// Add the tenants of a list, make their keys, bind their applications; again as the list grows
    ///
    /// One JSON object a line: {"tenant": NAME, "directory": ID}, and as far as wanted "authority" and
    /// "graph" (addresses), "keys": [FUNCTION, ...] (their certificates are printed), "spare": true (a key
    /// for the next time as well), "applications": {FUNCTION: {"client_id": ID, "object_id": ID, "key_id": ID}}; the last two
    /// are what Entra ID calls application and certificate, and spare a look with the auditor's key.
    Import {
        /// The list; '-': standard input
        file: PathBuf,
        /// Certificates (PEM) to trust for these tenants, instead of the system's
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// List all tenants
    List,
    /// Show a tenant: connection, keys, what to register, mailboxes
    Show {
        /// The tenant
        tenant: TenantName,
    },
    /// Show or set which of a tenant's mailboxes are backed up
    ///
    /// Without options it shows what is set. With options, what is given replaces what was set
    /// before: --group, --filter and --kind narrow, each what the others leave; --include adds to
    /// that, --exclude takes away. What is set is in force from the next pass on. What was backed
    /// up of a mailbox stays, whether it is still selected or not.
    Mailboxes(TenantMailboxes),
    /// Show or set the addresses that our requests to a tenant come from, as the provider sees them
    Egress {
        /// The tenant
        tenant: TenantName,
        /// Addresses, or networks as 192.0.2.0/24; none: show what is set
        networks: Vec<IpNet>,
    },
    /// Show or set whether canaries are sent: messages of ours that have to be backed up and inspected in
    /// time
    ///
    /// Without options it shows what is set, and what became of the last ones. None are sent until a
    /// mailbox is named. Each leaves a message in its recipient's mailbox: a mailbox of its own is best.
    Canary(TenantCanary),
    /// Print, or write into a directory, what a tenant's administrator runs to set it up
    ///
    /// A manifest for each application, scripts for az and PowerShell that can be run again, roles
    /// of Exchange where applications are confined to some mailboxes, a Conditional Access policy,
    /// and break-glass scripts for the day on which somebody else has our keys.
    Setup(TenantSetup),
    /// Try every right of every function that is set up by using it, and say what is missing or too
    /// much
    ///
    /// Ends with 12 when something is refused, and with 3 when all works but something is too much
    /// or does not fit.
    Check {
        /// The tenant
        tenant: TenantName,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Identity {
    /// Show the keys of one tenant or of all
    Status {
        /// The tenant
        tenant: Option<TenantName>,
    },
    /// Print the certificate of a function: what is registered at the provider
    Certificate {
        /// The tenant
        tenant: TenantName,
        /// The function
        function: Function,
        /// The key that was made ahead, not the one that signs
        #[arg(long)]
        prepared: bool,
    },
    /// Print a request for a certificate of the tenant's own certificate authority
    ///
    /// For the key that was made ahead, so that the certificate can be registered before the key
    /// signs; for the first key while the application is not registered yet.
    Csr {
        /// The tenant
        tenant: TenantName,
        /// The function
        #[arg(long)]
        function: Function,
        /// Write it into this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take what the authority answered to the request
    Install {
        /// The tenant
        tenant: TenantName,
        /// The function
        #[arg(long)]
        function: Function,
        /// The certificate, then those that vouch for it, each for the one before (PEM)
        chain: PathBuf,
    },
    /// Change keys now; what is not done by the deadline goes on when it is called again
    Rotate(Rotate),
    /// Shut a thief out: fresh keys at once, the old ones refused, foreign credentials removed
    Revoke(Revoke),
    /// Go on with a new signer in the place of one that is lost for good
    ///
    /// The repository's password comes from the recovery kit; every function gets a new key, and those from
    /// before are removed at the provider. What an administrator has to do for that is said, and written
    /// with --out; the same command again goes on from there. First 'mailkeep signer recover', once. Ends
    /// with 3 as long as something is left to do.
    Recover(IdentityRecover),
    /// Read the provider's logs and find uses of our keys that are not ours
    Reconcile {
        /// The tenant
        tenant: TenantName,
        /// An export of MicrosoftGraphActivityLogs, one JSON object a line; may be repeated
        #[arg(long, value_name = "FILE")]
        calls: Vec<PathBuf>,
    },
    /// Look whether our applications in the tenant are as they should be
    Posture {
        /// The tenant
        tenant: TenantName,
        /// Accept owners, permissions and locks as they are now; credentials that are not ours never are
        #[arg(long)]
        accept: bool,
    },
    /// Send a canary now, and say whether it is backed up and inspected in time
    ///
    /// Ends with 22 when it is not: that is an incident, which ends when one comes through again. 'tenant
    /// canary' says from which mailbox to which.
    Canary(Canary),
    /// Say what somebody who acted as us reached
    ///
    /// Tokens that were not ours and what was read with each, for every mailbox and moment whether somebody
    /// else read mail, and until when the tokens work. With --all one line a tenant, those reached first;
    /// a tenant whose report fails keeps no other back, and is said with exit code 3.
    BlastRadius(BlastRadius),
    /// The signer's record of every use of a key
    #[command(subcommand)]
    Ledger(Ledger),
}

#[derive(Subcommand, Debug)]
pub(crate) enum Drill {
    /// List the drills
    List,
    /// Run one; it ends with 0 when every expectation held
    Run {
        /// Which
        #[arg(value_enum)]
        drill: DrillName,
    },
}

/// The drills that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrillName {
    /// A thief has a copy of our key: he reads mail, adds a key of his own and removes ours
    StolenCertificate,
    /// Somebody lifted a token from a worker's memory: no key is used at all
    StolenToken,
    /// Somebody saw an assertion on its way, and uses it a second time
    ReplayedAssertion,
    /// Somebody with an administrator's account switches off what protects the tenant
    ProtectionOff,
    /// The signer is gone for good, with keys, ledger and passwords; a thief may have a copy
    LostSigner,
}

#[derive(Args, Debug)]
pub(crate) struct Rotate {
    #[command(flatten)]
    pub(crate) whose: Whose,
    /// Only this function's key; may be repeated
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) function: Vec<Function>,
    /// Remove the old keys as soon as the new ones are accepted, not a quarter of an hour later
    #[arg(long, conflicts_with = "tenant")]
    pub(crate) at_once: bool,
    /// Do not go on with the same order that was given in the last day and not finished
    #[arg(long, conflicts_with = "tenant")]
    pub(crate) anew: bool,
    /// How long to wait for the provider: RFC 3339, or 30m, 2h from now
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_deadline)]
    pub(crate) deadline: OffsetDateTime,
}

#[derive(Args, Debug)]
pub(crate) struct Revoke {
    #[command(flatten)]
    pub(crate) whose: Whose,
    /// Why; it goes into the audit log
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Do not use the keys that lie ready: somebody broke into the signer
    #[arg(long)]
    pub(crate) distrust_prepared: bool,
    /// Do not go on with the same order that was given in the last day and not finished
    #[arg(long, conflicts_with = "tenant")]
    pub(crate) anew: bool,
    /// How long to wait for the provider: RFC 3339, or 30m, 2h from now
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_deadline)]
    pub(crate) deadline: OffsetDateTime,
}

// No doc comment: it would become that of the command which this is part of.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// The tenant
    pub(crate) tenant: Option<TenantName>,
    /// All tenants
    #[arg(long)]
    pub(crate) all: bool,
    /// The tenants and functions that a key reached: those it was made for, and those in whose incidents
    /// it is named. The signer's or the provider's name for it, or its thumbprint; eight
    /// characters at least
    #[arg(long, value_name = "KEY")]
    pub(crate) reached_by: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Ledger {
    /// Check that no record was changed, removed, moved or repeated
    Verify {
        /// Checkpoints that were kept elsewhere, one JSON object a line; a directory: those of all its
        /// files; of those that hold none it is said (exit code 3). May be repeated
        #[arg(long, value_name = "FILE")]
        witness: Vec<PathBuf>,
        /// A copy of the ledger, instead of the one that the running signer has
        #[arg(long, value_name = "FILE")]
        ledger: Option<PathBuf>,
    },
    /// Tell the outside witnesses (config.toml, [[witness]]) where the ledger stands; 'serve' does it each minute
    Witness,
    /// Print where the ledger stood when it was last seen here, for 'mailkeep signer recover --witness'
    LastSeen,
    /// Seal what a bucket among the witnesses is told with; the signer keeps it
    WitnessKey {
        /// The witness, as config.toml names it
        name: String,
        /// A file with two lines: the access key's id, and its secret; '-' reads standard input
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
    },
    /// Print the records
    Show {
        /// Only those about this tenant
        #[arg(long, value_name = "TENANT")]
        tenant: Option<TenantName>,
        /// From then on
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        since: Option<OffsetDateTime>,
    },
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Incidents {
    /// Only this tenant's
    pub(crate) tenant: Option<TenantName>,
    /// Closed ones as well
    #[arg(long)]
    pub(crate) closed: bool,
    #[command(subcommand)]
    pub(crate) command: Option<IncidentCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum IncidentCommand {
    /// Show one with its evidence and what to do
    Show {
        /// Its number
        id: i64,
    },
    /// Say that you look after one: nobody is reminded of it meanwhile
    Acknowledge {
        /// Its number
        id: i64,
        /// Until when: RFC 3339, or 30m, 2h from now [default: until it is closed]
        #[arg(long, value_name = "TIME", value_parser = parse_deadline)]
        until: Option<OffsetDateTime>,
        /// What you do about it
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
    /// Close one; it opens again when more of it is found
    Close {
        /// Its number
        id: i64,
        /// What it was, and what was done
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct TenantAdd {
    /// A name of your choice: a-z, 0-9 and '-'
    pub(crate) tenant: TenantName,
    /// Where the mailboxes are
    #[arg(long, default_value = "m365")]
    pub(crate) provider: ProviderKind,
    /// The directory (Entra tenant): its id or one of its domains
    #[arg(long, value_name = "ID")]
    pub(crate) directory: Option<String>,
    /// Entra ID's address
    #[arg(long, value_name = "URL", default_value = "https://login.microsoftonline.com")]
    pub(crate) authority: String,
    /// Microsoft Graph's address
    #[arg(long, value_name = "URL", default_value = "https://graph.microsoft.com/v1.0")]
    pub(crate) graph: String,
    /// Certificates (PEM) to trust for this tenant, instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The application that was registered for a function: FUNCTION=CLIENT-ID
    #[arg(long, value_name = "FUNCTION=ID", value_parser = parse_client_id)]
    pub(crate) client_id: Vec<(Function, String)>,
    #[command(flatten)]
    pub(crate) asked: AskedFor,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Args, Debug)]
pub(crate) struct TenantSetup {
    /// The tenant
    pub(crate) tenant: TenantName,
    #[command(flatten)]
    pub(crate) asked: AskedFor,
}

// No doc comment: it would become that of the command which this is part of.
#[derive(Args, Debug)]
pub(crate) struct AskedFor {
    /// Set up this function: reader, responder, restorer, auditor, prober or steward; may be repeated
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) function: Vec<Function>,
    /// Let the reader, responder and restorer reach the mailboxes of this group's direct members only
    #[arg(long, value_name = "GROUP", conflicts_with = "confine_to_nothing")]
    pub(crate) confine_to: Option<String>,
    /// All mailboxes again
    #[arg(long)]
    pub(crate) confine_to_nothing: bool,
    /// Let the prober send from this mailbox only; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) send_from: Vec<Address>,
    /// Have the auditor look at Exchange's configuration, too, by snapshots that the provider takes
    #[arg(long)]
    pub(crate) exchange_configuration: bool,
    /// Write the files into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct TenantMailboxes {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// All mailboxes again
    #[arg(long, conflicts_with = "Selection")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

// No doc comment: it would become that of the command which this is part of.
#[derive(Args, Debug)]
pub(crate) struct Selection {
    /// Members of this group, also through groups in it: object id, address or name; may be
    /// repeated
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Vec<String>,
    /// Users that the directory finds with this OData filter, e.g. "department eq 'Sales'"
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Mailboxes of this kind: user, shared, room, equipment or other; may be repeated
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Vec<MailboxKind>,
    /// This mailbox as well, whatever else is said; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) include: Vec<Address>,
    /// Never this mailbox; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) exclude: Vec<Address>,
}

#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// Only this mailbox; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mailbox: Vec<Address>,
}

#[derive(Args, Debug)]
pub(crate) struct Snapshots {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// Only snapshots that changed this mailbox
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mailbox: Option<Address>,
}

#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// MAILBOX lists its folders, MAILBOX:PATH what a folder holds; without, all mailboxes
    pub(crate) place: Option<Place>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Args, Debug)]
pub(crate) struct Cat {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// The item's short id, as `ls` prints it
    pub(crate) item: ItemName,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// MAILBOX, or MAILBOX:PATH for one folder and what lies below it
    #[arg(required_unless_present = "item", conflicts_with = "item")]
    pub(crate) place: Option<Place>,
    /// A single item by its short id, as `ls` prints it; may be repeated
    #[arg(long, value_name = "ITEM")]
    pub(crate) item: Vec<ItemName>,
    #[command(flatten)]
    pub(crate) at: At,
    /// Into this mailbox, below this folder [default: where it was]
    #[arg(long, value_name = "MAILBOX[:PATH]")]
    pub(crate) to: Option<Place>,
    /// Into a mailbox of another tenant
    #[arg(long, value_name = "TENANT")]
    pub(crate) to_tenant: Option<TenantName>,
    /// What to do with an item that is still there; what an earlier restore made is never made twice
    #[arg(long, value_enum, default_value_t = Conflict::Skip)]
    pub(crate) on_conflict: Conflict,
    /// Say what would be done, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What a restore does with an item that is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Conflict {
    /// Leave it; move it back when it lies among the deleted items
    Skip,
    /// Bring it to the state of the snapshot
    Replace,
    /// Put a copy beside it
    Copy,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// MAILBOX, or MAILBOX:PATH for one folder and what lies below it
    pub(crate) place: Place,
    /// Form of the files
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// Where to write: a directory; for a single folder as mbox, a file
    #[arg(long, value_name = "PATH")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Forms in which items are written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One file a message, byte for byte (RFC 5322)
    Eml,
    /// One file a folder (mboxrd)
    Mbox,
    /// Events (RFC 5545): one file each below a directory, or all in one FILE.ics
    Ics,
    /// Contacts (vCard 3.0): one file each below a directory, or all in one FILE.vcf
    Vcf,
}

#[derive(Args, Debug)]
pub(crate) struct At {
    /// As it was at this time: RFC 3339, or 2h, 3d ago [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) at: Option<OffsetDateTime>,
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// Read and check every byte, not only the structure
    #[arg(long)]
    pub(crate) read_data: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RecoveryKit {
    /// The tenant
    pub(crate) tenant: TenantName,
    /// A directory that is not there yet
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// .eml, .mbox, directories; '-' reads one message from standard input
    #[arg(required_unless_present = "text")]
    pub(crate) paths: Vec<PathBuf>,
    /// Inspect a plain text file instead of messages; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    pub(crate) text: Vec<PathBuf>,
    /// Own domains, executives, and rules: what would follow is told, nothing is done (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// A list of bad addresses, hosts or hashes, or a directory of such; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) feed: Vec<PathBuf>,
    /// A YARA rule file, or a directory of such
    #[arg(long, value_name = "PATH")]
    pub(crate) rules: Option<PathBuf>,
    /// Ask ClamAV there: /run/clamav/clamd.ctl, or tcp://ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) clamav: Option<ClamAddress>,
    /// Exit with 20 when a message is at least this
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub(crate) fail_on: Option<FailOn>,
}

/// Verdicts that a caller may want to fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Malicious
    Malicious,
    /// Suspicious or malicious
    Suspicious,
    /// Sensitive content, whatever else is found
    Sensitive,
}

fn parse_client_id(text: &str) -> Result<(Function, String), String> {
    let (function, id) = text.split_once('=').ok_or("write it as FUNCTION=CLIENT-ID")?;
    let function = function.parse::<Function>().map_err(|error| error.to_string())?;
    if id.is_empty() { Err("the client id is missing".into()) } else { Ok((function, id.into())) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_client_id_names_its_function() {
        assert_eq!(parse_client_id("reader=x"), Ok((Function::Reader, "x".into())));
        for bad in ["reader", "reader=", "root=x"] {
            assert!(parse_client_id(bad).is_err(), "{bad}");
        }
    }
}
