//! What a path below `/applications`, `/servicePrincipals`, `/auditLogs`, `/identity` and
//! `/security` names.

use axum::http::Method;
use uuid::Uuid;

use crate::entra::Kind;
use crate::operation::Operation;
use crate::throttle::Shared as Limit;

/// A resource of the directory. Applications and service principals have most in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Directory {
    Objects(Kind),
    Object(Kind, Key),
    Action(Kind, Key, Verb),
    Owners(Kind, Key),
    OwnersRef(Kind, Key),
    OwnerRef(Kind, Key, String),
    Federated(Key),
    FederatedOne(Key, String),
    /// Permissions that a service principal has.
    Assignments(Key),
    Assignment(Key, String),
    SignIns,
    SignIn(String),
    Audits,
    Audit(String),
    Policies,
    Policy(String),
    Locations,
    Location(String),
    /// Of the audit log of the services.
    Queries,
    Query(String),
    Records(String),
    /// Of Tenant Configuration Management.
    SnapshotOrder,
    SnapshotJob(String),
    Snapshot(String),
}

/// How a URL names an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// By object id.
    Object(String),
    /// `(appId='…')`
    Client(String),
}

impl Key {
    fn parse(text: &str) -> Self {
        match text.strip_prefix("appId=") {
            Some(client) => Self::Client(client.trim_matches('\'').to_owned()),
            None => Self::Object(text.to_owned()),
        }
    }

    /// Whether it names the object with these ids.
    pub(super) fn names(&self, object_id: Uuid, client_id: Uuid) -> bool {
        let (text, id) = match self {
            Self::Object(text) => (text, object_id),
            Self::Client(text) => (text, client_id),
        };
        Uuid::try_parse(text) == Ok(id)
    }

    /// Behind the collection's name in a URL.
    pub(super) fn under(&self, collection: &str) -> String {
        match self {
            Self::Object(id) => format!("{collection}/{id}"),
            Self::Client(id) => format!("{collection}(appId='{id}')"),
        }
    }

    pub(super) fn text(&self) -> &str {
        let (Self::Object(text) | Self::Client(text)) = self;
        text
    }
}

/// What is done to credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    AddKey,
    RemoveKey,
    AddPassword,
    RemovePassword,
}

impl Directory {
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
        match words {
            [one, rest @ ..] if is(one, "applications") => in_objects(Kind::Application, rest),
            [one, rest @ ..] if is(one, "servicePrincipals") => {
                in_objects(Kind::ServicePrincipal, rest)
            }
            [one, two, rest @ ..] if is(one, "auditLogs") => {
                let (all, single): (Self, fn(String) -> Self) = match two {
                    two if is(two, "signIns") => (Self::SignIns, Self::SignIn),
                    two if is(two, "directoryAudits") => (Self::Audits, Self::Audit),
                    _ => return None,
                };
                in_list(all, single, rest)
            }
            [one, two, three, rest @ ..]
                if is(one, "identity") && is(two, "conditionalAccess") && is(three, "policies") =>
            {
                in_list(Self::Policies, Self::Policy, rest)
            }
            [one, two, three, rest @ ..]
                if is(one, "identity")
                    && is(two, "conditionalAccess")
                    && is(three, "namedLocations") =>
            {
                in_list(Self::Locations, Self::Location, rest)
            }
            [one, two, three, rest @ ..]
                if is(one, "security") && is(two, "auditLog") && is(three, "queries") =>
            {
                match rest {
                    [id, what] if is(what, "records") => Some(Self::Records((*id).to_owned())),
                    _ => in_list(Self::Queries, Self::Query, rest),
                }
            }
            [one, two, three, four] if is(one, "admin") && is(two, "configurationManagement") => {
                // With or without the namespace before it.
                let name = four.rsplit('.').next()?;
                match three {
                    three if is(three, "configurationSnapshots") && is(name, "createSnapshot") => {
                        Some(Self::SnapshotOrder)
                    }
                    three if is(three, "configurationSnapshots") => {
                        Some(Self::Snapshot((*four).to_owned()))
                    }
                    three if is(three, "configurationSnapshotJobs") => {
                        Some(Self::SnapshotJob((*four).to_owned()))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    pub(crate) fn operation(&self, method: &Method) -> Option<Operation> {
        use Operation as Op;
        let (get, post, patch, delete) = match self {
            Self::Objects(Kind::Application) => {
                (Some(Op::ApplicationsList), Some(Op::ApplicationCreate), None, None)
            }
            Self::Objects(Kind::ServicePrincipal) => {
                (Some(Op::PrincipalsList), Some(Op::PrincipalCreate), None, None)
            }
            Self::Object(Kind::Application, _) => (
                Some(Op::ApplicationShow),
                None,
                Some(Op::ApplicationPatch),
                Some(Op::ApplicationDelete),
            ),
            Self::Object(Kind::ServicePrincipal, _) => {
                (Some(Op::PrincipalShow), None, Some(Op::PrincipalPatch), Some(Op::PrincipalDelete))
            }
            Self::Action(_, _, verb) => {
                let operation = match verb {
                    Verb::AddKey => Op::KeyAdd,
                    Verb::RemoveKey => Op::KeyRemove,
                    Verb::AddPassword => Op::PasswordAdd,
                    Verb::RemovePassword => Op::PasswordRemove,
                };
                (None, Some(operation), None, None)
            }
            Self::Owners(..) => (Some(Op::OwnersList), None, None, None),
            Self::OwnersRef(..) => (None, Some(Op::OwnerAdd), None, None),
            Self::OwnerRef(..) => (None, None, None, Some(Op::OwnerRemove)),
            Self::Federated(_) => (Some(Op::FederatedList), Some(Op::FederatedCreate), None, None),
            Self::FederatedOne(..) => {
                (Some(Op::FederatedShow), None, Some(Op::FederatedPatch), Some(Op::FederatedDelete))
            }
            Self::Assignments(_) => {
                (Some(Op::AssignmentsList), Some(Op::AssignmentCreate), None, None)
            }
            Self::Assignment(..) => {
                (Some(Op::AssignmentShow), None, None, Some(Op::AssignmentDelete))
            }
            Self::SignIns => (Some(Op::SignInsList), None, None, None),
            Self::SignIn(_) => (Some(Op::SignInShow), None, None, None),
            Self::Audits => (Some(Op::AuditsList), None, None, None),
            Self::Audit(_) => (Some(Op::AuditShow), None, None, None),
            Self::Policies => (Some(Op::PoliciesList), None, None, None),
            Self::Policy(_) => (Some(Op::PolicyShow), None, None, None),
            Self::Locations => (Some(Op::LocationsList), None, None, None),
            Self::Location(_) => (Some(Op::LocationShow), None, None, None),
            Self::Queries => (Some(Op::AuditQueriesList), Some(Op::AuditQueryCreate), None, None),
            Self::Query(_) => (Some(Op::AuditQueryShow), None, None, None),
            Self::Records(_) => (Some(Op::AuditQueryRecords), None, None, None),
            Self::SnapshotOrder => (None, Some(Op::SnapshotCreate), None, None),
            Self::SnapshotJob(_) => {
                (Some(Op::SnapshotJobShow), None, None, Some(Op::SnapshotJobDelete))
            }
            Self::Snapshot(_) => (Some(Op::SnapshotShow), None, None, None),
        };
        match *method {
            Method::GET => get,
            Method::POST => post,
            Method::PATCH => patch,
            Method::DELETE => delete,
            _ => None,
        }
    }

    /// The limit that counts a request besides the application's, and what it costs.
    pub(crate) fn limit(&self) -> Option<(Limit, u32)> {
        match self {
            Self::SignIns | Self::SignIn(_) | Self::Audits | Self::Audit(_) => {
                Some((Limit::Reporting, 1))
            }
            Self::Queries
            | Self::Query(_)
            | Self::Records(_)
            | Self::SnapshotOrder
            | Self::SnapshotJob(_)
            | Self::Snapshot(_) => None,
            Self::Objects(_) | Self::Owners(..) | Self::Assignments(_) | Self::Federated(_) => {
                Some((Limit::Directory, 2))
            }
            _ => Some((Limit::Directory, 1)),
        }
    }
}

fn in_objects(kind: Kind, words: &[&str]) -> Option<Directory> {
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    let (key, rest) = match words {
        [] => return Some(Directory::Objects(kind)),
        [key, rest @ ..] => (Key::parse(key), rest),
    };
    let owned = |text: &str| text.to_owned();
    match rest {
        [] => Some(Directory::Object(kind, key)),
        [one] if is(one, "owners") => Some(Directory::Owners(kind, key)),
        [one, two] if is(one, "owners") && is(two, "$ref") => Some(Directory::OwnersRef(kind, key)),
        [one, id, three] if is(one, "owners") && is(three, "$ref") => {
            Some(Directory::OwnerRef(kind, key, owned(id)))
        }
        [one] if kind == Kind::Application && is(one, "federatedIdentityCredentials") => {
            Some(Directory::Federated(key))
        }
        [one, id] if kind == Kind::Application && is(one, "federatedIdentityCredentials") => {
            Some(Directory::FederatedOne(key, owned(id)))
        }
        [one] if kind == Kind::ServicePrincipal && is(one, "appRoleAssignments") => {
            Some(Directory::Assignments(key))
        }
        [one, id] if kind == Kind::ServicePrincipal && is(one, "appRoleAssignments") => {
            Some(Directory::Assignment(key, owned(id)))
        }
        [verb] => {
            // With or without the namespace before it.
            let name = verb.rsplit('.').next()?;
            let verb = match name.to_ascii_lowercase().as_str() {
                "addkey" => Verb::AddKey,
                "removekey" => Verb::RemoveKey,
                "addpassword" => Verb::AddPassword,
                "removepassword" => Verb::RemovePassword,
                _ => return None,
            };
            Some(Directory::Action(kind, key, verb))
        }
        _ => None,
    }
}

fn in_list(all: Directory, single: fn(String) -> Directory, rest: &[&str]) -> Option<Directory> {
    match rest {
        [] => Some(all),
        [id] => Some(single((*id).to_owned())),
        _ => None,
    }
}
